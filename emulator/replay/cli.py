"""`python -m emulator replay`: plays a file of recorded exchanges and prints the differences."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emulator.replay.player import Played


def replay(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Recorded exchanges, one JSON object a line.")
    ],
    *,
    test: Annotated[
        str, typer.Option(metavar="NAME", help="Only tests whose name holds this.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Play what the real service answered to the emulator, and tell what differs.

    Each recorded test is played to an empty emulator in this process; no port is used.
    Exits with 1 when an answer differs without a known reason.

    Examples:
        python -m emulator replay tests/emulator/service/data/recordings.jsonl

        python -m emulator replay mine.jsonl --test JobOperations --json
    """
    # The whole emulator, which other commands need not wait for.
    from emulator.replay import player, recording  # noqa: PLC0415

    chosen = [one for one in recording.read(file) if test in one[0].test]
    if not chosen:
        raise typer.BadParameter(f"no test of {file} has {test!r} in its name")

    async def play() -> list[Played]:
        return [played for sequence in chosen for played in await player.play(sequence)]

    played = asyncio.run(play())
    counts = player.summary(played)
    as_text = _as_text(played, counts)
    typer.echo(json.dumps(_as_json(played, counts), indent=2) if as_json else as_text)
    if any(one.verdict == "different" for one in played):
        raise typer.Exit(1)


def _reasons(played: list[Played]) -> Counter[str]:
    return Counter(reason for one in played for reason in one.reasons)


def _as_text(played: list[Played], counts: Counter[str]) -> str:
    lines: list[str] = []
    for one in played:
        if one.verdict == "different":
            exchange = one.exchange
            lines.append(
                f"{exchange.test} ({exchange.api_version}): {exchange.method} {exchange.path}"
            )
            lines += [f"  {difference}" for difference in one.differences]
    verdicts = ("same", "named", "not played", "different")
    lines.append(", ".join(f"{counts[verdict]} {verdict}" for verdict in verdicts))
    lines += [f"{count:5} {reason}" for reason, count in _reasons(played).most_common()]
    return "\n".join(lines)


def _as_json(played: list[Played], counts: Counter[str]) -> dict[str, object]:
    return {
        "counts": dict(counts),
        "reasons": dict(_reasons(played).most_common()),
        "different": [
            {
                "test": one.exchange.test,
                "api_version": one.exchange.api_version,
                "request": f"{one.exchange.method} {one.exchange.path}",
                "differences": [str(difference) for difference in one.differences],
            }
            for one in played
            if one.verdict == "different"
        ],
    }
