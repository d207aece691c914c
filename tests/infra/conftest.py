"""What tests of `infra` share: a provisioned estate without an engine."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable

import pulumi
import pytest

from emulator.arm.mocks import ProgramRun, run_program
from infra.checking import plan_stack
from infra.estate import Estate
from infra.platform import Platform
from infra.sources import PROJECT_ROOT, read_stack_file, stack_names

Provision = Callable[[Estate], ProgramRun]
Example = Callable[[str], Estate]


@pytest.fixture(scope="session")
def provision() -> Provision:
    """Runs the platform over an estate against a model of Resource Manager."""

    def run(estate: Estate) -> ProgramRun:
        def program() -> None:
            for name, value in Platform("hpc", estate).outputs.items():
                pulumi.export(name, value)

        return run_program(program, project="hpc", stack=estate.stack)

    return run


@pytest.fixture(scope="session")
def example() -> Example:
    """The planned estate of a stack file in the repository."""

    def plan(stack: str) -> Estate:
        return plan_stack(stack, read_stack_file(stack), root=PROJECT_ROOT).deployable()

    return plan


@pytest.fixture(scope="session")
def provisioned(stack: str) -> ProgramRun:
    """What `__main__.py` registers and exports for an example stack, run once."""
    config = {
        f"hpc:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in read_stack_file(stack).items()
    }
    main = str(PROJECT_ROOT / "__main__.py")
    return run_program(
        lambda: void(runpy.run_path(main)), project="hpc", stack=stack, config=config
    )


def void(_: object) -> None:
    """Drops what a program's module holds."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The flag without which no test writes its own record."""
    parser.addoption(
        "--refresh-goldens", action="store_true", help="write goldens anew, to be read in a diff"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that asks for a `stack` over every example stack."""
    if "stack" in metafunc.fixturenames:
        metafunc.parametrize("stack", stack_names(), scope="session")
