"""What a policy promises, over any history of samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autoscale import Evaluation, Limits, PolicyError, Targets, check, evaluate, parse
from autoscale.policies import FollowPending
from autoscale.schedule import KeepWarm

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
Series = Sequence[float | None]


@st.composite
def warm_hours(draw: st.DrawFn) -> KeepWarm:
    """Any hours of a week but all of them."""
    from_hour, to_hour = draw(st.integers(0, 23)), draw(st.integers(1, 24))
    days = draw(st.sets(st.integers(1, 7), min_size=1))
    assume(len(days) < 7 or (to_hour - from_hour) % 24 != 0)
    return KeepWarm(
        nodes=1,
        zone=draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])),
        from_hour=from_hour,
        to_hour=to_hour,
        days=tuple(sorted(days)),
        first_year=2026,
        last_year=2027,
    )


@st.composite
def policies(draw: st.DrawFn) -> FollowPending:
    """Any policy whose parameters do not contradict each other."""
    group = draw(st.sampled_from([1, 1, 2, 8]))
    most, spot = draw(st.integers(0, 4)) * group, draw(st.integers(0, 4)) * group
    assume(most or spot)
    steps = st.one_of(st.none(), st.integers(1, 3).map(lambda step: step * group))
    return FollowPending(
        max_dedicated_nodes=most + draw(st.integers(0, group - 1)) * (most > 0),
        min_dedicated_nodes=draw(st.integers(0, most // group)) * group,
        max_spot_nodes=spot,
        min_spot_nodes=draw(st.integers(0, spot // group)) * group,
        spot_share=draw(st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0])),
        spot_fallback_minutes=draw(st.sampled_from([0, 5, 15])),
        task_slots_per_node=draw(st.integers(1, 5)) if group == 1 else 1,
        nodes_per_task=group,
        idle_minutes=draw(st.sampled_from([4, 5, 15, 60])),
        max_step_up=draw(steps),
        max_step_down=draw(steps),
        keep_warm=draw(st.one_of(st.none(), warm_hours())) if group == 1 and most else None,
    )


values = st.lists(st.one_of(st.none(), st.integers(0, 60).map(float)), max_size=130)


def timed(series: Series, now: datetime = NOW) -> list[tuple[float, float]]:
    """Samples every 30 seconds up to now; None is one that got lost."""
    last = len(series) - 1
    return [
        (now.timestamp() - 30 * (last - place), value)
        for place, value in enumerate(series)
        if value is not None
    ]


def run(
    policy: FollowPending,
    targets: Targets,
    now: datetime = NOW,
    **series: Series,
) -> Evaluation:
    samples = {f"${name}": timed(found, now) for name, found in series.items()}
    evaluation = evaluate(policy.render(), samples=samples, now=now, targets=targets)
    assert evaluation.error is None, evaluation.error
    return evaluation


def before(policy: FollowPending, draw: st.DataObject) -> Targets:
    """Any targets that the policy itself may have set."""
    group = policy.nodes_per_task

    def multiple(least: int, most: int) -> int:
        return draw.draw(st.integers(least // group, most // group)) * group

    return Targets(
        dedicated=multiple(policy.min_dedicated_nodes, policy.max_dedicated_nodes),
        low_priority=multiple(policy.min_spot_nodes, policy.max_spot_nodes),
    )


def limits(policy: FollowPending) -> Limits:
    return Limits(
        max_dedicated_nodes=policy.max_dedicated_nodes,
        max_low_priority_nodes=policy.max_spot_nodes,
        min_dedicated_nodes=policy.min_dedicated_nodes,
        min_low_priority_nodes=policy.min_spot_nodes,
        task_slots_per_node=policy.task_slots_per_node,
    )


@given(policies())
def test_a_policy_passes_its_own_lint(policy: FollowPending) -> None:
    assert check(policy.render(), limits=limits(policy)) == []


@given(policies(), values, values, values, values, st.data())
def test_targets_lie_between_least_and_most(
    policy: FollowPending,
    pending: Series,
    running: Series,
    spot: Series,
    gone: Series,
    data: st.DataObject,
) -> None:
    targets = run(
        policy,
        before(policy, data),
        PendingTasks=pending,
        RunningTasks=running,
        CurrentLowPriorityNodes=spot,
        PreemptedNodeCount=gone,
    ).targets
    assert policy.min_dedicated_nodes <= targets.dedicated <= policy.max_dedicated_nodes
    assert policy.min_spot_nodes <= targets.low_priority <= policy.max_spot_nodes
    for target in (targets.dedicated, targets.low_priority):
        assert target % policy.nodes_per_task == 0


@given(policies(), values, st.data())
def test_a_longer_queue_never_gets_fewer_nodes(
    policy: FollowPending, pending: Series, data: st.DataObject
) -> None:
    more = [value if value is None else value + data.draw(st.integers(0, 9)) for value in pending]
    targets = before(policy, data)
    less_is, more_is = (
        run(policy, targets, PendingTasks=series).targets for series in (pending, more)
    )
    assert less_is.low_priority <= more_is.low_priority
    total = less_is.dedicated + less_is.low_priority
    assert total <= more_is.dedicated + more_is.low_priority


@given(policies(), st.data())
def test_an_idle_pool_returns_to_its_least(policy: FollowPending, data: st.DataObject) -> None:
    busy: Series = [float(value) for value in data.draw(st.lists(st.integers(0, 60), max_size=9))]
    idle: Series = [0.0] * (policy.idle_minutes * 2)
    targets = before(policy, data)
    for _ in range(40):
        targets = run(
            policy, targets, PendingTasks=[*busy, *idle], RunningTasks=[*busy, *idle]
        ).targets
    warm = policy.keep_warm.nodes if policy.keep_warm else 0
    assert targets.low_priority == policy.min_spot_nodes
    assert targets.dedicated <= max(policy.min_dedicated_nodes, warm)
    if warm == 0:
        assert targets.dedicated == policy.min_dedicated_nodes


@given(policies(), values, st.data())
def test_what_runs_keeps_its_nodes(
    policy: FollowPending, waiting: Series, data: st.DataObject
) -> None:
    running: Series = [
        value if value is None else float(data.draw(st.integers(0, int(value))))
        for value in waiting
    ]
    after = run(policy, before(policy, data), PendingTasks=waiting, RunningTasks=running).targets
    seen = [value for value in running if value is not None]
    group = policy.nodes_per_task
    needed = math.ceil((seen[-1] if seen else 0) / policy.task_slots_per_node)
    needed = math.ceil(needed / group) * group
    room = (policy.max_dedicated_nodes // group + policy.max_spot_nodes // group) * group
    assert after.dedicated + after.low_priority >= min(needed, room)


@given(policies(), values, st.data())
def test_steps_are_held(policy: FollowPending, pending: Series, data: st.DataObject) -> None:
    then = before(policy, data)
    now = run(policy, then, PendingTasks=pending).targets
    up = policy.max_step_up if policy.max_step_up is not None else math.inf
    down = policy.max_step_down if policy.max_step_down is not None else math.inf
    warm = policy.keep_warm.nodes if policy.keep_warm else 0
    least = max(policy.min_dedicated_nodes, warm)
    assert then.dedicated - down <= now.dedicated <= max(least, then.dedicated + up)
    assert then.low_priority - down <= now.low_priority
    assert now.low_priority <= max(policy.min_spot_nodes, then.low_priority + up)


@given(policies(), st.data())
def test_an_idle_pool_whose_spot_nodes_never_came_returns_to_its_least(
    policy: FollowPending, data: st.DataObject
) -> None:
    idle: Series = [0.0] * (max(policy.idle_minutes, policy.spot_fallback_minutes) * 2)
    targets = before(policy, data)
    for _ in range(40):
        targets = run(
            policy,
            targets,
            PendingTasks=idle,
            RunningTasks=idle,
            CurrentLowPriorityNodes=idle,
            PreemptedNodeCount=idle,
        ).targets
    warm = policy.keep_warm.nodes if policy.keep_warm else 0
    # Spot nodes that are to stay and stay away are replaced for as long.
    replaced = policy.min_spot_nodes if policy.spot_fallback_minutes else 0
    assert targets.low_priority == policy.min_spot_nodes
    assert targets.dedicated <= max(policy.min_dedicated_nodes, warm, replaced)


def test_a_pool_at_zero_grows_with_the_first_sample_and_returns_when_idle() -> None:
    policy = FollowPending()
    assert run(policy, Targets()).targets.dedicated_nodes == 0
    assert run(policy, Targets(), PendingTasks=[3.0]).targets.dedicated_nodes == 3
    assert run(policy, Targets(), PendingTasks=[99.0]).targets.dedicated_nodes == 4
    kept = run(policy, Targets(dedicated=4), PendingTasks=[9.0] * 5 + [0.0] * 25)
    assert kept.targets.dedicated_nodes == 2
    idle = run(policy, Targets(dedicated=4), PendingTasks=[9.0] * 5 + [0.0] * 30)
    assert idle.targets.dedicated_nodes == 0
    assert idle.node_deallocation_option == "taskcompletion"


def test_tasks_share_the_slots_of_a_node() -> None:
    policy = FollowPending(max_dedicated_nodes=10, task_slots_per_node=4)
    for tasks, nodes in ((1, 1), (4, 1), (5, 2), (17, 5), (400, 10)):
        assert run(policy, Targets(), PendingTasks=[float(tasks)]).targets.dedicated == nodes


def test_a_task_of_eight_nodes_gets_eight_or_none() -> None:
    policy = FollowPending(max_dedicated_nodes=20, nodes_per_task=8)
    for tasks, nodes in ((0, 0), (8, 8), (9, 16), (16, 16), (800, 16)):
        assert run(policy, Targets(), PendingTasks=[float(tasks)]).targets.dedicated == nodes


def test_spot_nodes_that_stay_away_are_replaced_until_they_come() -> None:
    policy = FollowPending(max_dedicated_nodes=10, max_spot_nodes=10, spot_fallback_minutes=5)
    asked = run(policy, Targets(), PendingTasks=[8.0]).targets
    assert (asked.dedicated, asked.low_priority) == (0, 8)
    window, none = 10, [0.0] * 10
    waiting = run(
        policy,
        asked,
        PendingTasks=[8.0] * window,
        CurrentLowPriorityNodes=[3.0] * window,
        PreemptedNodeCount=none,
    ).targets
    assert (waiting.dedicated, waiting.low_priority) == (5, 8)
    come = run(
        policy,
        waiting,
        PendingTasks=[8.0] * window,
        CurrentLowPriorityNodes=[8.0] * window,
        PreemptedNodeCount=none,
    ).targets
    assert (come.dedicated, come.low_priority) == (0, 8)
    taken = run(
        policy,
        come,
        PendingTasks=[8.0] * window,
        CurrentLowPriorityNodes=[8.0] * window,
        PreemptedNodeCount=[2.0] * window,
    ).targets
    assert (taken.dedicated, taken.low_priority) == (2, 8)


def test_a_share_of_spot_gives_the_rest_to_dedicated() -> None:
    policy = FollowPending(max_dedicated_nodes=4, max_spot_nodes=20, spot_share=0.5)
    for tasks, dedicated, spot in ((2, 1, 1), (8, 4, 4), (20, 4, 16), (99, 4, 20)):
        targets = run(policy, Targets(), PendingTasks=[float(tasks)]).targets
        assert (targets.dedicated, targets.low_priority) == (dedicated, spot)


def test_a_policy_is_small_and_the_same_every_time() -> None:
    text = FollowPending(max_dedicated_nodes=20, max_spot_nodes=80, task_slots_per_node=4).render()
    assert (
        text
        == FollowPending(max_dedicated_nodes=20, max_spot_nodes=80, task_slots_per_node=4).render()
    )
    assert len(text) < 1600
    assert len(parse(text).statements) < 20


def test_contradictions_are_told_all_at_once() -> None:
    with pytest.raises(PolicyError) as caught:
        FollowPending(
            max_dedicated_nodes=2,
            min_dedicated_nodes=3,
            min_spot_nodes=1,
            spot_share=1.5,
            task_slots_per_node=0,
            nodes_per_task=8,
            idle_minutes=1,
            node_deallocation_option="sometimes",
        )
    text = str(caught.value)
    for name in (
        "min_dedicated_nodes is above",
        "min_spot_nodes is above",
        "spot_share",
        "task_slots_per_node is 0",
        "max_dedicated_nodes is",
        "idle_minutes",
        "node_deallocation_option",
    ):
        assert f"FollowPending.{name}" in text


@given(warm_hours(), st.integers(0, 2 * 365 * 24 * 60 - 1))
def test_warm_hours_are_those_of_the_zone(warm: KeepWarm, minute: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    local = now.astimezone(ZoneInfo(warm.zone))
    begun = local.replace(tzinfo=None) - timedelta(hours=warm.from_hour)
    hours = (warm.to_hour - warm.from_hour - 1) % 24 + 1
    expected = begun.isoweekday() in warm.days and begun.hour < hours
    targets = run(FollowPending(keep_warm=warm), Targets(), now).targets
    assert targets.dedicated_nodes == int(expected)


@pytest.mark.parametrize(
    ("moment", "warm"),
    [
        ("2026-03-27T06:59:59", False),  # Friday, winter: 07:59 in Berlin
        ("2026-03-27T07:00:00", True),
        ("2026-03-30T05:59:59", False),  # Monday, summer: 07:59 in Berlin
        ("2026-03-30T06:00:00", True),
        ("2026-03-30T16:00:00", False),  # 18:00
        ("2026-03-28T10:00:00", False),  # Saturday
        ("2029-07-02T07:30:00", True),  # behind the last year the last offset stays
        ("2029-07-02T06:30:00", False),
    ],
)
def test_the_clock_changes_in_berlin(moment: str, *, warm: bool) -> None:
    policy = FollowPending(
        keep_warm=KeepWarm(nodes=2, zone="Europe/Berlin", first_year=2026, last_year=2028)
    )
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert run(policy, Targets(), now).targets.dedicated == (2 if warm else 0)


def test_a_schedule_that_is_none_says_why() -> None:
    with pytest.raises(PolicyError) as caught:
        KeepWarm(
            nodes=0,
            zone="Berlin",
            from_hour=24,
            to_hour=0,
            days=(),
            first_year=2026,
            last_year=2020,
        )
    for name in ("nodes", "zone", "from_hour", "to_hour", "days", "last_year"):
        assert f"KeepWarm.{name}" in str(caught.value)
    for zone in ("../etc/passwd", "/etc/passwd", "", "x\x00"):
        with pytest.raises(PolicyError, match="zone"):
            KeepWarm(zone=zone, first_year=2026, last_year=2026)


def test_hours_that_never_end_are_a_least_number_of_nodes() -> None:
    with pytest.raises(PolicyError, match="min_dedicated_nodes"):
        KeepWarm(from_hour=7, to_hour=7, days=tuple(range(1, 8)), first_year=2026, last_year=2026)


@pytest.mark.parametrize("share", [1e-9, 1 / 3, 0.1 + 0.2])
def test_any_share_is_written_as_the_language_writes_numbers(share: float) -> None:
    policy = FollowPending(max_dedicated_nodes=8, max_spot_nodes=8, spot_share=share)
    assert check(policy.render(), limits=limits(policy)) == []
    assert run(policy, Targets(), PendingTasks=[8.0]).targets.low_priority == math.ceil(8 * share)


@pytest.mark.parametrize(
    ("dedicated", "spot", "name"),
    [(16, 3, "max_spot_nodes is 3"), (3, 16, "max_dedicated_nodes is 3")],
)
def test_a_maximum_without_room_for_one_task_is_refused(
    dedicated: int, spot: int, name: str
) -> None:
    with pytest.raises(PolicyError, match=name):
        FollowPending(max_dedicated_nodes=dedicated, max_spot_nodes=spot, nodes_per_task=8)
