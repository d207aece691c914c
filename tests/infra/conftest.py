"""What tests of `infra` share: a provisioned estate without an engine."""

from __future__ import annotations

import asyncio
import gc
import json
import runpy
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi import automation

from emulator.arm.deployment import begin_program, end_programs
from emulator.arm.memory import MemoryBackend
from emulator.arm.mocks import ProgramRun, run_program
from emulator.arm.provider import start_provider
from infra.checking import plan_stack
from infra.estate import Estate
from infra.hooks import ENV_DELETE_BUSY_POOLS
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


@dataclass(frozen=True)
class Engine:
    """The real engine with an empty stack, and what stands behind Resource Manager."""

    stack: automation.Stack
    file: Path
    backend: MemoryBackend

    def configure(
        self, config: Mapping[str, Any], others: Mapping[str, str] | None = None
    ) -> None:
        """Writes the stack file anew: `config` under `hpc:`, others as they are."""
        values = {f"hpc:{key}": value for key, value in config.items()}
        document = {"config": {**values, **(others or {})}}
        self.file.write_text(
            yaml.safe_dump({**yaml.safe_load(self.file.read_text(encoding="utf-8")), **document}),
            encoding="utf-8",
        )

    def looked_at(self) -> tuple[set[str], set[str]]:
        """What a refresh and a preview would do to resources: nothing but `same`, each.

        Raises:
            CommandError: The engine finds a difference.
        """
        refreshed = self.stack.refresh(expect_no_changes=True).summary.resource_changes or {}
        previewed = self.stack.preview(expect_no_changes=True).change_summary
        return set(refreshed), set(previewed)


@pytest.fixture
def engine(
    start_engine: Callable[[], AbstractContextManager[Engine]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """An engine of the test's own, which deletes pools without a question.

    Nobody answers it who knows of tasks; test_hooks.py has a Batch service.
    """
    monkeypatch.setenv(ENV_DELETE_BUSY_POOLS, "all")
    with start_engine() as started:
        yield started


@pytest.fixture(scope="module")
def start_engine(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., AbstractContextManager[Engine]]]:
    """Starts an engine with a stack, called `dev` unless named, and a provider of its own."""
    before = _open_loops()
    yield lambda stack="dev": _started(tmp_path_factory.mktemp("engine"), stack)
    # The Automation API opens loops and leaves them open; warnings of them are nobody's.
    for loop in _open_loops() - before:
        loop.close()


def _open_loops() -> set[asyncio.AbstractEventLoop]:
    return {
        one
        for one in gc.get_objects()
        if isinstance(one, asyncio.BaseEventLoop) and not (one.is_closed() or one.is_running())
    }


@contextmanager
def _started(home: Path, name: str) -> Iterator[Engine]:
    project, state = home / "project", home / "state"
    project.mkdir()
    state.mkdir()
    (project / "Pulumi.yaml").write_bytes((PROJECT_ROOT / "Pulumi.yaml").read_bytes())
    file = project / f"Pulumi.{name}.yaml"
    file.write_text("{}", encoding="utf-8")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    backend = MemoryBackend()
    provider = asyncio.run_coroutine_threadsafe(start_provider(backend, store=None), loop).result()
    port = provider.address.rpartition(":")[2]
    try:
        stack = automation.create_or_select_stack(
            name,
            project_name="hpc",
            program=_program,
            opts=automation.LocalWorkspaceOptions(
                work_dir=str(project),
                pulumi_home=str(home / "home"),
                pulumi_command=_pulumi_cli(),
                env_vars={
                    "PULUMI_BACKEND_URL": state.as_uri(),
                    "PULUMI_CONFIG_PASSPHRASE": "of a test",
                    "PULUMI_SKIP_UPDATE_CHECK": "1",
                    "PULUMI_DEBUG_PROVIDERS": f"azure-native:{port}",
                },
            ),
        )
        yield Engine(stack=stack, file=file, backend=backend)
    finally:
        end_programs()
        asyncio.run_coroutine_threadsafe(provider.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _program() -> None:
    begin_program()
    runpy.run_path(str(PROJECT_ROOT / "__main__.py"))


def _pulumi_cli() -> automation.PulumiCommand:
    """The engine that set-up put beside this Python, else the one on PATH."""
    beside = Path(sys.prefix)
    root = str(beside) if (beside / "bin" / "pulumi").exists() else None
    return automation.PulumiCommand(root=root)


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
