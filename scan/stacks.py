"""The estates that are scanned: every stack with a file, and one with all that is optional.

`optional.yaml` stands beside this module and not among the stacks, because nobody deploys
it: it asks for every part that a stack can have, so that each is scanned.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from emulator.arm.mocks import Registered, run_program
from infra.checking import plan_stack
from infra.errors import InfraError
from infra.platform import Platform
from infra.sources import PROJECT_ROOT, read_stack_file, stack_names
from scan.errors import StackError

OPTIONAL: Final = "optional"
_FILE: Final = Path(__file__).with_name("optional.yaml")


def scanned_stacks() -> tuple[str, ...]:
    """Their names, in order."""
    return tuple(sorted({*stack_names(), OPTIONAL}))


def stack_config(stack: str) -> dict[str, Any]:
    """A stack's raw config.

    Raises:
        StackError: There is no such stack.
    """
    if stack == OPTIONAL:
        document: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
        return document
    try:
        return read_stack_file(stack)
    except InfraError as error:
        raise StackError(f"{error}\nScanned besides: {OPTIONAL}.") from error


def registered(stack: str, config: Mapping[str, Any]) -> list[Registered]:
    """What the program registers for a stack, as Resource Manager would be asked for it.

    Raises:
        StackError: The stack cannot be deployed.
    """
    try:
        estate = plan_stack(stack, config, root=PROJECT_ROOT).deployable()
    except InfraError as error:
        raise StackError(str(error)) from error

    def program() -> None:
        Platform("hpc", estate)

    return run_program(program, project="hpc", stack=stack).arm.resources
