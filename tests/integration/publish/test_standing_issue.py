"""One issue is kept up to date on a fake GitHub server, whatever is asked of it how often."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

import githubapi
from tfwheel.colab.runtimes import RuntimesFile
from tfwheel.config import toml_files
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.index import runtime_watch
from tfwheel.index.errors import RuntimeChangedError
from tfwheel.publish import standing_issue
from tfwheel.publish.errors import HostAnswerError
from tfwheel.publish.github_api import GithubApi
from tfwheel.publish.github_repository import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fake_github.server import Response
    from githubapi import GitHub


@pytest.fixture
def github() -> Iterator[GitHub]:
    """An empty host."""
    with githubapi.running() as host:
        yield host


def keep(github: GitHub, body: str | None, *, title: str = "Colab changed") -> str:
    repository = Repository(api=GithubApi(api=github.address, repo=githubapi.REPO, token="x"), web=github.address)  # noqa: S106 -- of a fake
    return standing_issue.keep(repository, label="runtime-watch", title=title, body=body).partition(":")[0]


def test_an_issue_is_opened_kept_changed_and_closed(github: GitHub) -> None:
    assert keep(github, None) == "there is nothing to say, and no open issue"
    assert keep(github, "protobuf") == "opened issue 1"
    assert keep(github, "protobuf") == "issue 1 is up to date"
    assert keep(github, "protobuf, numpy") == "updated issue 1"
    assert keep(github, None) == "closed issue 1"
    assert keep(github, "again") == "opened issue 2"
    found = [(one["state"], one["body"], one["labels"]) for one in github.state.all("issue")]
    label = [{"name": "runtime-watch"}]
    assert found == [("closed", "protobuf, numpy", label), ("open", "again", label)]


def test_other_issues_and_pull_requests_are_left_alone(github: GitHub) -> None:
    facts = {"title": "A user's", "body": "help", "state": "open", "number": 1, "html_url": "u"}
    github.state.add("issue", facts | {"labels": []})
    github.state.add("issue", facts | {"labels": [{"name": "runtime-watch"}], "number": 2, "pull_request": {}})
    assert keep(github, "protobuf") == "opened issue 3"


def test_a_report_that_github_would_not_take_is_cut(github: GitHub) -> None:
    keep(github, "x" * 70_000)
    (issue,) = github.state.all("issue")
    assert len(issue["body"]) == standing_issue.LONGEST_BODY
    assert issue["body"].endswith("the whole report is in the log of the workflow run)\n")


def test_an_issue_whose_answer_was_lost_is_not_opened_twice(github: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)

    def lose(answer: Response) -> None:
        answer.status = HTTPStatus.BAD_GATEWAY

    github.fault("POST .*issues", lose)
    assert keep(github, "protobuf") == "opened issue 1"
    assert len(github.state.all("issue")) == 1


def test_the_watch_keeps_the_issue_and_says_by_its_exit_code_what_it_found(github: GitHub, tmp_path: Path) -> None:
    colab = CONFIG_DIR / "colab"
    newest = next(one for one in toml_files.read(colab / "runtimes.toml", RuntimesFile).runtime if one.freeze)
    shutil.copy(colab / str(newest.os_info), tmp_path / "os-info-gpu.txt")
    freeze = tmp_path / "pip-freeze.gpu.txt"
    shutil.copy(colab / str(newest.freeze), freeze)
    own = {"GITHUB_API_URL": github.address, "GITHUB_SERVER_URL": github.address, "GITHUB_REPOSITORY": githubapi.REPO}
    words = [sys.executable, CONFIG_DIR.parent / "scripts" / "watch_runtimes.py", "--from", tmp_path, "--issue"]
    for line, code in {"": 0, "zzz-new==1\n": RuntimeChangedError.exit_code}.items():
        freeze.write_text(freeze.read_text(encoding="utf-8") + line, encoding="utf-8")
        found = subprocess.run(words, env=os.environ | own | {"GITHUB_TOKEN": "x"}, capture_output=True, check=False)
        assert found.returncode == code, found.stderr
    (issue,) = github.state.all("issue")
    assert (issue["title"], issue["labels"]) == (runtime_watch.TITLE, [{"name": runtime_watch.LABEL}])
    assert "1 other distributions changed, too." in issue["body"]


def test_a_host_that_refuses_is_named(github: GitHub) -> None:
    def refuse(answer: Response) -> None:
        answer.status = HTTPStatus.FORBIDDEN

    github.fault("POST .*issues", refuse)
    github.refusals.append(("POST .*issues", refuse))
    with pytest.raises(HostAnswerError, match="answered 403"):
        keep(github, "protobuf")
