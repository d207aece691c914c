"""Shows a job while it runs: redrawn on a terminal, lines elsewhere, all on stderr.

On a terminal at most five redraws a second and nothing left behind; elsewhere a line
when something changed, at most one in 30 seconds unless the job ends, a first task fails
or the reason for which nothing moves is another one; or, for programs, a JSON object a
change. A time left is only told after 30 tasks, and as a range: fewer say nothing. When the
service goes out of reach and when it is back, a line says so in either place, and stays.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Literal, Self, get_args

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.style import Style as TextStyle
from rich.text import Text

from jobs.durations import spoken
from jobs.looks import Look, PoolView, StageLook, TaskEnd, ended_how
from jobs.outages import OUTAGE_S
from jobs.pace import Pace, range_text
from jobs.prices import money
from jobs.stages import shown_task
from jobs.standing import look_json, outage_text

LINE_EVERY_S = 30.0
REDRAW_EVERY_S = 0.2
_BAR = 20
_LEAST_BAR = 4
_COLUMN = 7
_MOST_WORDS = 40
_LEAST_WORD = 8
_NODE_WORDS = {
    "running": "run",
    "idle": "idle",
    "creating": "boot",
    "starting": "boot",
    "waitingForStartTask": "boot",
    "rebooting": "boot",
    "reimaging": "boot",
    "upgradingOS": "boot",
    "leavingPool": "leaving",
    "deallocating": "leaving",
    "deallocated": "gone",
    "preempted": "preempted",
}
_HELD = frozenset({"disabling", "disabled", "enabling"})
_NOT_COMING = frozenset({"bad", "leaving", "gone", "preempted"})

Style = Literal["auto", "plain", "json", "none"]
STYLES = get_args(Style)


class Progress:
    """Shows looks at one job. A context manager, so that the terminal is left in order."""

    def __init__(
        self,
        console: Console,
        job_id: str,
        where: str,
        *,
        results: str = "",
        portal: str = "",
        cached: int = 0,
        said: str = "",
        currency: str = "USD",
        limit: float | None = None,
        style: Style = "auto",
        words: Callable[[str], str] = lambda _task_id: "",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Shows on `console` (stderr).

        Args:
            console: Where.
            job_id: Whose looks.
            where: The stack.
            results: Where results will be.
            portal: Address of a page that shows the job, for terminals that open links.
            cached: Tasks of an earlier attempt that are not run again.
            said: The line that was printed last, perhaps by another; it is not said twice.
            currency: Of costs.
            limit: What the job may cost, if that is limited.
            style: `auto` redraws on a terminal and prints lines elsewhere.
            words: The last words of a failed task; asked once for a task.
            now: Monotonic seconds.
        """
        self._console = console
        self._job_id = job_id
        self._where = where
        self._results = results
        self._portal = portal
        self._cached = cached
        self.said = said
        self._currency = currency
        self._limit = limit
        self._style = style
        self._words = words
        self._said: tuple[str, str] = ("", "")
        self._now = now
        self._began = now()
        self._pace = Pace(now=now)
        self._burn = Pace(now=now)
        self._stage_paces: dict[str, Pace] = defaultdict(lambda: Pace(now=now))
        self._line_at = float("-inf")
        self._drawn_at = float("-inf")
        self._last: Look | None = None
        live = console.is_terminal and style == "auto"
        self._live = Live(console=console, auto_refresh=False, transient=True) if live else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, look: Look) -> None:
        """Shows a look, if it tells something new."""
        self._pace.add(look.ended)
        if look.cost is not None:
            self._burn.add(look.cost)
        for stage in look.stages:
            self._stage_paces[stage.name].add(stage.ended)
        if self._style == "none":
            return
        if self._style == "json":
            if self._last is None or look_json(look) != look_json(self._last):
                line = json.dumps({"version": 1, "job_id": self._job_id, **look_json(look)})
                self._print(line)
            self._last = look
            return
        self._tell_of_outage(look)
        if self._live is not None:
            if self._now() - self._drawn_at >= REDRAW_EVERY_S or look.over:
                self._drawn_at = self._now()
                self._live.update(Group(*self._block(look)), refresh=True)
        elif self._worth_a_line(look) and (line := self._line(look)) != self.said:
            self._line_at = self._now()
            self.said = line
            self._print(line)
        self._last = look

    def _tell_of_outage(self, look: Look) -> None:
        """Says that nothing is known of the job any more, or is again."""
        outage = None if self._last is None else self._last.outage
        if look.outage == outage:
            return
        if look.outage is None:
            passed = "" if outage is None else spoken(max(0.0, time.time() - outage.since))
            said = f"in reach again, after {passed}"
        else:
            said = (
                f"{outage_text(look.outage)}; the job goes on, and this command waits for "
                f"{spoken(OUTAGE_S)} at most"
            )
        self._print(f"{self._job_id} @{self._where}: {said}")

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)

    def _worth_a_line(self, look: Look) -> bool:
        before = self._last
        if before is None or look.over != before.over or (look.failed and not before.failed):
            return True
        if look.job_state != before.job_state and not look.over:
            return True
        if look.reasons != before.reasons and look.reasons:
            return True
        changed = (look.ended, look.running) != (before.ended, before.running)
        return changed and self._now() - self._line_at >= LINE_EVERY_S

    def _line(self, look: Look) -> str:
        state = f" ({look.job_state})" if look.job_state in _HELD else ""
        parts = [f"{self._job_id} @{self._where}{state}: {look.ended}/{look.total} ended"]
        if look.running:
            parts.append(f"{look.running} running")
        if look.waiting:
            parts.append(f"{look.waiting} waiting")
        if look.failed:
            parts.append(f"{look.failed} failed")
        if look.unsubmitted:
            parts.append(f"{look.unsubmitted} not submitted")
        if look.never_ran:
            parts.append(f"{look.never_ran} never ran")
        if look.cost:
            parts.append(f"{money(look.cost, self._currency)} so far")
        line = ", ".join(parts)
        return f"{line} - {'; '.join(look.reasons)}" if look.reasons else line

    def _block(self, look: Look) -> list[Text]:
        lines = [self._title(look), self._tasks(look)]
        lines.extend(self._stages(look))
        if look.pool is not None:
            lines.append(_nodes(look.pool, look.at))
        if look.cost is not None:
            lines.append(self._cost(look))
        gap = None if look.job_over else missing(look.pool)
        if gap is not None and look.pool is not None:
            text = f"! {gap} node{'' if gap == 1 else 's'} missing: {look.pool.missing}"
            lines.append(Text(text, "yellow"))
        if look.outage is not None:
            lines.append(Text(f"! {outage_text(look.outage)}", "yellow"))
        lines.extend(Text(f"! {reason}", "yellow") for reason in look.reasons)
        if look.first_failure is not None:
            lines.append(self._failure(look.first_failure, look))
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return lines

    def _title(self, look: Look) -> Text:
        """Its first line; of what does not fit, the results go first: they have the job's id."""
        elapsed = round(self._now() - self._began)
        hours, minutes, seconds = elapsed // 3600, elapsed // 60 % 60, elapsed % 60
        clock = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
        state = "running" if look.running else look.job_state
        rest = f" @{self._where}  {state} {clock}"
        portal = "  portal" if self._portal else ""
        job_id = Text(self._job_id, "bold")
        room = self._console.width - cell_len(rest) - cell_len(portal)
        job_id.truncate(max(_LEAST_WORD, room), overflow="ellipsis")
        title = Text.assemble(job_id, rest)
        results = f"  → {self._results}" if self._results else ""
        if title.cell_len + cell_len(results) + cell_len(portal) <= self._console.width:
            title.append(results, "dim")
        if self._portal:
            title.append("  ")
            title.append("portal", TextStyle.parse(f"link {self._portal}"))
        return title

    def _tasks(self, look: Look) -> Text:
        kept = f" cached {self._cached}" if self._cached else ""
        counts = Text.assemble(
            f" {look.ended}/{look.total} run {look.running} wait {look.waiting}",
            f" ok {look.succeeded}",
            (f" ✘{look.failed}" if look.failed else "", "red"),
            f" ↻{look.retried}" if look.retried else "",
            kept,
            _speed(self._pace, look.total - look.ended),
        )
        return self._row("tasks", look, counts, self._room(counts))

    def _stages(self, look: Look) -> Iterator[Text]:
        """Stages that have begun and are not over; those that are over share a line."""
        done = [stage for stage in look.stages if stage.ended >= stage.total]
        if done:
            names = ", ".join(f"{stage.name} {stage.total}" for stage in done)
            yield Text(f"done   {names}", "dim")
        begun = {
            stage.name: (stage, self._stage_counts(stage))
            for stage in look.stages
            if stage.ended + (stage.running or 0) > 0 and stage.ended < stage.total
        }
        # bars that are compared are of one width
        room = min((self._room(counts) for _, counts in begun.values()), default=0)
        for name, (stage, counts) in begun.items():
            yield self._row(name, stage, counts, room)

    def _stage_counts(self, stage: StageLook) -> Text:
        pace = self._stage_paces[stage.name]
        runs = "" if stage.running is None else f" run {stage.running} wait {stage.waiting}"
        return Text.assemble(
            f" {stage.ended}/{stage.total}{runs} ok {stage.succeeded}",
            (f" ✘{stage.failed}" if stage.failed else "", "red"),
            f" ↻{stage.retried}" if stage.retried else "",
            _speed(pace, stage.total - stage.ended),
        )

    def _room(self, counts: Text) -> int:
        """How wide a bar may be beside these counts."""
        return self._console.width - _COLUMN - counts.cell_len

    @staticmethod
    def _row(name: str, of: Look | StageLook, counts: Text, room: int) -> Text:
        label = Text(name)
        label.truncate(_COLUMN - 1, overflow="ellipsis", pad=True)
        bar = _bar(of.ended, of.total, room, failed=bool(of.failed))
        return Text.assemble(label, " ", bar, counts)

    def _cost(self, look: Look) -> Text:
        cost = look.cost or 0.0
        text = f"cost   {money(cost, self._currency)}"
        left, rate = self._pace.left_s(look.total - look.ended), self._burn.per_s()
        if left is not None and rate:
            low, high = (money(cost + rate * seconds, self._currency) for seconds in left)
            text += f" → {low}" if low == high else f" → {low}-{high}"
        if self._limit is not None:
            text += f" (limit {money(self._limit, self._currency)})"
        return Text(text)

    def _failure(self, end: TaskEnd, look: Look) -> Text:
        """The first failure; what the task said gives way to the command that tells more."""
        counts = {stage.name: stage.total for stage in look.stages}
        name = shown_task(end.id, counts)
        command = f" → jobs logs {name}"
        what = ended_how(end.exit_code, end.failure, code_is="exit")
        told = Text(f"✘ {name} {what}")
        room = self._console.width - cell_len(command)
        if self._said[0] != end.id:
            self._said = (end.id, self._words(end.id))
        words = Text(self._said[1])
        left = min(_MOST_WORDS, room - told.cell_len - len(' ""'))
        if words and left >= _LEAST_WORD:
            words.truncate(left, overflow="ellipsis")
            told.append(f' "{words.plain}"')
        told.truncate(max(_LEAST_WORD, room), overflow="ellipsis")
        told.append(command)
        told.stylize("red")
        return told


def _speed(pace: Pace, left: int) -> str:
    """How fast tasks end, and how long those that are left may take; empty if unknown."""
    text = ""
    if rate := pace.per_s():
        text = f"  {rate:.2g}/s" if rate >= 0.1 else f"  {rate * 60:.2g}/min"  # noqa: PLR2004 - below, minutes say more
    if spread := pace.left_s(left):
        text += f"  ETA {range_text(*spread)}"
    return text


def missing(pool: PoolView | None) -> int | None:
    """Nodes that a pool wants and does not get, if the service says why."""
    if pool is None or not pool.missing:
        return None
    there = sum(n for state, n in pool.nodes.items() if _word(state) not in _NOT_COMING)
    return pool.target - there if pool.target > there else None


def _bar(part: int, whole: int, room: int, *, failed: bool) -> Text:
    width = max(_LEAST_BAR, min(_BAR, room))
    filled = width * part // whole if whole else 0
    color = "yellow" if failed else "green"
    return Text.assemble(("█" * filled, color), "░" * (width - filled))


def _nodes(pool: PoolView, at: float) -> Text:
    counts: dict[str, int] = {}
    for state, number in pool.nodes.items():
        word = _word(state)
        counts[word] = counts.get(word, 0) + number
    order = ("run", "idle", "boot", "leaving", "gone", "preempted", "bad")
    nodes = " ".join(f"{word} {counts[word]}" for word in order if word in counts)
    text = f"nodes  {nodes or 'none'} → target {pool.target}"
    if pool.evaluated is not None and at > pool.evaluated:
        text += f" (evaluated {spoken(at - pool.evaluated)} ago)"
    return Text(text)


def _word(state: str) -> str:
    return _NODE_WORDS.get(state, "bad")
