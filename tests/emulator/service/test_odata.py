from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.engine.refusal import Refused
from emulator.service.odata import (
    parse_filter,
    parse_max_results,
    parse_select,
    parse_skip_token,
    skip_token,
)

KNOWN = frozenset(
    {"id", "state", "stateTransitionTime", "executionInfo", "isDedicated", "priority"}
)
TASK: dict[str, Any] = {
    "id": "t'1",
    "state": "completed",
    "stateTransitionTime": "2026-01-05T12:00:00.5Z",
    "executionInfo": {"exitCode": 3, "result": "failure"},
    "isDedicated": True,
    "priority": -1,
}


@pytest.mark.parametrize(
    ("source", "passes"),
    [
        ("state eq 'completed'", True),
        ("state ne 'completed'", False),
        ("STATE eq 'completed' and id eq 't''1'", None),
        ("id eq 't''1'", True),
        ("startswith(id, 't')", True),
        ("startswith(id,'x') or priority lt 0", True),
        ("not (state eq 'completed')", False),
        ("not state eq 'active' and not startswith(id,'x')", True),
        ("executionInfo/exitCode gt 2 and executionInfo/exitCode le 3", True),
        ("executionInfo/endTime eq null", True),
        ("executionInfo/exitCode ne null", True),
        ("executionInfo/exitCode lt 'x'", False),
        ("stateTransitionTime ge datetime'2026-01-05T12:00:00Z'", True),
        ("stateTransitionTime lt DateTime'2026-01-05T12:00:00.5000000Z'", False),
        ("stateTransitionTime ge DateTime'Mon, 05 Jan 2026 12:00:00 GMT'", True),
        ("stateTransitionTime lt DateTime'Mon, 05 Jan 2026 12:00:00 GMT'", False),
        ("isDedicated eq true", True),
        ("state eq 'active' or state eq 'running' or state eq 'completed'", True),
        ("state eq 'completed' and state eq 'active' or isDedicated eq true", True),
    ],
)
def test_a_filter_lets_pass_what_it_says(source: str, passes: bool | None) -> None:
    if passes is None:
        with pytest.raises(Refused, match="STATE"):
            parse_filter(source, KNOWN)
    else:
        assert parse_filter(source, KNOWN).test(TASK) is passes


@pytest.mark.parametrize(
    "source",
    [
        "", "state", "state eq", "state eq completed", "eq 'x'", "(state eq 'x'", "state eq 'x')",
        "state eq 'x' state eq 'y'", "state like 'x'", "startswith(id)", "startswith(id, 3)",
        "state eq 'x", "unknown eq 1", "stateTransitionTime gt datetime'yesterday'", "é eq 1",
        "stateTransitionTime gt datetime''", "stateTransitionTime gt datetime'Mon, 99 Jan 2026'",
        "(" * 80 + "state eq 'x'" + ")" * 80, "not " * 80 + "state eq 'x'",
        "state eq '" + "x" * 9000 + "'", "priority gt " + "9" * 5000,
        "priority gt " + "9" * 5000 + ".5",
    ],
)  # fmt: skip
def test_a_bad_filter_is_refused_with_its_reason(source: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_filter(source, KNOWN)
    assert caught.value.code == "InvalidQueryParameterValue"
    assert caught.value.values["Reason"]


@given(st.text())
def test_any_text_is_a_filter_or_refused(source: str) -> None:
    try:
        parse_filter(source, KNOWN).test(TASK)
    except Refused:
        return


def test_an_index_learns_only_what_must_hold() -> None:
    found = parse_filter("state eq 'active' and executionInfo/exitCode eq 1", KNOWN)
    assert found.equals == {"state": "active"}
    assert parse_filter("state eq 'active' or state eq 'running'", KNOWN).equals == {}
    assert parse_filter("not state eq 'active'", KNOWN).equals == {}
    late = parse_filter("stateTransitionTime gt datetime'2026-01-05T12:00:00Z'", KNOWN)
    assert set(late.after) == {"stateTransitionTime"}


@given(st.text(min_size=1))
def test_a_page_goes_on_after_the_key_of_its_token(key: str) -> None:
    assert parse_skip_token(skip_token(key)) == key


@pytest.mark.parametrize("token", ["x", "WATV2:***:1$1", "WATV2:_w==:1$1"])
def test_a_foreign_token_is_refused(token: str) -> None:
    with pytest.raises(Refused, match="skiptoken"):
        parse_skip_token(token)


@pytest.mark.parametrize("value", ["0", "-5", "x", "1.5", "9" * 30])
def test_max_results_is_at_least_one(value: str) -> None:
    with pytest.raises(Refused, match="MaxResults"):
        parse_max_results(value)


def test_select_takes_spaces_and_refuses_what_is_not_there() -> None:
    assert parse_select("id, state,executionInfo/exitCode", KNOWN) == {
        "id",
        "state",
        "executionInfo",
    }
    with pytest.raises(Refused, match="nothing"):
        parse_select("id,nothing", KNOWN)
