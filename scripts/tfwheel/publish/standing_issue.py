"""Keep one issue up to date with a report: open it, change it, or close it when there is nothing to say any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfwheel.publish.github_repository import Repository

LONGEST_BODY = 60_000  # characters; GitHub takes 65,536
CUT = "\n\n(cut here: the whole report is in the log of the workflow run)\n"


def keep(repository: Repository, *, label: str, title: str, body: str | None) -> str:
    """Bring the one open issue with a label up to date; returns a line about it.

    Without ``body`` there is nothing to say: an open issue is closed. Idempotent. Raises HostAnswerError.
    """
    issue = repository.standing_issue(label)
    if body is None:
        if issue is None:
            return "there is nothing to say, and no open issue"
        closed = repository.edit_issue(issue, state="closed")
        return f"closed issue {closed.number}: {closed.html_url}"
    text = body if len(body) <= LONGEST_BODY else body[: LONGEST_BODY - len(CUT)] + CUT
    if issue is None:
        made = repository.open_issue(title=title, body=text, label=label)
        return f"opened issue {made.number}: {made.html_url}"
    if (issue.title, issue.body) == (title, text):
        return f"issue {issue.number} is up to date: {issue.html_url}"
    changed = repository.edit_issue(issue, title=title, body=text)
    return f"updated issue {changed.number}: {changed.html_url}"
