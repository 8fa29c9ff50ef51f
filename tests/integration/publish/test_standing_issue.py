"""One issue is kept up to date on a fake GitHub server, whatever is asked of it how often."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

import githubapi
from tfwheel.publish import standing_issue
from tfwheel.publish.errors import HostAnswerError
from tfwheel.publish.github_api import GithubApi
from tfwheel.publish.github_repository import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def test_a_host_that_refuses_is_named(github: GitHub) -> None:
    def refuse(answer: Response) -> None:
        answer.status = HTTPStatus.FORBIDDEN

    github.fault("POST .*issues", refuse)
    github.refusals.append(("POST .*issues", refuse))
    with pytest.raises(HostAnswerError, match="answered 403"):
        keep(github, "protobuf")
