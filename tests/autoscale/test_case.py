"""Case files: what they may say, and what is said of those that are none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscale import CaseError
from autoscale.case import DEFAULT_NOW, read_case

NOON = DEFAULT_NOW.timestamp()


def test_everything_may_be_left_out() -> None:
    case = read_case("{}")
    assert case.now == datetime(2025, 1, 6, 12, tzinfo=UTC)
    assert case.samples == {}
    assert (case.targets.dedicated, case.targets.low_priority) == (0, 0)


def test_samples_end_where_the_latency_says() -> None:
    case = read_case(
        '{"samples": {"$PendingTasks": [3, null, 5], "$RunningTasks": {"repeat": 1, "n": 2}},'
        ' "latency_s": 45}'
    )
    assert case.samples == {
        "$PendingTasks": [(NOON - 105, 3.0), (NOON - 45, 5.0)],
        "$RunningTasks": [(NOON - 75, 1.0), (NOON - 45, 1.0)],
    }


def test_now_is_utc_unless_it_says_otherwise() -> None:
    for text in ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00", "2026-03-01T11:00:00+01:00"):
        assert read_case(json.dumps({"now": text})).now == datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("[]", "not an object"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"now": "noon"}', "now: not a time"),
        ('{"now": 5}', "now: not a time"),
        ('{"targets": [1]}', "targets: not two numbers"),
        ('{"targets": [1, true]}', "targets: not two numbers"),
        ('{"latency_s": -1}', "latency_s: not a number of seconds"),
        ('{"latency_s": NaN}', "latency_s: not a number of seconds"),
        ('{"samples": []}', "samples: not an object"),
        ('{"samples": {"$Pending": [1]}}', "not a variable of the service"),
        ('{"samples": {"$PendingTasks": ["x"]}}', "samples.$PendingTasks: write numbers"),
        ('{"samples": {"$PendingTasks": [1e999]}}', "samples.$PendingTasks: write numbers"),
        ('{"samples": {"$PendingTasks": [1' + "0" * 400 + "]}}", "write numbers"),
        ('{"samples": {"$PendingTasks": {"repeat": 1}}}', "samples.$PendingTasks: write"),
        ('{"samples": {"$PendingTasks": {"repeat": 1, "n": 1e9}}}', "samples.$PendingTasks"),
        ('{"samples": {"$PendingTasks": {"repeat": 1, "n": 99999999}}}', "samples.$PendingTasks"),
        ('{"task_slots_per_node": 0}', "task_slots_per_node"),
    ],
)
def test_a_case_that_is_none_says_why(case: str, words: str) -> None:
    with pytest.raises(CaseError) as caught:
        read_case(case)
    assert words in str(caught.value)


def test_all_reasons_are_told_at_once() -> None:
    with pytest.raises(CaseError) as caught:
        read_case('{"now": 1, "targets": 2, "latency_s": "x", "samples": {"a": 1}}')
    assert len(str(caught.value).splitlines()) == 4


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["now", "targets", "latency_s", "samples", "task_slots_per_node"]),
        anything,
    )
)
def test_any_json_is_a_case_or_refused(found: dict[str, Any]) -> None:
    try:
        case = read_case(json.dumps(found))
    except CaseError as error:
        text = str(error)
    else:
        text = str(case)
    assert text


def test_a_field_that_is_nearly_known_is_a_mistake() -> None:
    with pytest.raises(CaseError, match="'sampels': not a field of a case; write samples"):
        read_case('{"sampels": {}}')
    assert read_case('{"id": "rec-1", "formula": "", "note": "", "results": ""}').samples == {}
