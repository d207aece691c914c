"""The catalogue of rules: its examples, and what the limits of a pool change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from autoscale import Limits, Targets, check, evaluate
from autoscale.rules import RULES, Rule

LAST = "max(0, $PendingTasks.GetSample(1))"
TAIL = "$NodeDeallocationOption = taskcompletion;"


def ids(formula: str, limits: Limits | None = None) -> set[str]:
    return {finding.id for finding in check(formula, limits=limits or Limits())}


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_the_wrong_example_breaks_its_rule(rule: Rule) -> None:
    found = [finding for finding in check(rule.wrong, limits=rule.limits) if finding.id == rule.id]
    assert found
    assert {finding.severity for finding in found} == {rule.severity}
    assert all(finding.message and finding.remedy and finding.excerpt for finding in found)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_the_right_example_breaks_no_rule(rule: Rule) -> None:
    assert check(rule.right, limits=rule.limits) == []


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_says_why(rule: Rule) -> None:
    assert rule.title
    assert rule.why.endswith(".")
    assert (rule.severity == "error") == (rule.id < "AS100")


def test_findings_stand_in_the_order_of_the_text() -> None:
    findings = check("a = b;\nc = 1 +;\n$PendingTasks = 3;")
    assert [(finding.id, finding.line, finding.column) for finding in findings] == [
        ("AS001", 2, 8),
    ]
    findings = check("a = b;\nc = abs(1);\n$PendingTasks = 3;\n")
    errors = [finding for finding in findings if finding.severity == "error"]
    assert [(finding.id, finding.line, finding.column) for finding in errors] == [
        ("AS010", 1, 5),
        ("AS013", 2, 5),
        ("AS011", 3, 1),
    ]


def test_all_syntax_errors_are_found_at_once() -> None:
    findings = check("a = 1 +;\nb = (2;\nc = 3;\nd = 4 % 5;\n")
    assert [finding.line for finding in findings] == [1, 2, 4]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a = $PendingTask.GetSample(1);", "$PendingTasks"),
        ("a = $TargetDedicatedNode;", "$TargetDedicatedNodes"),
        ("a = $targetdedicatednodes;", "$TargetDedicatedNodes"),
        ("a = PendingTasks;", "$PendingTasks"),
        ("total = 1; a = totl;", "total"),
        ("a = TimeInterval_Minutes;", "TimeInterval_Minute"),
        ("a = maxx(1);", "max"),
        ("a = Max(1, 2);", "max"),
        ("a = mod(5, 2);", "floor"),
        ("a = $PendingTasks.GetSamples(1);", "GetSample"),
        ("a = $PendingTasks.GetSampleByCount(5);", "GetSample(count)"),
        ("a = time().hours;", "hour"),
        ("a = time().hour();", ".hour"),
        ("$NodeDeallocationOption = TaskCompletion;", "taskcompletion"),
        ("a = 1 = 2;", "'=='"),
        ("$TargetDedicatedNode = 3;", "$TargetDedicatedNodes"),
    ],
)
def test_a_misspelt_name_is_guessed(written: str, meant: str) -> None:
    assert any(meant in finding.remedy for finding in check(written)), check(written)


def test_a_mistake_is_reported_once() -> None:
    assert [f.id for f in check(f"a = b + b * b; $TargetDedicatedNodes = a; {TAIL}")] == ["AS010"]


def test_a_guard_may_be_a_variable_or_part_of_a_condition() -> None:
    for guard in (
        "p < 70 ? 0 : avg($PendingTasks.GetSample(w))",
        "p >= 70 ? avg($PendingTasks.GetSample(w)) : 0",
        "!(p < 70) ? avg($PendingTasks.GetSample(w)) : 0",
        "70 <= p && 1 ? avg($PendingTasks.GetSample(w)) : 0",
        "p < 70 || 0 ? 0 : avg($PendingTasks.GetSample(w))",
        "enough ? avg($PendingTasks.GetSample(w)) : 0",
        "p < 70 ? 0 : enough && avg($PendingTasks.GetSample(w)) > 3",
    ):
        text = (
            "w = 10 * TimeInterval_Minute; p = $PendingTasks.GetSamplePercent(w);"
            f"enough = p >= 70; x = enough; $TargetDedicatedNodes = ceil(min(9, {guard})); {TAIL}"
        )
        assert ids(text) <= {"AS112"}, guard


def test_a_guard_that_is_turned_around_guards_nothing() -> None:
    text = (
        "w = 10 * TimeInterval_Minute; p = $PendingTasks.GetSamplePercent(w);"
        "$TargetDedicatedNodes = min(9, p < 70 ? ceil(avg($PendingTasks.GetSample(w))) : 0);"
    )
    assert "AS101" in ids(text)


def test_a_guard_of_another_period_or_variable_does_not_count() -> None:
    for guard, rule in (
        ("$PendingTasks.GetSamplePercent(5 * TimeInterval_Minute)", "AS102"),
        ("$RunningTasks.GetSamplePercent(10 * TimeInterval_Minute)", "AS101"),
    ):
        call = "avg($PendingTasks.GetSample(10 * TimeInterval_Minute))"
        text = f"$TargetDedicatedNodes = min(9, {guard} < 70 ? 0 : ceil({call})); {TAIL}"
        assert ids(text) == {rule}


def test_the_limit_is_compared_with_what_can_be_reached() -> None:
    text = f"$TargetDedicatedNodes = 2 * min(10, {LAST}) + 1 - 1; {TAIL}"
    assert "AS104" in ids(text, Limits(max_dedicated_nodes=19))
    assert "AS104" not in ids(text, Limits(max_dedicated_nodes=20))


def test_a_minimum_that_is_meant_is_no_finding() -> None:
    text = f"$TargetDedicatedNodes = max(2, min(10, {LAST})); {TAIL}"
    assert "AS105" in ids(text, Limits(min_dedicated_nodes=1))
    assert ids(text, Limits(min_dedicated_nodes=2)) == set()


def test_a_target_that_only_grows_is_found() -> None:
    text = f"$TargetDedicatedNodes = max($TargetDedicatedNodes, min(10, {LAST})); {TAIL}"
    assert ids(text) == {"AS105"}


def test_a_target_that_grows_from_its_own_value_has_no_maximum() -> None:
    assert "AS106" in ids(f"$TargetDedicatedNodes = $TargetDedicatedNodes + 1; {TAIL}")
    halved = f"$TargetDedicatedNodes = min(10, $TargetDedicatedNodes / 2 + {LAST}); {TAIL}"
    assert ids(halved) == set()


def test_a_divisor_is_safe_behind_its_guard_only() -> None:
    head = "n = max(0, $CurrentDedicatedNodes.GetSample(1)); "
    for value, rules in (
        ("n > 0 ? ceil(8 / n) : 0", set[str]()),
        ("n != 0 ? ceil(8 / n) : 0", set()),
        ("n == 0 ? 0 : ceil(8 / n)", set()),
        ("n ? ceil(8 / n) : 0", set()),
        ("ceil(8 / max(1, n))", set()),
        ("ceil(8 / (n + 1))", set()),
        ("n > 0 ? 0 : ceil(8 / n)", {"AS111"}),
        ("n >= 0 ? ceil(8 / n) : 0", {"AS111"}),
    ):
        assert ids(f"{head}$TargetDedicatedNodes = min(9, {value}); {TAIL}") == rules, value


@pytest.mark.parametrize(
    "text",
    [
        "a=" + "+".join(f"b{i}" for i in range(1300)),
        "x=1;x=" + "(x>0?1:0)+" * 600 + "1",
        "x=1;y=" + "(" * 150 + "x" + " > 0 ? 1 : 0)" * 150,
        "a0=$PendingTasks.GetSamplePercent(TimeInterval_Minute)>3;"
        + "".join(f"a{i + 1}=a{i}&&a{i};b{i}=a{i + 1}?1:0;" for i in range(48)),
        "a=" + "1?1:" * 190 + "1",
        "{" * 8192,
        '"' * 8192,
        "'" * 8192,
        "<%" * 4096,
        "%" * 8192,
        "/*" * 4096,
    ],
    ids=lambda text: text[:12],
)
def test_no_text_makes_the_check_fail(text: str) -> None:
    assert check(text)


def test_the_least_of_a_number_and_no_sample_is_the_number_and_is_found() -> None:
    fresh = evaluate(
        "$TargetDedicatedNodes = min(20, $PendingTasks.GetSample(1));",
        samples={},
        now=datetime(2026, 1, 6, 12, tzinfo=UTC),
        targets=Targets(),
    )
    assert fresh.targets.dedicated == 20
    assert "AS130" in ids("$TargetDedicatedNodes = min(20, $PendingTasks.GetSample(1));" + TAIL)
    assert "AS130" not in ids(
        "$TargetDedicatedNodes = $PendingTasks.GetSamplePercent(TimeInterval_Hour) >= 70"
        " ? min(20, $PendingTasks.GetSample(1)) : 0;" + TAIL
    )
