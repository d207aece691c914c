"""Runs the Pulumi CLI so that an interrupt cancels it cleanly.

The SDK's own runner leaves the CLI to itself when a signal arrives: the engine would go
on with nobody listening, or die with the stack's lock held. Here the first interrupt
(Ctrl-C or SIGTERM) asks the engine to stop after what it is doing, a second one ends
it, and both wait until it is gone.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error

from emulator.errors import MissingToolError

OnLine = Callable[[str], object]


class EngineCommand(PulumiCommand):
    """The SDK's way to call the CLI, with signals passed on."""

    def __init__(self, on_interrupt: Callable[[], None] = lambda: None) -> None:
        """Finds the CLI beside this interpreter, else on PATH.

        Raises:
            MissingToolError: There is none.
        """
        beside = Path(sys.prefix) / "bin" / "pulumi"
        if not beside.exists() and shutil.which("pulumi") is None:
            raise MissingToolError(
                "the Pulumi CLI is not installed: there is neither "
                f"{beside} nor a pulumi on PATH.\nSet the project up: make setup"
            )
        super().__init__(root=sys.prefix if beside.exists() else None)
        self._on_interrupt = on_interrupt

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnLine | None = None,
        on_error: OnLine | None = None,
    ) -> CommandResult:
        """Runs one command to its end.

        Raises:
            CommandError: It failed.
            KeyboardInterrupt: A signal ended it; it is gone.
        """
        lines: tuple[list[str], list[str]] = ([], [])
        interrupts = _Interrupts(self._on_interrupt)
        with ExitStack() as opened:
            # Before the engine runs: an interrupt in between would leave it to itself.
            with interrupts.heeded():
                process = opened.enter_context(self._start(args, cwd, additional_env))
                interrupts.pass_on_to(process)
                readers = [
                    threading.Thread(target=_read, args=(stream, one, into), daemon=True)
                    for stream, one, into in (
                        (process.stdout, on_output, lines[0]),
                        (process.stderr, on_error, lines[1]),
                    )
                ]
                for reader in readers:
                    reader.start()
                process.wait()
            for reader in readers:
                reader.join()
        if interrupts.count:
            raise KeyboardInterrupt
        result = CommandResult(
            stdout="\n".join(lines[0]), stderr="\n".join(lines[1]), code=process.returncode
        )
        if result.code != 0:
            raise create_command_error(result)
        return result

    def _start(
        self, args: list[str], cwd: str, additional_env: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.command, "--non-interactive", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=_environment(Path(self.command), additional_env),
            encoding="utf-8",
            # A terminal's Ctrl-C goes to this process alone, which passes it on once.
            start_new_session=True,
        )


class _Interrupts:
    """Counts interrupts, of which SIGTERM is one, and passes each on to a process.

    Their handler raises nothing: what the main thread is about when one comes is done whole.

    Args:
        on_first: Called with the first.
    """

    def __init__(self, on_first: Callable[[], None]) -> None:
        self.count = 0
        self._on_first = on_first
        self._process: subprocess.Popen[str] | None = None
        self._passed_on = 0

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Takes the signals; off the main thread, nothing can be done."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
        for one in before:
            signal.signal(one, self._take)
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def pass_on_to(self, process: subprocess.Popen[str]) -> None:
        """Passes on to a process what came already, and what is to come."""
        self._process = process
        self._pass_on()

    def _take(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.count += 1
        if self.count == 1:
            self._on_first()
        self._pass_on()

    def _pass_on(self) -> None:
        process = self._process
        if process is None or self._passed_on >= self.count:
            return
        self._passed_on = self.count  # first: the handler may come in between, and does its own
        if self.count == 1:
            process.send_signal(signal.SIGINT)
        else:
            process.kill()


def _environment(command: Path, additional: Mapping[str, str]) -> dict[str, str]:
    environment = {**os.environ, **additional, "PULUMI_AUTOMATION_API": "true"}
    # It would win over the passphrase file.
    environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
    if command.is_absolute():
        environment["PATH"] = f"{command.parent}{os.pathsep}{environment.get('PATH', '')}"
    return environment


def _read(stream: IO[str], callback: OnLine | None, into: list[str]) -> None:
    for line in stream:
        text = line.rstrip()
        into.append(text)
        if callback is not None:
            callback(text)
