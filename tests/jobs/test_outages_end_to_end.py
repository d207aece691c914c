"""A laptop loses its network while `run` watches: over real connections that are refused."""

from __future__ import annotations

import json
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.slow

Directory = Any  # the fixtures of command_line.py, which importlib mode cannot name


class Line:
    """A port of this machine that leads to another one, until it is cut and again when mended."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._port = self._taken(0)
        self.port: int = self._port.getsockname()[1]
        self.mend()

    def mend(self) -> None:
        self._port.listen()
        self._start(self._accept, self._port)

    def cut(self) -> None:
        """From here on connections are refused, and those that there were are gone."""
        self._port.shutdown(socket.SHUT_RDWR)
        self._threads.pop(0).join()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        while self._threads:
            self._threads.pop().join()
        self._open.clear()
        self._port.close()
        self._port = self._taken(self.port)  # bound, so that nobody else gets it; not listening

    def close(self) -> None:
        with suppress(OSError, IndexError):
            self.cut()
        self._port.close()

    @staticmethod
    def _taken(port: int) -> socket.socket:
        taken = socket.socket()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        return taken

    def _start(self, act: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=act, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self, port: socket.socket) -> None:
        with suppress(OSError):
            while True:
                here, _ = port.accept()
                there = socket.create_connection(("127.0.0.1", self._to))
                self._open += (here, there)
                self._start(self._carry, here, there)

    @staticmethod
    def _carry(here: socket.socket, there: socket.socket) -> None:
        with here, there, suppress(OSError), selectors.DefaultSelector() as ready:
            ready.register(here, selectors.EVENT_READ, there)
            ready.register(there, selectors.EVENT_READ, here)
            while True:
                for key, _ in ready.select():
                    one: Any = key.fileobj
                    data = one.recv(1 << 16)
                    if not data:
                        return
                    key.data.sendall(data)


@pytest.fixture
def line(estate: Path, directory: Directory) -> Iterator[Line]:
    """The way to the emulator's Batch account, in the stack that the directory's commands use."""
    outputs = json.loads((estate / "stacks" / "local" / "outputs.json").read_text())
    port = urlsplit(outputs["batch_endpoint"]).port
    assert port is not None
    line = Line(port)
    outputs["batch_endpoint"] = f"http://127.0.0.1:{line.port}"
    (directory.path / "line.json").write_text(json.dumps(outputs))
    del directory.environment["JOBS_STACK"]
    directory.environment["JOBS_OUTPUTS"] = "line.json"
    yield line
    line.close()


def test_run_watches_on_when_the_network_is_back(directory: Directory, line: Line) -> None:
    go, told = directory.path / "go", directory.path / "told"
    script = 'until test -e "$GO"; do sleep 0.1; done'
    directory.write(
        f"name: away\npool: cpu\nscript: {json.dumps(script)}\ntasks: 2\n"
        f"environment: {{GO: {json.dumps(str(go))}}}\n"
    )
    process = directory.start(
        "run", "job.yaml", "--job-id", "away", "--on-finish", f"echo $JOBS_STATE > '{told.name}'"
    )
    said = []
    with process:
        for text in process.stderr:
            said.append(text)
            if "running" in text:
                line.cut()
            elif "out of reach since" in text:
                go.touch()
                line.mend()
        out = process.stdout.read()
    text = "".join(said)
    assert process.returncode == 0, text
    assert "OK" in out
    assert text.count("out of reach since") == text.count("in reach again, after") == 1
    assert "the Batch endpoint cannot be reached: Connection refused" in text
    assert told.read_text() == "succeeded\n", "what was asked for at the end is done"


def test_a_command_that_asks_once_is_soon_told(directory: Directory, line: Line) -> None:
    directory.write("name: once\npool: cpu\ncommand: 'true'\n")
    directory.jobs("run", "job.yaml", "--job-id", "once")
    line.cut()
    for verb in ("status", "wait", "explain"):
        _, err = directory.jobs(verb, code=3)
        assert "the Batch endpoint cannot be reached: Connection refused" in err
    error = directory.json("wait", code=3)["error"]
    assert error["kind"] == "UnavailableError"
    assert error["commands"]["wait"] == "python -m jobs wait once"
    line.mend()
    assert directory.json("status")["succeeded"] == 1
