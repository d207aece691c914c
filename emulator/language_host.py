"""The engine's Python language host, for a Pulumi CLI that came without one.

The vendor's download has `pulumi-language-python` beside `pulumi`; a CLI built from its Go
module has not, because the host is no public module. Set-up then links this program into
`.venv/bin` under that name, and a plain `pulumi up` works: the engine starts it, reads a
port from its first line of output, and asks it to run the program.

It runs the program in this process, as the SDK's Automation API does for an inline
program, and installs what `requirements.txt` pins. It does not generate code, package
components or find plugins: the engine is told so by gRPC's "unimplemented".
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

ENGINE_CHECK_S = 1.0
"""How soon the host notices that the engine was killed."""


class PythonLanguageHost(LanguageServer):
    """Runs the Pulumi program that a request names, and installs its requirements."""

    def __init__(self) -> None:
        super().__init__(_no_program)

    def Run(  # noqa: N802 - gRPC's name
        self, request: language_pb2.RunRequest, context: grpc.ServicerContext
    ) -> language_pb2.RunResponse:
        """Runs the program once, for a preview or an update."""
        directory = Path(request.info.program_directory or request.pwd)
        entry = directory / (request.info.entry_point or request.program or ".")
        if str(directory) not in sys.path:
            sys.path.insert(0, str(directory))

        def program() -> None:
            runpy.run_path(str(entry.resolve()), run_name="__main__")

        self.program = program
        response: language_pb2.RunResponse = super().Run(  # type: ignore[no-untyped-call]
            request, context
        )
        return response

    def InstallDependencies(  # noqa: N802 - gRPC's name
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        """Installs `requirements.txt`, streaming what pip says."""
        directory = Path(request.info.program_directory or request.directory)
        requirements = directory / "requirements.txt"
        command: list[str | Path] = [sys.executable, "-m", "pip", "install", "-r", requirements]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        with process, process.stdout or sys.stdin.buffer as output:
            for line in output:
                yield language_pb2.InstallDependenciesResponse(stdout=line)
        if process.returncode != 0:
            context.abort(grpc.StatusCode.INTERNAL, f"pip ended with {process.returncode}")


def _no_program() -> None:
    raise AssertionError("a request names the program before it is run")


def main() -> None:
    """Serves on a free loopback port until the engine ends this process, or itself."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    engine = os.getppid()
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(PythonLanguageHost(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 - the engine reads it
    while os.getppid() == engine:
        threading.Event().wait(ENGINE_CHECK_S)
    server.stop(grace=None)
