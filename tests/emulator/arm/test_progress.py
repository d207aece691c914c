"""What the engine says comes to a person once."""

from __future__ import annotations

import pytest
from pulumi.automation import DiagnosticEvent, EngineEvent

from emulator.arm.progress import Progress

OWN = "Pulumi.local.yaml: 1 error\npools.cpu.size: is not a known key"
OF_THE_ENGINE = f"<{{%reset%}}>an unhandled error occurred: {OWN}<{{%reset%}}>"


def error(text: str) -> EngineEvent:
    diagnostic = DiagnosticEvent(message=text, color="never", severity="error")
    return EngineEvent(sequence=1, timestamp=0, diagnostic_event=diagnostic)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([OWN, OF_THE_ENGINE], [OWN]),
        ([OWN, OWN], [OWN]),
        ([OWN, "update failed", ""], [OWN]),
        (["one", "two"], ["one", "two"]),
    ],
)
def test_an_error_that_the_engine_repeats_is_told_once(said: list[str], told: list[str]) -> None:
    progress = Progress(lambda _: None)
    for text in said:
        progress(error(text))
    assert progress.errors == told
