"""Evaluation beyond the files: options, purity, places, hostile input."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscale import Evaluation, Semantics, Targets, check, evaluate, explain, parse, refusal
from autoscale.language import SAMPLED
from autoscale.syntax import Formula, render
from tests.autoscale.programs import formulas, pieces

NOW = datetime(2025, 1, 6, 12, tzinfo=UTC)
EPOCH = NOW.timestamp()


def series(*values: float, latency_s: float = 0.0) -> list[tuple[float, float]]:
    last = len(values) - 1
    return [(EPOCH - latency_s - 30 * (last - place), value) for place, value in enumerate(values)]


def answer(formula: str | Formula, **options: Any) -> Evaluation:
    options = {"samples": {}, "now": NOW, "targets": Targets(), **options}
    return evaluate(formula, **options)


def message(evaluation: Evaluation) -> str:
    assert evaluation.error is not None
    return evaluation.error.values[0].value


histories = st.dictionaries(
    st.sampled_from(sorted(SAMPLED)),
    st.lists(st.floats(0, 1e6), max_size=40).map(lambda values: series(*values)),
    max_size=4,
)


@given(formulas, histories)
def test_every_program_has_an_answer(
    formula: Formula, samples: dict[str, list[tuple[float, float]]]
) -> None:
    text = render(formula)
    first = answer(text, samples=samples)
    assert first == answer(parse(text), samples=samples) or "nan" in str(first)
    assert first.results.startswith("$TargetDedicatedNodes=")
    json.dumps(first.error.to_json() if first.error else None)
    explained = explain(text, samples=samples, now=NOW, targets=Targets())
    assert explained.evaluation.results == first.results
    assert explained.render()
    check(text)


@given(formulas, histories)
def test_a_program_without_error_findings_fails_for_its_values_alone(
    formula: Formula, samples: dict[str, list[tuple[float, float]]]
) -> None:
    text = render(formula)
    if any(finding.severity == "error" or finding.id == "AS129" for finding in check(text)):
        return
    error = answer(text, samples=samples).error
    if error is not None and error.code != "InsufficientSampleData":
        (detail,) = error.values
        reasons = (
            "of no value",
            "needs two values",
            "of one length",
            "not a number",
            "has no element",
            "is not between",
            "outside the years",
            "longer than",
            "finite number",
            "zero or more",
            "is inf",
            "is -inf",
            "is nan",
            "cannot read",
        )
        assert any(reason in detail.value for reason in reasons), detail.value


@given(pieces)
def test_every_text_has_an_answer(text: str) -> None:
    evaluation = answer(text, targets=Targets(dedicated=2, low_priority=1))
    assert (evaluation.error is None) or evaluation.results == (
        "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=1;$NodeDeallocationOption=requeue"
    )


def test_targets_are_cut_toward_zero_and_never_negative() -> None:
    for raw, nodes in ((2.9, 2), (0.5, 0), (-0.5, 0), (-7.0, 0), (3.0, 3), (1e300, 2**31 - 1)):
        targets = Targets(dedicated=raw, low_priority=raw)
        assert (targets.dedicated_nodes, targets.low_priority_nodes) == (nodes, nodes)


def test_a_failure_keeps_the_targets_and_tells_what_was_set_before_it() -> None:
    before = Targets(dedicated=3, low_priority=1)
    evaluation = answer("a = 1; $TargetDedicatedNodes = 9; b = missing;", targets=before)
    assert evaluation.targets == before
    assert evaluation.variables == {"a": 1.0}
    assert evaluation.node_deallocation_option == "requeue"


def test_the_same_evaluation_gives_the_same_numbers() -> None:
    text = "a = rand(); b = rand();"
    assert answer(text) == answer(text)
    assert answer(text).variables["a"] != answer(text).variables["b"]
    assert answer(text) != answer(text, now=NOW + timedelta(seconds=1))


def test_now_may_stand_in_any_zone_and_must_stand_in_one() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=-6)))
    assert answer("h = time().hour;", now=local).variables == {"h": 12.0}
    with pytest.raises(ValueError, match="time zone"):
        answer("a = 1;", now=NOW.replace(tzinfo=None))


def test_samples_of_the_future_are_not_seen() -> None:
    late = [*series(1, 2), (EPOCH + 30, 99.0)]
    evaluation = answer(
        "a = $PendingTasks.GetSample(1); b = len($PendingTasks.GetSample(TimeInterval_Minute, 0));"
        "c = $PendingTasks.Count(); d = $PendingTasks;",
        samples={"$PendingTasks": late},
    )
    assert evaluation.variables == {"a": (2.0,), "b": 2.0, "c": 2.0, "d": 2.0}


def test_samples_are_seen_after_their_delay() -> None:
    text = (
        "a = $PendingTasks.GetSample(1); p = $PendingTasks.GetSamplePercent(TimeInterval_Minute);"
    )
    samples = {"$PendingTasks": series(1, 2, 3)}
    slow = answer(text, samples=samples, semantics=Semantics(sample_delay_s=45))
    assert slow.variables == {"a": (1.0,), "p": 0.0}


def test_whole_numbers_as_samples_are_doubles_in_the_end() -> None:
    samples = {"$PendingTasks": [(EPOCH - 30, 3), (EPOCH, 4)]}
    evaluation = answer(
        "a = max($PendingTasks.GetSample(2)) / 2; b = $PendingTasks;", samples=samples
    )
    assert evaluation.results.endswith("a=2;b=4")


@pytest.mark.parametrize(
    ("semantics", "formula", "value"),
    [
        (
            Semantics(lenient=True),
            "a = time() - TimeInterval_Hour == time() + -TimeInterval_Hour;",
            1,
        ),
        (Semantics(lenient=True), "a = TimeInterval_Hour / TimeInterval_Minute;", 60),
        (Semantics(lenient=True), "a = sum(10 - $ActiveTasks.GetSample(2));", 17),
        (Semantics(lenient=True), "a = val(7, 0);", 7),
        (Semantics(empty_aggregate="zero"), "a = max($RunningTasks.GetSample(1));", 0),
        (Semantics(empty_aggregate="zero"), "a = percentile($RunningTasks.GetSample(1), 50);", 0),
        (Semantics(newest_first=True), "a = val($ActiveTasks.GetSample(2), 0);", 2),
        (Semantics(percentile="linear"), "a = percentile($ActiveTasks.GetSample(2), 50);", 1.5),
        (Semantics(stop_keeps=False), "$TargetDedicatedNodes = 9; a = 0; stop();", 0),
    ],
)
def test_a_choice_changes_what_it_says(semantics: Semantics, formula: str, value: float) -> None:
    samples = {"$ActiveTasks": series(1, 2)}
    chosen = answer(formula, samples=samples, semantics=semantics)
    assert chosen.variables == {"a": float(value)}
    assert chosen.targets == Targets()
    assert chosen != answer(formula, samples=samples)


@pytest.mark.parametrize(
    ("semantics", "formula", "words"),
    [
        (Semantics(short_circuit=False), "a = 0 && missing;", "Undefined symbol: missing"),
        (Semantics(val_of_empty=False), "a = val($RunningTasks.GetSample(1), 0);", "no element"),
        (Semantics(sampled_as_number=False), "a = $PendingTasks + 1;", "is not a number"),
        (Semantics(negative_target="error"), "$TargetDedicatedNodes = -1;", "is negative"),
    ],
)
def test_a_choice_refuses_what_it_says(semantics: Semantics, formula: str, words: str) -> None:
    assert answer(formula).error is None
    assert words in message(answer(formula, semantics=semantics))


def test_a_history_older_than_the_calendar_begins_with_it() -> None:
    samples = {"$PendingTasks": [(-1e12, 1.0), (EPOCH, 2.0)]}
    begun = answer("a = $PendingTasks.HistoryBeginTime();", samples=samples)
    assert begun.results.endswith("a=0001-01-01T00:00:00.000Z")


def test_slots_are_known_before_any_sample() -> None:
    assert answer("a = $TaskSlotsPerNode;", task_slots_per_node=4).variables == {"a": 4.0}


def test_infinities_stay_inside() -> None:
    text = "a = 1 / 0; b = min(a, 3); c = ceil(a); d = round(-a); e = floor(a - a) > 1;"
    assert answer(text).results.endswith("a=inf;b=3;c=inf;d=-inf;e=0")
    assert math.isnan(float(str(answer("a = 1/0 - 1/0;").variables["a"])))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a = 1 +;", "AutoScalingFormulaSyntaxError"),
        ("a=1;" * 101, "AutoScalingFormulaSyntaxError"),
        ("//" + "x" * 8191, "AutoScalingFormulaTooLong"),
    ],
)
def test_a_pool_is_refused_for_a_text_that_is_no_formula(text: str, code: str) -> None:
    refused = refusal(text)
    assert refused is not None
    assert refused.code == code


def test_a_pool_is_not_refused_for_a_formula_that_cannot_be_evaluated() -> None:
    assert refusal("a = missing;") is None


def test_the_recorded_words_of_the_service() -> None:
    error = answer("$something_useless").error
    assert error is not None
    assert error.to_json() == {
        "code": "AutoScalingFormulaEvaluationError",
        "message": "The specified auto-scaling formula has evaluation error",
        "values": [
            {"name": "Message", "value": "Line 1, Col 1: Undefined symbol: $something_useless"}
        ],
    }


def test_the_percent_of_a_window_is_a_double() -> None:
    minutes = "TimeInterval_Minute, 5 * TimeInterval_Minute, 9 * TimeInterval_Minute"
    evaluation = answer(f"a = $PendingTasks.GetSample({minutes});")
    assert message(evaluation).endswith("a sample percent is a double, not a timeinterval")
