"""`python -m autoscale`: check, eval, explain, render, rules.

The one module that reads files, prints, and sets an exit status: 0 when all is well, 1
when a formula is wrong or fails, 2 when the command line, a file or a case is. Results go
to standard output, everything else to standard error; a file named `-` is standard input.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from autoscale.case import Case, read_case
from autoscale.checking import check
from autoscale.errors import AutoscaleError, FormulaError
from autoscale.evaluation import Evaluation, evaluate
from autoscale.explanation import explain
from autoscale.findings import Finding
from autoscale.limits import Limits
from autoscale.policies import FollowPending
from autoscale.rules import RULES
from autoscale.schedule import KeepWarm
from autoscale.semantics import Semantics
from autoscale.source import printable

_WRONG, _USAGE = 1, 2
# The hours of --keep-warm, where the command line does not say them.
_WARM = {"zone": "UTC", "hours": "8-18", "days": "1,2,3,4,5", "years": "2026-2030"}
_RANK = {"info": 0, "warning": 1, "error": 2}

_EXAMPLES = """\
examples:
  python -m autoscale check pool.formula        what is wrong, and will surprise
  python -m autoscale check -v --max-dedicated 20 --slots 4 pool.formula
  python -m autoscale explain pool.formula --case monday.json    why it is 7
  python -m autoscale eval pool.formula --case monday.json
  python -m autoscale render --max-dedicated 20 --max-spot 80 --slots 4
  python -m autoscale rules AS101               why a rule is there, examples

A case is a JSON file with what a formula is evaluated with, all of it optional:
  {"samples": {"$PendingTasks": [4, 4, null, 5],
               "$RunningTasks": {"repeat": 2, "n": 30}},
   "latency_s": 30, "targets": [1, 0], "now": "2025-01-06T12:00:00Z"}
"""


class UnreadableError(AutoscaleError):
    """A file cannot be read, or is not text."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Callable[..., None] | None = getattr(stream, "reconfigure", None)
        if reconfigure:
            # What a formula holds is the user's; no terminal's encoding may stop the report.
            reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(options)
        sys.stdout.flush()
    except FormulaError as error:
        print(printable_lines(f"{error}"), file=sys.stderr)  # noqa: T201 - a command line
        return _WRONG
    except AutoscaleError as error:
        print(printable_lines(f"error: {error}"), file=sys.stderr)  # noqa: T201 - a command line
        return _USAGE
    except BrokenPipeError:
        # Whoever read the output has seen enough; close it without a second complaint.
        sys.stderr.close()
        return _WRONG
    except OSError as error:
        print(f"error: cannot write: {error.strerror}", file=sys.stderr)  # noqa: T201 - a command line
        return _USAGE
    return status


def printable_lines(text: str) -> str:
    """Lines of a message without what a terminal would act upon."""
    return "\n".join(map(printable, text.split("\n")))


def _check(options: argparse.Namespace) -> int:
    limits = Limits(
        max_dedicated_nodes=options.max_dedicated,
        max_low_priority_nodes=options.max_spot,
        min_dedicated_nodes=options.min_dedicated,
        min_low_priority_nodes=options.min_spot,
        task_slots_per_node=options.slots,
    )
    ignored = {rule for given in options.ignore for rule in given.split(",")}
    unknown = sorted(ignored - set(RULES))
    if unknown:
        raise UnreadableError(f"--ignore: no such rule: {', '.join(unknown)}; see `rules`")
    worst, listed = -1, []
    for name in options.files:
        for finding in check(_read(name), limits=limits):
            if finding.id in ignored:
                continue
            worst = max(worst, _RANK[finding.severity])
            if options.json:
                listed.append({"file": name, **dataclasses.asdict(finding)})
            else:
                _print_finding(name, finding, verbose=options.verbose)
    if options.json:
        _print_json({"version": 1, "findings": listed})
    return _WRONG if worst >= _RANK[options.fail_on] else 0


def _print_finding(name: str, finding: Finding, *, verbose: bool) -> None:
    where = f"{printable(name)}:{finding.line}:{finding.column}"
    _print(f"{where}: {finding.id} {finding.severity}: {printable(finding.message)}")
    if verbose:
        _print(f"{finding.excerpt}\n  {printable(finding.remedy)}\n")


def _eval(options: argparse.Namespace) -> int:
    circumstances = _circumstances(options)
    evaluation = evaluate(_read(options.file), **circumstances)
    if options.json:
        _print_json(_evaluation_json(evaluation))
    elif evaluation.error is not None:
        _print_json(evaluation.error.to_json())
    else:
        _print(evaluation.results)
    return _WRONG if evaluation.error is not None else 0


def _explain(options: argparse.Namespace) -> int:
    circumstances = _circumstances(options)
    explanation = explain(_read(options.file), **circumstances)
    if options.json:
        lines = [dataclasses.asdict(line) for line in explanation.lines]
        _print_json({**_evaluation_json(explanation.evaluation), "lines": lines})
    else:
        sys.stdout.write(explanation.render())
    return _WRONG if explanation.evaluation.error is not None else 0


def _evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    targets, error = evaluation.targets, evaluation.error
    return {
        "version": 1,
        "results": evaluation.results,
        "error": error.to_json() if error else None,
        "dedicated_nodes": targets.dedicated_nodes,
        "low_priority_nodes": targets.low_priority_nodes,
        "node_deallocation_option": evaluation.node_deallocation_option,
    }


def _render(options: argparse.Namespace) -> int:
    text = FollowPending(
        max_dedicated_nodes=options.max_dedicated,
        min_dedicated_nodes=options.min_dedicated,
        max_spot_nodes=options.max_spot,
        min_spot_nodes=options.min_spot,
        spot_share=options.spot_share,
        spot_fallback_minutes=options.spot_fallback_minutes,
        task_slots_per_node=options.slots,
        nodes_per_task=options.nodes_per_task,
        idle_minutes=options.idle_minutes,
        max_step_up=options.max_step_up,
        max_step_down=options.max_step_down,
        keep_warm=_keep_warm(options),
        node_deallocation_option=options.deallocation,
    ).render()
    if options.json:
        _print_json({"version": 1, "formula": text})
    else:
        sys.stdout.write(text)
    return 0


def _keep_warm(options: argparse.Namespace) -> KeepWarm | None:
    if not options.keep_warm:
        given = [flag for flag in _WARM if getattr(options, flag) is not None]
        if given:
            flags = ", ".join(f"--{flag}" for flag in given)
            raise UnreadableError(f"{flags}: without effect; say how many nodes: --keep-warm 1")
        return None
    zone, hours, days, years = (getattr(options, flag) or _WARM[flag] for flag in _WARM)
    first, _, last = years.partition("-")
    begin, _, end = hours.partition("-")
    try:
        return KeepWarm(
            nodes=options.keep_warm,
            zone=zone,
            from_hour=int(begin),
            to_hour=int(end),
            days=tuple(int(day) for day in days.split(",")),
            first_year=int(first),
            last_year=int(last or first),
        )
    except ValueError:
        raise UnreadableError(
            "--hours 8-18, --days 1,2,3,4,5 and --years 2026-2028 are written in numbers"
        ) from None


def _rules(options: argparse.Namespace) -> int:
    unknown = [name for name in options.ids if name not in RULES]
    if unknown:
        raise UnreadableError(f"no such rule: {', '.join(unknown)}")
    chosen = [RULES[name] for name in options.ids or RULES]
    if options.json:
        _print_json({"version": 1, "rules": [dataclasses.asdict(rule) for rule in chosen]})
    elif not options.ids:
        for rule in chosen:
            _print(f"{rule.id} {rule.severity:8} {rule.title}")
    else:
        for rule in chosen:
            _print(f"{rule.id} ({rule.severity}): {rule.title}\n\n{rule.why}")
            _print(f"Remedy: {rule.remedy}.\n\nwrong:  {_short(rule.wrong)}")
            _print(f"right:  {_short(rule.right)}\n")
    return 0


def _short(formula: str, limit: int = 400) -> str:
    return formula if len(formula) <= limit else f"{formula[:limit]}..."


def _circumstances(options: argparse.Namespace) -> dict[str, Any]:
    """What `evaluate` and `explain` take beside the formula."""
    if options.case == options.file == "-":
        raise UnreadableError("FILE and --case are both standard input: give one of them a name")
    case = read_case(_read(options.case)) if options.case else Case()
    return {
        "samples": case.samples,
        "now": case.now,
        "targets": case.targets,
        "task_slots_per_node": case.task_slots_per_node,
        "semantics": Semantics(lenient=options.lenient),
    }


def _read(name: str) -> str:
    """The text of a file, its line ends as they are: columns and lengths count them."""
    try:
        found = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UnreadableError(f"{name}: {error.strerror or error}") from None
    except ValueError as error:
        raise UnreadableError(f"{name!r}: {error}") from None
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(
            f"{name}: not UTF-8 at byte {error.start}: save it as UTF-8"
        ) from None


def _print(text: str) -> None:
    print(text)  # noqa: T201 - a command line


def _print_json(value: object, stream: TextIO | None = None) -> None:
    print(json.dumps(value, indent=2), file=stream)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m autoscale",
        description="The autoscale formulas of Azure Batch: check, evaluate, explain, render.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_check(commands)
    for name, command, text in (
        ("eval", _eval, "print the results that the service answers for a case"),
        ("explain", _explain, "print the value of every sub-expression for a case"),
    ):
        one = _command(commands, name, command, text)
        one.add_argument("file", metavar="FILE", help="the formula; - is standard input")
        one.add_argument("--case", metavar="CASE", help="JSON file; - is standard input")
        one.add_argument("--lenient", action="store_true", help="take undocumented operators")
    _add_render(commands)
    rules = _command(commands, "rules", _rules, "list the rules of check, or tell of some")
    rules.add_argument("ids", metavar="ID", nargs="*", help="such as AS101")
    return parser


def _command(
    commands: Any, name: str, command: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=command)
    return parser


def _add_check(commands: Any) -> None:
    parser = _command(commands, "check", _check, "print what is wrong, one finding a line")
    parser.add_argument("files", metavar="FILE", nargs="+", help="formulas; - is standard input")
    parser.add_argument("-v", "--verbose", action="store_true", help="show place and remedy")
    parser.add_argument(
        "--ignore", metavar="ID", action="append", default=[], help="leave a rule out; repeatable"
    )
    parser.add_argument(
        "--fail-on",
        choices=list(_RANK),
        default="error",
        help="least severity that makes the exit status 1 (error)",
    )
    _add_pool(parser, least=None, slots=None)


def _add_pool(parser: argparse.ArgumentParser, *, least: int | None, slots: int | None) -> None:
    most, spot = (4, 0) if least is not None else (None, None)
    # A policy has its own words for what is wrong, all of it at once.
    kind = int if least is not None else _count
    for flag, default, text in (
        ("--max-dedicated", most, "most dedicated nodes of the pool"),
        ("--max-spot", spot, "most spot nodes of the pool"),
        ("--min-dedicated", 0, "dedicated nodes that stay while idle"),
        ("--min-spot", 0, "spot nodes that stay while idle"),
        ("--slots", slots, "task slots of a node"),
    ):
        shown = "" if default is None else f" ({default})"
        parser.add_argument(flag, type=kind, metavar="N", default=default, help=text + shown)


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise argparse.ArgumentTypeError(f"{count} is less than none")
    return count


def _add_render(commands: Any) -> None:
    parser = _command(commands, "render", _render, "print a formula that follows the queue")
    _add_pool(parser, least=0, slots=1)
    for flag, default, text in (
        ("--spot-fallback-minutes", 15, "replace spot nodes that stay away; 0 never does"),
        ("--nodes-per-task", 1, "nodes of a multi-instance task"),
        ("--idle-minutes", 15, "how long nothing runs before the pool is at its least"),
        ("--max-step-up", None, "most nodes added at once"),
        ("--max-step-down", None, "most nodes taken away at once"),
        ("--keep-warm", 0, "dedicated nodes kept in working hours"),
    ):
        shown = "" if default is None else f" ({default})"
        parser.add_argument(flag, type=int, metavar="N", default=default, help=text + shown)
    parser.add_argument(
        "--spot-share", type=float, metavar="X", default=1.0, help="share of spot, 0 to 1 (1)"
    )
    for flag, what in (
        ("zone", "time zone of the hours"),
        ("hours", "first and last hour"),
        ("days", "1 is Monday"),
        ("years", "whose clock changes are written out"),
    ):
        parser.add_argument(f"--{flag}", help=f"{what} ({_WARM[flag]})")
    parser.add_argument(
        "--deallocation", default="taskcompletion", help="what becomes of tasks (taskcompletion)"
    )
