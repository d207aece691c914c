"""What the real service answered, replayed: statuses, headers, members, order, formats.

`data/recordings.jsonl` holds exchanges of public test recordings of the service's clients.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emulator.cli import app
from emulator.replay import known, player, recording
from emulator.replay.compare import Difference, bodies

FILE = Path(__file__).parent / "data" / "recordings.jsonl"
SEQUENCES = recording.read(FILE)
FIDELITY = Path(__file__).parents[3] / "docs" / "emulator.md"
PLAYED_AT_LEAST = 630
"""Of 770: so many were when this was written; a rule that swallows more shows here."""
SAME_AT_LEAST = 345


@pytest.mark.parametrize(
    "sequence", SEQUENCES, ids=lambda s: f"{s[0].test} {s[0].api_version} {len(s)}"
)
async def test_the_emulator_answers_as_the_service_did(sequence: recording.Sequence) -> None:
    found = [
        f"{one.exchange.method} {one.exchange.path}: {difference}"
        for one in await player.play(sequence)
        for difference in one.differences
    ]
    assert not found, "\n".join(found)


async def test_most_of_what_was_recorded_is_played_and_each_reason_is_documented() -> None:
    played = [one for sequence in SEQUENCES for one in await player.play(sequence)]
    counts = player.summary(played)
    assert sum(counts.values()) == 770
    assert counts["same"] >= SAME_AT_LEAST
    assert counts["same"] + counts["named"] >= PLAYED_AT_LEAST
    page = re.sub(r"\s+", " ", FIDELITY.read_text(encoding="utf-8"))
    reasons = {reason.partition(": ")[0] for one in played for reason in one.reasons}
    assert {reason for reason in reasons if reason not in page} == set()
    unused = {rule.reason for rule in known.TABLE} - {r for one in played for r in one.reasons}
    assert unused == set(), "a rule explains nothing any more: delete it"


def test_two_bodies_differ_in_members_their_order_values_and_lengths() -> None:
    recorded = {"a": 1, "b": [{"t": "2020-01-01T00:00:00Z"}], "c": "x", "d": 0}
    answered = {"b": [{"t": "2026-01-01T00:00:00.5Z"}, 1], "a": 2, "c": "x", "e": 1}
    found = {(d.kind, d.where) for d in bodies(recorded, answered)}
    assert found == {
        ("value", "a"), ("length", "b[]"), ("missing", "d"), ("added", "e"), ("order", "(body)"),
    }  # fmt: skip


def test_a_difference_without_a_reason_has_none() -> None:
    context = known.Context(
        exchange=SEQUENCES[0][0], operation="get_job", given=False, blurred=False
    )
    assert known.reason(context, Difference(kind="missing", where="priority", recorded=0)) == ""


def test_replay_tells_what_differs_and_exits_with_1(tmp_path: Path) -> None:
    exchange = {
        "test": "mine",
        "api_version": "2025-06-01",
        "method": "POST",
        "path": "/jobs",
        "request_body": {"id": "j", "poolInfo": {"poolId": "p"}},
        "status": 201,
    }
    then = {
        "test": "mine", "n": 1, "api_version": "2025-06-01", "method": "GET",
        "path": "/jobs/j?$select=id,priority", "status": 200,
        "response_body": {"odata.metadata": "https://x/#jobs", "id": "j", "priority": 7},
    }  # fmt: skip
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps({**exchange, "n": 0}) + "\n" + json.dumps(then) + "\n")
    done = CliRunner().invoke(app, ["replay", str(file), "--json"])
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert said["counts"] == {"same": 1, "different": 1}
    assert said["different"][0]["differences"][1:] == ["priority: value recorded 7, answered 0"]


def test_a_file_that_is_no_recording_is_told_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text('{"test": "x"}\nnothing\n')
    with pytest.raises(recording.RecordingError) as told:
        recording.read(file)
    text = str(told.value)
    assert f"{file}:1: api_version" in text
    assert f"{file}:2: line" in text
