"""Expressions have the values that GitHub gives them, and what is not supported here is refused."""

from __future__ import annotations

import re

import pytest

from workflow_runner import expressions
from workflow_runner.errors import WorkflowError

CONTEXT = {
    "github": {"event_name": "push", "event": {"pull_request": {"labels": [{"name": "a"}, {"name": "b:c"}]}}},
    "inputs": {"gpu_runner": "", "dry-run": True},
    "matrix": {"runner": ["self-hosted", "gpu"], "timeout": 90},
    "needs": {"plan": {"result": "success", "outputs": {"any": "true"}}},
}
STATUS = {"always": lambda: True, "failure": lambda: False, "success": lambda: True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it''s'", "it's"),
        ("needs.plan.outputs.any == 'TRUE'", True),  # texts are compared without case
        ("needs.plan.outputs.missing", None),
        ("github.event.pull_request.number", None),
        ("github.event.nothing.at.all == ''", True),
        ("inputs.gpu_runner != '' && github.event_name != 'pull_request'", False),
        ("inputs.gpu_runner || 'none'", "none"),
        ("inputs.dry-run && '--dry-run' || '--no-dry-run'", "--dry-run"),
        ("!inputs.dry-run", False),
        ("!(1 == 2 || 'x' == 'y')", True),
        ("'' == 0", True),
        ("'x' == 0", False),
        ("null == 0", True),
        ("true == 1", True),
        ("matrix.runner == matrix.runner", True),
        ("matrix.runner == ''", False),
        ("matrix.timeout == '90'", True),
        ("join(github.event.pull_request.labels.*.name, ',')", "a,b:c"),
        ("join(github.event.pull_request.assignees.*.login, ',')", ""),
        ("contains(github.event.pull_request.labels.*.name, 'A')", True),
        ("contains('Hello', 'hell')", True),
        ("fromJSON(toJSON(matrix.runner))", ["self-hosted", "gpu"]),
    ],
)
def test_an_expression_has_the_value_that_github_gives_it(text: str, value: object) -> None:
    assert expressions.evaluate(text, CONTEXT) == value


def test_what_is_not_reached_is_not_evaluated() -> None:
    assert expressions.evaluate("github.event_name == 'release' && unknown() || 'fine'", CONTEXT) == "fine"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("inputs.gpu_runer", "there is no `gpu_runer` here"),
        ("secrets.TOKEN", "there is no `secrets` here"),
        ("format('{0}', 1)", "the function `format` is not supported here"),
        ("1 <", "`<` is not understood"),
        ("1 ==", "a value is missing before `the end`"),
        ("(1", "`)` is missing before `the end`"),
        ("join(1 2)", "`,` is missing before `2`"),
        ("1 2", "`2` is unexpected"),
        ("fromJSON('{}').x", "`.` is unexpected"),
        ("github.", "a name is missing before `the end`"),
        ("github.&&", "a name is missing before `&&`"),
        ("", "a value is missing"),
    ],
)
def test_what_is_not_known_is_refused_by_name(text: str, reason: str) -> None:
    with pytest.raises(WorkflowError, match=re.escape(reason)):
        expressions.evaluate(text, CONTEXT)


def test_an_expression_alone_keeps_its_type_and_one_among_words_becomes_text() -> None:
    assert expressions.expand("${{ matrix.timeout }}", CONTEXT) == 90
    assert expressions.expand("wheel-${{ matrix.timeout }}-${{ inputs.dry-run }}", CONTEXT) == "wheel-90-true"
    assert expressions.expand("a }} and '${{ '}}' }}'", CONTEXT) == "a }} and '}}'"
    with pytest.raises(WorkflowError, match="write toJSON"):
        expressions.expand("on ${{ matrix.runner }}", CONTEXT)


@pytest.mark.parametrize(("value", "text"), [(None, ""), (True, "true"), (2.0, "2"), (90, "90"), ("x", "x")])
def test_values_stand_in_a_text_as_github_writes_them(value: object, text: str) -> None:
    assert expressions.as_text(value) == text


def test_a_condition_that_asks_for_no_status_means_and_nothing_failed() -> None:
    failed = {**STATUS, "success": lambda: False, "failure": lambda: True}
    for text in (True, "github.event_name == 'push'", "${{ github.event_name == 'push' }}"):
        assert expressions.condition(text, CONTEXT, STATUS)
        assert not expressions.condition(text, CONTEXT, failed)
    assert expressions.condition("failure() && inputs.dry-run", CONTEXT, failed)
    assert expressions.condition("always()", CONTEXT, failed)
    assert not expressions.condition("failure()", CONTEXT, STATUS)


def test_the_names_of_a_text_are_found_wherever_they_stand() -> None:
    found = expressions.names("${{ a.b && toJSON(c.*.d) }} or ${{ 'x.y' }}")
    assert found == [("a", "b"), ("c", "*", "d")]
