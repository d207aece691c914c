"""What each example stack registers, as a text to read and to compare whole.

Refresh on purpose with `pytest tests/infra/test_goldens.py --refresh-goldens`, and read
the difference as a reviewer of a deployment would.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.arm.mocks import ProgramRun
from infra.sources import stack_names

GENERATED = re.compile(
    # Of principals and role assignments; roles themselves are well known and stay.
    r"(?<!roleDefinitions/)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    # What automatic names and pool names end with.
    r"|(?<=[a-z-])[0-9a-f]{8}(?=$|/)"
)
# Programs that travel to nodes have tests of their own.
LONG = 1500
GOLDENS = Path(__file__).with_name("goldens")


def test_a_stack_registers_what_its_golden_says(
    stack: str, provisioned: ProgramRun, request: pytest.FixtureRequest
) -> None:
    golden = GOLDENS / f"{stack}.yaml"
    text = render(provisioned)
    if request.config.getoption("--refresh-goldens", default=False):
        golden.write_text(text, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == text


def test_every_golden_is_of_a_stack() -> None:
    assert sorted(file.stem for file in GOLDENS.glob("*.yaml")) == stack_names()


def render(run: ProgramRun) -> str:
    resources = {
        f"{one.token.removeprefix('azure-native:')} {one.name}": shortened(dict(one.inputs))
        for one in run.arm.resources
        if one.token != "pulumi:pulumi:Stack"
    }
    return yaml.safe_dump(resources, width=99, sort_keys=True, allow_unicode=True)


def shortened(value: Any) -> Any:
    """Ids by their last two segments, `*` for what is generated, no long texts."""
    if isinstance(value, dict):
        return {
            key: "…" if key in {"formula", "serializedData"} else shortened(item)
            for key, item in value.items()
            if not key.startswith("__") and key != "tags"
        }
    if isinstance(value, list):
        return [shortened(item) for item in value]
    if not isinstance(value, str):
        return value
    if len(value) > LONG:
        return "…"
    if value.startswith("/subscriptions/"):
        value = "…/" + "/".join(value.split("/")[-2:])
    return GENERATED.sub("*", value)
