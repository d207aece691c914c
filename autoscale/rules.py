"""The catalogue of rules: id, severity, why, remedy, and an example of each side.

The examples are tested: the wrong one breaks its rule, the right one breaks none that is
as severe. AS0xx is what the service refuses or can never evaluate, AS1xx is lint.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from autoscale.findings import Severity
from autoscale.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule that a formula can break.

    Attributes:
        id: How a finding names it.
        severity: Of its findings.
        title: What the rule asks for.
        why: What happens otherwise.
        remedy: What to do, unless the finding knows better.
        wrong: A formula that breaks it.
        right: The formula as it should be.
        limits: What the pool must be like for the example to hold.
    """

    id: str
    severity: Severity
    title: str
    why: str
    remedy: str
    wrong: str
    right: str
    limits: Limits = field(default_factory=Limits)


_TAIL = " $NodeDeallocationOption = taskcompletion;"
_LAST = "max(0, $PendingTasks.GetSample(1))"


def _target(value: str) -> str:
    return f"$TargetDedicatedNodes = {value};{_TAIL}"


_ALL = (
    Rule(
        id="AS001",
        severity="error",
        title="The text follows the grammar",
        why="The service refuses the pool: AutoScalingFormulaSyntaxError.",
        remedy="write what the place expects",
        wrong=_target("min(10, 3"),
        right=_target(f"min(10, {_LAST})"),
    ),
    Rule(
        id="AS002",
        severity="error",
        title="No placeholder of a template is left",
        why="The text was sent before its template was rendered.",
        remedy="render the template, and look at the text that is sent",
        wrong=_target("min(${maxNodes}, 3)"),
        right=_target(f"min(10, {_LAST})"),
    ),
    Rule(
        id="AS003",
        severity="error",
        title="Every statement assigns",
        why="The service cannot evaluate a value that is assigned to nothing.",
        remedy="assign it: name = value;",
        wrong="$something_useless",
        right=_target(f"min(10, {_LAST})"),
    ),
    Rule(
        id="AS004",
        severity="error",
        title="A formula has 8192 characters at most",
        why="The service refuses the pool: AutoScalingFormulaTooLong.",
        remedy="shorten comments and names",
        wrong="// " + "x" * 8190,
        right=_target(f"min(10, {_LAST})"),
    ),
    Rule(
        id="AS005",
        severity="error",
        title="A formula has 100 statements at most",
        why="The service takes no more.",
        remedy="join statements",
        wrong="a = 1;" * 101,
        right=_target(f"min(10, {_LAST})"),
    ),
    Rule(
        id="AS006",
        severity="error",
        title="Expressions are not nested deeper than 200 levels",
        why="This evaluator goes no deeper; the service's own limit is not published.",
        remedy="use intermediate variables",
        wrong=_target("(" * 201 + "1" + ")" * 201),
        right=_target(f"min(10, {_LAST})"),
    ),
    Rule(
        id="AS010",
        severity="error",
        title="A name is set before it is read",
        why="The evaluation fails: Undefined symbol.",
        remedy="set it, or mend its spelling",
        wrong="$isWeekend = $curTime.weekday >= 6; " + _target("$isWeekend ? 0 : 4"),
        right=(
            "$curTime = time() + (1 * TimeInterval_Hour); $isWeekend = $curTime.weekday >= 6; "
            + _target("$isWeekend ? 0 : 4")
        ),
    ),
    Rule(
        id="AS011",
        severity="error",
        title="What the service sets is only read",
        why="The evaluation fails.",
        remedy="use another name, or a target",
        wrong="$CurrentDedicatedNodes = 3; " + _target("0"),
        right="currentNodes = $CurrentDedicatedNodes; " + _target("min(currentNodes, 10)"),
    ),
    Rule(
        id="AS012",
        severity="error",
        title="$NodeDeallocationOption is one of its four words",
        why="The service takes no other value and no expression.",
        remedy="write requeue, terminate, taskcompletion or retaineddata",
        wrong="$NodeDeallocationOption = sometimes;",
        right="$TargetDedicatedNodes = 0; $NodeDeallocationOption = taskcompletion;",
    ),
    Rule(
        id="AS013",
        severity="error",
        title="Functions, methods and members exist",
        why="The evaluation fails.",
        remedy="use one that exists; docs/autoscale.md lists them",
        wrong=_target("min(10, $PendingTasks.GetSample(1).Sum())"),
        right=_target("min(10, sum($PendingTasks.GetSample(1)))"),
    ),
    Rule(
        id="AS014",
        severity="error",
        title="Calls have as many arguments as the function takes",
        why="The evaluation fails.",
        remedy="give the arguments it takes",
        wrong="v = $PendingTasks.GetSample(1); " + _target("val(v)"),
        right="v = $PendingTasks.GetSample(1); " + _target("min(9, val(v, 0))"),
    ),
    Rule(
        id="AS015",
        severity="error",
        title="Arguments are of the type that the function takes",
        why="The evaluation fails.",
        remedy="give the type it takes",
        wrong=_target("min(TimeInterval_Hour, 10)"),
        right=_target(f"min({_LAST}, 10)"),
    ),
    Rule(
        id="AS016",
        severity="error",
        title="Operators meet types that they take",
        why="The documented table has no such operation; the evaluation fails.",
        remedy="bring both sides to types of the table",
        wrong=_target("$PendingTasks.GetSample(1) > 0 ? 1 : 0"),
        right=_target(f"{_LAST} > 0 ? 1 : 0"),
    ),
    Rule(
        id="AS017",
        severity="error",
        title="A condition is a double",
        why="The evaluation fails.",
        remedy="compare it with something",
        wrong=_target("$PendingTasks.GetSample(1) ? 1 : 0"),
        right=_target(f"{_LAST} ? 1 : 0"),
    ),
    Rule(
        id="AS018",
        severity="error",
        title="A target is a double",
        why="The evaluation fails.",
        remedy="reduce it to one number",
        wrong=_target("$PendingTasks.GetSample(1)"),
        right=_target(f"min(10, {_LAST})"),
    ),
    Rule(
        id="AS019",
        severity="error",
        title="time() reads W3C-DTF or RFC 1123",
        why="The evaluation fails; more than 7 digits behind the point are refused too.",
        remedy='write "2026-01-31T12:00:00Z"',
        wrong=_target('time() < time("2026-01-31T12:00:00.123456789Z") ? 1 : 0'),
        right=_target('time() < time("2026-01-31T12:00:00Z") ? 1 : 0'),
    ),
    Rule(
        id="AS101",
        severity="warning",
        title="Samples of a period are guarded by their percentage",
        why=(
            "On a fresh pool, or after an outage, GetSample fails with InsufficientSampleData"
            " and the pool stays as it is. Without a percentage it asks for 70."
        ),
        remedy="guard it: $X.GetSamplePercent(span) < 70 ? max(0, $X.GetSample(1)) : ...",
        wrong=_target("min(10, ceil(avg($PendingTasks.GetSample(15 * TimeInterval_Minute))))"),
        right=(
            "span = 15 * TimeInterval_Minute; "
            + _target(
                f"min(10, $PendingTasks.GetSamplePercent(span) < 70 ? {_LAST}"
                " : ceil(avg($PendingTasks.GetSample(span))))"
            )
        ),
    ),
    Rule(
        id="AS102",
        severity="warning",
        title="The guard asks for as many samples as the call behind it",
        why="Between the two percentages the guard lets through what then fails.",
        remedy="use one percentage and one period for both",
        wrong=(
            "span = 15 * TimeInterval_Minute; "
            + _target(
                f"min(10, $PendingTasks.GetSamplePercent(span) < 50 ? {_LAST}"
                " : ceil(avg($PendingTasks.GetSample(span))))"
            )
        ),
        right=(
            "span = 15 * TimeInterval_Minute; "
            + _target(
                f"min(10, $PendingTasks.GetSamplePercent(span) < 50 ? {_LAST}"
                " : ceil(avg($PendingTasks.GetSample(span, 50))))"
            )
        ),
    ),
    Rule(
        id="AS103",
        severity="warning",
        title="A period is long enough for samples that come late",
        why=(
            "A sample comes every 30 seconds and can be a minute late, so a short period"
            " never has the percentage asked for."
        ),
        remedy="look back 5 minutes at least",
        wrong=(
            "span = 2 * TimeInterval_Minute; "
            + _target(
                f"min(10, $PendingTasks.GetSamplePercent(span) < 70 ? {_LAST}"
                " : ceil(avg($PendingTasks.GetSample(span))))"
            )
        ),
        right=(
            "span = 5 * TimeInterval_Minute; "
            + _target(
                f"min(10, $PendingTasks.GetSamplePercent(span) < 70 ? {_LAST}"
                " : ceil(avg($PendingTasks.GetSample(span))))"
            )
        ),
    ),
    Rule(
        id="AS104",
        severity="warning",
        title="The most nodes are within the pool's limit or quota",
        why="The resize ends with an error such as AccountCoreQuotaReached, and fewer nodes.",
        remedy="lower the maximum, or raise the limit or quota",
        wrong=_target(f"min(100, {_LAST})"),
        right=_target(f"min(10, {_LAST})"),
        limits=Limits(max_dedicated_nodes=10),
    ),
    Rule(
        id="AS105",
        severity="warning",
        title="The target can return to zero",
        why="Nodes cost money while nothing runs, nights and weekends included.",
        remedy="let the least be 0, or tell the check that this minimum is meant",
        wrong=_target(f"max(1, min(10, {_LAST}))"),
        right=_target(f"max(0, min(10, {_LAST}))"),
    ),
    Rule(
        id="AS106",
        severity="warning",
        title="The target has a maximum",
        why="One large job asks for as many nodes as it has tasks.",
        remedy="cap it with min(most, ...)",
        wrong=_target(_LAST),
        right=_target(f"min(10, {_LAST})"),
    ),
    Rule(
        id="AS107",
        severity="warning",
        title="A function of samples works while there are none",
        why="On a fresh pool the vector is empty and has no maximum, least or average.",
        remedy="give the function a number as well, as in max(0, ...)",
        wrong=_target("min(10, max($PendingTasks.GetSample(1)))"),
        right=_target("min(10, max(0, $PendingTasks.GetSample(1)))"),
    ),
    Rule(
        id="AS108",
        severity="warning",
        title="$NodeDeallocationOption is set",
        why=(
            "It is requeue otherwise, at every evaluation: a smaller target kills running"
            " tasks, and their work is lost."
        ),
        remedy="add  $NodeDeallocationOption = taskcompletion;",
        wrong=f"$TargetDedicatedNodes = min(10, {_LAST});",
        right=_target(f"min(10, {_LAST})"),
    ),
    Rule(
        id="AS109",
        severity="info",
        title="Spot nodes are used where they are allowed",
        why="They cost a fraction of dedicated nodes.",
        remedy="give a share of the nodes to $TargetLowPriorityNodes",
        wrong=_target(f"min(10, {_LAST})"),
        right=f"$TargetLowPriorityNodes = min(8, {_LAST}); " + _target("0"),
        limits=Limits(max_low_priority_nodes=8),
    ),
    Rule(
        id="AS110",
        severity="warning",
        title="Tasks are divided by the slots of a node",
        why="The counters count tasks, so the pool grows to a multiple of what it needs.",
        remedy="divide:  ceil(tasks / $TaskSlotsPerNode)",
        wrong=_target(f"min(10, {_LAST})"),
        right=_target(f"min(10, ceil({_LAST} / 4))"),
        limits=Limits(task_slots_per_node=4),
    ),
    Rule(
        id="AS111",
        severity="warning",
        title="No divisor can be zero",
        why="The result is infinite or not a number, and a target that is either fails.",
        remedy="guard it:  x > 0 ? a / x : 0,  or divide by max(1, x)",
        wrong=(
            "nodes = max(0, $CurrentDedicatedNodes.GetSample(1)); "
            + _target(f"min(10, ceil({_LAST} / nodes))")
        ),
        right=(
            "nodes = max(0, $CurrentDedicatedNodes.GetSample(1)); "
            + _target(f"nodes > 0 ? min(10, ceil({_LAST} / nodes)) : 0")
        ),
    ),
    Rule(
        id="AS112",
        severity="info",
        title="What is set is read",
        why="It does nothing but stand in the results; often a name was meant elsewhere.",
        remedy="remove it, or use it",
        wrong="startingNumberOfVMs = 1; " + _target(f"min(10, {_LAST})"),
        right="most = 10; " + _target(f"min(most, {_LAST})"),
    ),
    Rule(
        id="AS113",
        severity="warning",
        title="Fractions are rounded on purpose",
        why="The service cuts a target toward zero: half a node is none, and the queue waits.",
        remedy="round up with ceil(...)",
        wrong=_target(f"min(10, {_LAST} / 4)"),
        right=_target(f"min(10, ceil({_LAST} / 4))"),
    ),
    Rule(
        id="AS114",
        severity="info",
        title="Hours and days are local on purpose",
        why="time() is UTC and the language has no time zones and no summer time.",
        remedy="shift it, as in  time() + (-6 * TimeInterval_Hour),  or mean UTC",
        wrong=_target("time().hour >= 8 && time().hour < 18 ? 4 : 0"),
        right=(
            "local = time() + 1 * TimeInterval_Hour; "
            + _target("local.hour >= 8 && local.hour < 18 ? 4 : 0")
        ),
    ),
    Rule(
        id="AS115",
        severity="warning",
        title="The queue counts tasks that run",
        why=(
            "$ActiveTasks are those that wait. As soon as all of them run the count is zero,"
            " and the pool shrinks under them."
        ),
        remedy="use $PendingTasks, which is active and running tasks",
        wrong=_target("min(10, max(0, $ActiveTasks.GetSample(1)))"),
        right=_target("min(10, max(0, $PendingTasks.GetSample(1)))"),
    ),
    Rule(
        id="AS116",
        severity="warning",
        title="Variables are not retired",
        why="The service no longer fills them with samples.",
        remedy="use a variable that has samples",
        wrong=_target("min(10, max(0, $SampleNodeCount.GetSample(1)))"),
        right=_target("min(10, max(0, $UsableNodeCount.GetSample(1)))"),
    ),
    Rule(
        id="AS117",
        severity="info",
        title="Names are the current ones",
        why="Old names work, some of them without a promise.",
        remedy="use the current name",
        wrong=f"$TargetDedicated = min(10, {_LAST});{_TAIL}",
        right=_target(f"min(10, {_LAST})"),
    ),
    Rule(
        id="AS118",
        severity="warning",
        title="Samples are asked for by a method",
        why=(
            "Only node counts and $TaskSlotsPerNode are documented, or seen, to work as a"
            " number; for the others it is not known."
        ),
        remedy="write  max(0, $X.GetSample(1))",
        wrong=_target("min(10, $PendingTasks)"),
        right=_target(f"min(10, {_LAST})"),
    ),
    Rule(
        id="AS119",
        severity="warning",
        title="A variable is not a service variable misspelt",
        why="It is a variable of your own, which nothing reads.",
        remedy="mend its spelling",
        wrong=f"$targetDedicatedNodes = min(10, {_LAST}); " + _target("0"),
        right=_target(f"min(10, {_LAST})"),
    ),
    Rule(
        id="AS120",
        severity="info",
        title="An age counts from the pool, not from the text",
        why=(
            "A time in the text changes when the text is rendered again: every deployment"
            " changes the pool and starts its youth anew."
        ),
        remedy="keep the time fixed, or guard by GetSamplePercent",
        wrong='age = time() - time("2026-01-31T12:00:00Z"); '
        + _target("age < TimeInterval_Hour ? 4 : 0"),
        right=_target('time() < time("2026-01-31T12:00:00Z") ? 4 : 0'),
    ),
    Rule(
        id="AS121",
        severity="warning",
        title="A target cannot be negative",
        why="What the service makes of it is not published; this evaluator takes zero.",
        remedy="write max(0, ...)",
        wrong=_target(f"min(10, {_LAST} - 3)"),
        right=_target(f"max(0, min(10, {_LAST} - 3))"),
    ),
    Rule(
        id="AS122",
        severity="info",
        title="A variable does not have the name of a function",
        why="The two live side by side, and the reader stumbles.",
        remedy="use another name",
        wrong=f"max = 10; {_target(f'min(max, {_LAST})')}",
        right=f"most = 10; {_target(f'min(most, {_LAST})')}",
    ),
    Rule(
        id="AS123",
        severity="warning",
        title="$CPUPercent is compared with a share",
        why="It goes from 0 to 1: the documentation writes 70 percent as 0.7.",
        remedy="compare with a number from 0 to 1",
        wrong=_target("max(0, $CPUPercent.GetSample(1)) > 70 ? 4 : 0"),
        right=_target("max(0, $CPUPercent.GetSample(1)) > 0.7 ? 4 : 0"),
    ),
    Rule(
        id="AS124",
        severity="info",
        title="The text is ASCII",
        why="Whether the limit of 8192 counts characters or bytes is not published.",
        remedy="write comments in ASCII when the text is long",
        wrong="// Knoten für später\n" + _target("0"),
        right="// Knoten fuer spaeter\n" + _target("0"),
    ),
    Rule(
        id="AS125",
        severity="warning",
        title="A target is set",
        why="The pool keeps its size for ever.",
        remedy="assign $TargetDedicatedNodes or $TargetLowPriorityNodes",
        wrong="$NodeDeallocationOption = taskcompletion;",
        right=_target("0"),
    ),
    Rule(
        id="AS126",
        severity="warning",
        title="Nothing depends on stop()",
        why="What it does to targets that are already set is not published.",
        remedy="choose with condition ? this : that",
        wrong=_target("0") + " stop(); $TargetLowPriorityNodes = 0;",
        right=_target("0") + " $TargetLowPriorityNodes = 0;",
    ),
    Rule(
        id="AS127",
        severity="warning",
        title="A date has its own weekday",
        why="Strict readers of RFC 1123 refuse it.",
        remedy="mend the weekday",
        wrong=_target('time() < time("Fri, 06 Oct 2014 10:20:00 GMT") ? 1 : 0'),
        right=_target('time() < time("Mon, 06 Oct 2014 10:20:00 GMT") ? 1 : 0'),
    ),
    Rule(
        id="AS128",
        severity="warning",
        title="A target is set by one of its names",
        why="The full name wins, whichever comes last.",
        remedy="use the full name alone",
        wrong="$TargetDedicatedNodes = 0; $TargetDedicated = 3;" + _TAIL,
        right=_target("0"),
    ),
    Rule(
        id="AS129",
        severity="warning",
        title="A variable has one type",
        why="One branch of a condition gives a type that a later operator does not take.",
        remedy="give both branches one type",
        wrong=(
            "x = $PendingTasks.Count() > 0 ? $PendingTasks.GetSample(1) : 0; "
            + _target("x > 3 ? 1 : 0")
        ),
        right=(
            "x = $PendingTasks.Count() > 0 ? val($PendingTasks.GetSample(1), 0) : 0; "
            + _target("x > 3 ? 1 : 0")
        ),
    ),
    Rule(
        id="AS130",
        severity="warning",
        title="No sample does not mean the most nodes",
        why=(
            "On a fresh pool GetSample(count) gives no value, and min() of a maximum and of no"
            " value is the maximum: the pool starts with all its nodes."
        ),
        remedy="write  min(20, max(0, $PendingTasks.GetSample(1)))",
        wrong=_target("min(20, $PendingTasks.GetSample(1))"),
        right=_target("min(20, max(0, $PendingTasks.GetSample(1)))"),
    ),
)

RULES: dict[str, Rule] = {rule.id: rule for rule in _ALL}
