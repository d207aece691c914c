"""`schedule:` in a workload file: what it takes, what it refuses, and when it means."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checking import check
from jobs.errors import WorkloadError
from jobs.loading import LoadedWorkload
from jobs.schedules import occurrences, require_time, timing_text
from jobs.spec_schedule import SHORTEST, Schedule
from jobs.stack import Stack

MakeWorkload = Callable[..., LoadedWorkload]
HEAD = "name: nightly\npool: cpu\ncommand: x\n"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
moments = st.datetimes(
    datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001 - the strategy adds the zone
)  # fmt: skip
spans = st.timedeltas(SHORTEST, timedelta(days=400))


def schedule(workload: MakeWorkload, text: str, *overrides: str) -> Schedule:
    found = workload(f"{HEAD}schedule: {text}\n", *overrides).spec.schedule
    assert found is not None
    return found


def test_one_line_says_how_often(workload: MakeWorkload) -> None:
    assert schedule(workload, "1d").wire() == {"recurrenceInterval": "P1D"}


def test_everything_that_batch_knows_can_be_said(workload: MakeWorkload) -> None:
    text = "{every: 1d, start: 2026-12-01T06:00+01:00, until: 2027-01-01, start_window: 90m}"
    assert schedule(workload, text).wire() == {
        "doNotRunUntil": "2026-12-01T05:00:00Z",
        "doNotRunAfter": "2027-01-01T00:00:00Z",
        "startWindow": "PT1H30M",
        "recurrenceInterval": "P1D",
    }


def test_a_variable_may_say_how_often(workload: MakeWorkload) -> None:
    text = 'variables: {period: 1h}\nschedule: {every: "{period}"}\n'
    found = workload(HEAD + text, "period=2h").spec.schedule
    assert found is not None
    assert found.every == timedelta(hours=2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "neither how often"),
        ("{every: 59s}", "shorter than the service's shortest"),
        ("{every: 0s}", "shorter than"),
        ("{every: -5m}", "is no duration"),
        ("{every: 5}", "should be"),
        ("{every: 1d, start_window: 30s}", "shorter than"),
        ("{every: 1h, start_window: 2h}", "longer than every"),
        ("{every: 1h, start: 2026-12-02, until: 2026-12-01}", "until is not after start"),
        ("{every: 1h, start: 2026-12-02, until: 2026-12-02}", "until is not after start"),
        ("{start: 2026-12-01, until: 2026-12-02}", "there is no `every`"),
        ("{start: tomorrow}", "is no date or time"),
        ("{start: 2026}", "should be a date or a time"),
        ("{start: 2026-13-01}", "is no date or time"),
        ('{start: "0001-01-01T00:00+14:00"}', "is no date or time"),
        ("{cron: 0 6 * * *}", "no cron expression"),
        ("{evry: 1d}", "did you mean 'every'"),
        ("[1d]", "should be"),
        ("1x", "is no duration"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(
    workload: MakeWorkload, text: str, words: str
) -> None:
    with pytest.raises(WorkloadError) as error:
        schedule(workload, text)
    assert any(words in str(finding) for finding in error.value.findings), error.value
    assert all(finding.line == 4 for finding in error.value.findings)


def test_findings_of_a_schedule_come_with_all_others(workload: MakeWorkload) -> None:
    with pytest.raises(WorkloadError) as error:
        workload("name: n\npool: cpu\nschedule: {every: 1s, start: soon}\npriority: 5000\n")
    paths = {finding.path for finding in error.value.findings}
    assert {"schedule.every", "schedule.start", "priority"} <= paths


def test_a_stage_has_no_schedule(workload: MakeWorkload) -> None:
    with pytest.raises(WorkloadError, match=r"stages\.a\.schedule: is not a known key"):
        workload("name: n\npool: cpu\nstages:\n  a: {command: x, schedule: 1d}\n")


def test_nodes_that_run_windows_add_no_tasks_and_the_pools_that_do_are_named(
    workload: MakeWorkload, stack: Stack
) -> None:
    linux = stack.pools["cpu"]
    pools = {"cpu": linux.model_copy(update={"os": "windows"})}
    windows = stack.model_copy(update={"pools": pools})
    loaded = workload(HEAD + "schedule: 1d\n")
    with pytest.raises(WorkloadError, match=r"no Python.* add a Linux pool") as error:
        check(loaded, windows)
    (finding,) = error.value.findings
    assert (finding.path, finding.line) == ("schedule", 4)
    mixed = stack.model_copy(update={"pools": {**pools, "mpi": linux, "big": linux}})
    with pytest.raises(WorkloadError, match=r"name a Linux pool \(big, mpi\), or leave"):
        check(loaded, mixed)
    check(workload(HEAD), windows)


def test_nodes_without_an_identity_can_read_nothing_later(
    workload: MakeWorkload, stack: Stack
) -> None:
    pool = stack.pools["cpu"].model_copy(update={"identity_id": None})
    bare = stack.model_copy(update={"pools": {"cpu": pool}})
    with pytest.raises(WorkloadError, match="give it one in the stack's configuration"):
        check(workload(HEAD + "schedule: 1d\n"), bare)


def test_nodes_that_may_add_no_tasks_are_found_before_they_try(
    workload: MakeWorkload, stack: Stack
) -> None:
    entra = stack.model_copy(update={"authentication": "entra"})
    loaded = workload(HEAD + "schedule: 1d\n")
    with pytest.raises(WorkloadError, match=r"hpc:batch: \{nodes_submit_jobs: true\}"):
        check(loaded, entra)
    check(loaded, entra.model_copy(update={"nodes_submit_jobs": True}))
    check(workload(HEAD), entra)


@pytest.mark.parametrize(
    ("head", "rule", "warned"),
    [
        ("schedule: 1d", "", True),
        ("schedule: 1d", "on_failure: {3: continue}", True),
        ("schedule: 1d", "on_failure: {3: block, otherwise: stop}", True),
        ("schedule: 1d", "on_failure: stop", False),
        ("schedule: 1d", "on_failure: continue", False),
        ("priority: 0", "", False),
    ],
)
def test_a_job_that_nothing_would_end_is_warned_of_where_others_wait_for_it(
    workload: MakeWorkload, stack: Stack, head: str, rule: str, warned: bool
) -> None:
    text = f"name: n\npool: cpu\n{head}\nstages:\n  a:\n    command: x\n    {rule}\n"
    last = "  b: {command: y, after: a}\n"
    found = [one for one in check(workload(text + last), stack).warnings if one.code == "blocked"]
    assert [one.message.partition(":")[0] for one in found] == (["stage a"] if warned else [])
    single = check(workload(text), stack)
    assert [one.code for one in single.warnings] == []


def test_an_end_that_has_passed_is_refused(workload: MakeWorkload, stack: Stack) -> None:
    checked = check(workload(HEAD + "schedule: {every: 1d, until: 2026-11-21T11:00Z}\n"), stack)
    with pytest.raises(WorkloadError, match=r"schedule\.until: has passed"):
        require_time(checked.workload, NOW)
    require_time(checked.workload, NOW - timedelta(hours=2))


def test_when_it_runs_is_told_in_words(workload: MakeWorkload) -> None:
    text = "{every: 6h, start: 2026-12-01T06:00Z, until: 2027-01-01, start_window: 30m}"
    assert timing_text(schedule(workload, text)) == (
        "every 6h00m from 2026-12-01 06:00 UTC until 2027-01-01 00:00 UTC each within 30m00s"
    )


def test_without_an_interval_there_is_one_job(workload: MakeWorkload) -> None:
    once = schedule(workload, "{start: 2026-12-01}")
    assert list(occurrences(once, NOW)) == [datetime(2026, 12, 1, tzinfo=UTC)]


@given(
    every=spans,
    start=st.none() | moments,
    length=st.none() | spans,
    now=moments,
)
def test_jobs_are_due_at_equal_distances_and_within_bounds(
    every: timedelta, start: datetime | None, length: timedelta | None, now: datetime
) -> None:
    until = None if length is None else (start or now) + length
    timing = Schedule.model_construct(every=every, start=start, until=until, start_window=None)
    due = list(islice(occurrences(timing, now), 50))
    assert all(b - a == every for a, b in pairwise(due))
    assert all(at >= now and (start is None or at >= start) for at in due)
    first = now if start is None else start
    assert all((at - first) % every == timedelta(0) for at in due), "start has passed or not"
    assert due or until is not None
    assert not due or due[0] - max(first, now) < every
    assert all(until is None or at <= until for at in due)
    if due and len(due) < 50:
        assert until is not None
        assert due[-1] + every > until


def test_turns_are_counted_from_a_start_that_has_passed(workload: MakeWorkload) -> None:
    daily = schedule(workload, "{every: 1d, start: 2026-11-20T02:00Z}")
    assert next(occurrences(daily, NOW)) == datetime(2026, 11, 22, 2, tzinfo=UTC)
    assert daily.wire(NOW) == {
        "doNotRunUntil": "2026-11-22T02:00:00Z",
        "recurrenceInterval": "P1D",
    }
    on_time = datetime(2026, 11, 21, 2, tzinfo=UTC)
    assert daily.due_from(on_time) == on_time
    assert daily.wire()["doNotRunUntil"] == "2026-11-20T02:00:00Z", "its digest never changes"


def test_one_job_whose_start_has_passed_is_due_at_once(workload: MakeWorkload) -> None:
    once = schedule(workload, "{start: 2026-11-20}")
    assert list(occurrences(once, NOW)) == [NOW]
    assert once.wire(NOW) == {"doNotRunUntil": "2026-11-20T00:00:00Z"}


def test_an_end_before_the_next_turn_is_refused(workload: MakeWorkload) -> None:
    text = "{every: 1d, start: 2026-11-20T02:00Z, until: 2026-11-21T18:00Z}"
    with pytest.raises(WorkloadError, match=r"schedule\.until: comes before the next turn"):
        require_time(workload(f"{HEAD}schedule: {text}\n"), NOW)
    far = "{every: 3000000d, start: 2026-11-20}"
    with pytest.raises(WorkloadError, match=r"schedule\.every: .*there would be no job"):
        require_time(workload(f"{HEAD}schedule: {far}\n"), NOW)


@given(moment=moments, offset=st.integers(-14 * 60, 14 * 60))
def test_an_instant_is_the_same_in_every_zone(moment: datetime, offset: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(minutes=offset)))
    read = Schedule.model_validate({"start": elsewhere.isoformat()})
    assert read.start == moment
    assert read.start.tzinfo is UTC


@given(st.text(max_size=40))
def test_no_text_is_more_than_a_finding(text: str) -> None:
    try:
        found = Schedule.model_validate({"start": text, "every": text})
    except ValueError:
        return
    assert found.every is not None
    assert found.every >= SHORTEST
