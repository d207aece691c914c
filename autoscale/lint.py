"""Lint: what a formula does that nobody wants, though the service takes it.

Rules that look at names and words alone are here; those that ask how large a value can be
get it from `autoscale.estimator`. Each rule has its reason and an example in
`autoscale.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from autoscale.estimate import Estimate
from autoscale.estimator import estimated
from autoscale.inference import Inference, Report, guess
from autoscale.language import (
    ALIASES,
    DEALLOCATION,
    DEDICATED,
    FUNCTIONS,
    LOW_PRIORITY,
    SAMPLED,
    TARGETS,
    WRITABLE,
)
from autoscale.limits import Limits
from autoscale.source import Span
from autoscale.syntax import (
    Assignment,
    Call,
    Chain,
    Expression,
    Formula,
    MethodCall,
    Name,
    Number,
    Stop,
    String,
    walk,
)
from autoscale.values import wrong_weekday


def lint(formula: Formula, inference: Inference, limits: Limits) -> list[Report]:
    """Every report of the rules AS101 and above."""
    linter = _Linter(formula, inference, limits)
    return [report for rule in linter.rules for report in rule()]


class _Linter:
    def __init__(self, formula: Formula, inference: Inference, limits: Limits) -> None:
        self.formula = formula
        self.limits = limits
        self.estimates = estimated(formula, inference.types)
        self.assignments = [
            statement for statement in formula.statements if isinstance(statement, Assignment)
        ]
        self.nodes: list[tuple[Expression, Assignment]] = [
            (node, assignment)
            for assignment in self.assignments
            for node in walk(assignment.value)
        ]
        # Where a name or type is wrong, nothing can be said about sizes.
        sizes = (lambda: iter(self.estimates.reports), self.targets, self.deallocation)
        self.rules: tuple[Callable[[], Iterator[Report]], ...] = (
            *(sizes if not inference.has_errors else ()),
            self.unread,
            self.spelling,
            self.old_names,
            self.sampled_as_number,
            self.shares,
            self.stops,
            self.dates,
            self.text,
        )

    def targets(self) -> Iterator[Report]:
        """AS104 to AS106, AS109, AS110, AS113, AS115, AS121, AS125."""
        last = {
            ALIASES.get(assignment.target.name, assignment.target.name): assignment
            for assignment in self.assignments
        }
        if not any(name in last for name in TARGETS):
            yield _report("AS125", Span(start=0, end=0), "no target is set")
        for name in TARGETS:
            if name in last:
                estimate, span = self.estimates.targets[name], last[name].value.span
                yield from self.size(name, estimate, span)
                yield from self.origin(name, estimate, span)
        allowed = self.limits.max_low_priority_nodes
        spot = self.estimates.targets[LOW_PRIORITY] if LOW_PRIORITY in last else None
        if allowed and DEDICATED in last and (spot is None or spot.high < 1):
            text = f"{allowed} spot nodes are allowed, and none is ever asked for"
            yield _report("AS109", last[DEDICATED].target.span, text)

    def size(self, name: str, estimate: Estimate, span: Span) -> Iterator[Report]:
        dedicated = name == DEDICATED
        limits = self.limits
        most = limits.max_dedicated_nodes if dedicated else limits.max_low_priority_nodes
        least = limits.min_dedicated_nodes if dedicated else limits.min_low_priority_nodes
        if most is not None and estimate.high >= most + 1:
            reach = "any number" if estimate.high == float("inf") else f"{estimate.high:g}"
            yield _report("AS104", span, f"{name} can reach {reach}, the limit is {most}")
        elif most is None and estimate.high == float("inf"):
            yield _report("AS106", span, f"{name} has no maximum")
        if estimate.low >= least + 1:
            text = f"{name} is never below {estimate.low:g}"
            yield _report("AS105", span, text)
        elif name in estimate.floors:
            yield _report("AS105", span, f"{name} is never below what it was before")
        if estimate.low < 0:
            yield _report("AS121", span, f"{name} can be negative")

    def origin(self, name: str, estimate: Estimate, span: Span) -> Iterator[Report]:
        slots = self.limits.task_slots_per_node or 1
        counters = sorted(
            source
            for source in estimate.sources
            if source in SAMPLED and SAMPLED[source].is_task_counter
        )
        if slots > 1 and counters and not estimate.divided:
            text = f"{name} counts {counters[0]}, of which a node runs {slots}"
            yield _report("AS110", span, text)
        if estimate.fraction is not None:
            text = f"this fraction reaches {name}, which is cut toward zero"
            yield _report("AS113", estimate.fraction.span, text)
        if "$ActiveTasks" in counters and not {"$RunningTasks", "$PendingTasks"} & set(counters):
            yield _report("AS115", span, f"{name} counts waiting tasks, and not those that run")

    def deallocation(self) -> Iterator[Report]:
        names = {assignment.target.name for assignment in self.assignments}
        fixed = all(estimate.constant is not None for estimate in self.estimates.targets.values())
        if DEALLOCATION in names or fixed or not names & {*TARGETS, *ALIASES}:
            return
        last = next(
            assignment
            for assignment in reversed(self.assignments)
            if assignment.target.name in {*TARGETS, *ALIASES}
        )
        text = "nodes are taken away while tasks run: $NodeDeallocationOption is not set"
        yield _report("AS108", last.target.span, text)

    def unread(self) -> Iterator[Report]:
        """AS112: own variables that are not read before they are set again, or at all."""
        pending: dict[str, Assignment] = {}
        for assignment in self.assignments:
            for node in walk(assignment.value):
                if isinstance(node, Name):
                    pending.pop(node.name, None)
            name = assignment.target.name
            if name in WRITABLE:
                continue
            if name in pending:
                text = f"{name} is set again before it is read"
                yield _report("AS112", pending[name].target.span, text)
            pending[name] = assignment
        for name, assignment in pending.items():
            yield _report("AS112", assignment.target.span, f"{name} is set and never read")

    def spelling(self) -> Iterator[Report]:
        """AS119 and AS122: names beside those of the language."""
        read = {node.name for node, _ in self.nodes if isinstance(node, Name)}
        seen: set[str] = set()
        names = [*WRITABLE, *SAMPLED]
        for assignment in self.assignments:
            name = assignment.target.name
            if name in WRITABLE or name in SAMPLED or name in seen:
                continue
            seen.add(name)
            if name in FUNCTIONS:
                text = f"{name} is a function, and here a variable"
                yield _report("AS122", assignment.target.span, text)
            elif name not in read and (meant := guess(name, names, cutoff=0.88)):
                text = f"{name} is a variable of your own that nothing reads"
                yield _report("AS119", assignment.target.span, text, meant)

    def old_names(self) -> Iterator[Report]:
        """AS116, AS117 and AS128: names of former times."""
        names = {assignment.target.name for assignment in self.assignments}
        for assignment in self.assignments:
            full = ALIASES.get(assignment.target.name)
            if full in names:
                text = f"{assignment.target.name} and {full} are both set; this one has no effect"
                yield _report("AS128", assignment.target.span, text)
            elif full:
                text = f"{assignment.target.name} is the old name of {full}"
                yield _report("AS117", assignment.target.span, text, f"write {full}")
        for node, _ in self.nodes:
            if not isinstance(node, Name):
                continue
            sampled = SAMPLED.get(node.name)
            if sampled and sampled.retired:
                yield _report("AS116", node.span, f"{node.name} is retired", sampled.retired)
            new = sampled.old_name_of if sampled else ALIASES.get(node.name)
            if new:
                text = f"{node.name} is the old name of {new}"
                yield _report("AS117", node.span, text, f"write {new}")

    def sampled_as_number(self) -> Iterator[Report]:
        receivers = {id(node.receiver) for node, _ in self.nodes if isinstance(node, MethodCall)}
        for node, _ in self.nodes:
            if not isinstance(node, Name) or id(node) in receivers:
                continue
            if node.name in SAMPLED and not SAMPLED[node.name].is_scalar:
                text = f"{node.name} stands where a number should"
                remedy = f"write  max(0, {node.name}.GetSample(1))"
                yield _report("AS118", node.span, text, remedy)

    def shares(self) -> Iterator[Report]:
        """AS123: `$CPUPercent`, or a variable set from it alone, compared with more than 1."""
        shares: set[str] = set()
        for assignment in self.assignments:
            if _is_share(assignment.value, shares):
                shares.add(assignment.target.name)
        for node, _ in self.nodes:
            if not isinstance(node, Chain) or node.rest[0].operator not in {"<", "<=", ">", ">="}:
                continue
            sides = (node.first, node.rest[0].operand)
            for side, other in (sides, sides[::-1]):
                if isinstance(other, Number) and other.value > 1 and _is_share(side, shares):
                    text = f"$CPUPercent is never above 1, and so not {other.value:g}"
                    yield _report("AS123", node.span, text)

    def stops(self) -> Iterator[Report]:
        for statement in self.formula.statements:
            if isinstance(statement, Stop):
                text = "stop() ends the evaluation: what follows is never reached"
                yield _report("AS126", statement.span, text)
                return
        for node, _ in self.nodes:
            if isinstance(node, Call) and node.function == "stop":
                yield _report("AS126", node.span, "stop() ends the evaluation here")

    def dates(self) -> Iterator[Report]:
        for node, _ in self.nodes:
            if isinstance(node, Call) and node.function == "time" and node.arguments:
                (text,) = node.arguments[:1]
                day = wrong_weekday(text.value) if isinstance(text, String) else None
                if day:
                    yield _report("AS127", text.span, f"that day is a {day}")

    def text(self) -> Iterator[Report]:
        if self.formula.text.isascii():
            return
        for offset, character in enumerate(self.formula.text):
            if not character.isascii():
                span = Span(start=offset, end=offset + 1)
                yield _report("AS124", span, f"U+{ord(character):04X} is not ASCII")
                return


def _is_share(node: Expression, shares: set[str]) -> bool:
    """`$CPUPercent`, its samples, or their maximum, least or average."""
    match node:
        case Name():
            return node.name == "$CPUPercent" or node.name in shares
        case MethodCall():
            return node.method == "GetSample" and _is_share(node.receiver, shares)
        case Call(function="avg" | "max" | "min" | "val" | "percentile"):
            return any(_is_share(argument, shares) for argument in node.arguments)
    return False


def _report(rule: str, span: Span, message: str, remedy: str | None = None) -> Report:
    return Report(rule=rule, span=span, message=message, remedy=remedy)
