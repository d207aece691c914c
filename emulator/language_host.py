"""The engine's Python language host, for a Pulumi CLI that came without one.

The vendor's download has `pulumi-language-python` beside `pulumi`; a CLI built from its Go
module has not, because the host is no public module. Set-up then links this program into
`.venv/bin` under that name, and a plain `pulumi up` works: the engine starts it, reads a
port from its first line of output, and asks it to run the program.

It runs the program in this process, as the SDK's Automation API does for an inline
program, and installs what `requirements.txt` pins. A policy pack runs as a process of its
own, by the Python of the environment that its `PulumiPolicy.yaml` names. It does not
generate code, package components or find plugins: the engine is told so by gRPC's
"unimplemented".
"""

from __future__ import annotations

import os
import queue
import runpy
import signal
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from google.protobuf import json_format
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

    def RunPlugin(  # noqa: N802 - gRPC's name
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        """Runs a plugin written in Python, such as a policy pack, and streams what it says.

        It ends when the engine takes the call back.
        """
        directory = Path(request.info.program_directory)
        entry = directory / (request.info.entry_point or ".")
        options = json_format.MessageToDict(request.info.options)
        python = _python_of(Path(request.info.root_directory), options.get("virtualenv"))
        if not python.is_file():
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"{python} is not there; make the environment that {directory.name} asks for",
            )
        process = subprocess.Popen(
            [python, "-u", entry.resolve(), *request.args],
            cwd=request.pwd,
            env=dict(pair.split("=", 1) for pair in request.env if "=" in pair),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            if not context.add_callback(process.kill):  # it took the call back meanwhile
                process.kill()
            said: queue.SimpleQueue[language_pb2.RunPluginResponse | None] = queue.SimpleQueue()
            for name in ("stdout", "stderr"):
                threading.Thread(target=_pump, args=(process, name, said), daemon=True).start()
            open_streams = 2
            while open_streams:
                response = said.get()
                if response is None:
                    open_streams -= 1
                else:
                    yield response
        yield language_pb2.RunPluginResponse(exitcode=process.returncode)

    def InstallDependencies(  # noqa: N802 - gRPC's name
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        """Installs `requirements.txt`, streaming what pip says."""
        directory = Path(request.info.program_directory or request.directory)
        options = json_format.MessageToDict(request.info.options)
        python = _python_of(directory, options.get("virtualenv"))
        if not python.is_file():
            yield language_pb2.InstallDependenciesResponse(stdout=b"making an environment\n")
            venv.create(python.parents[1], with_pip=True)
        requirements = directory / "requirements.txt"
        command: list[str | Path] = [python, "-m", "pip", "install", "-r", requirements]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        with process, process.stdout or sys.stdin.buffer as output:
            for line in output:
                yield language_pb2.InstallDependenciesResponse(stdout=line)
        if process.returncode != 0:
            context.abort(grpc.StatusCode.INTERNAL, f"pip ended with {process.returncode}")


def _python_of(root: Path, environment: str | None) -> Path:
    """The Python of an environment that a plugin names, else this one."""
    if environment is None:
        return Path(sys.executable)
    scripts, program = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return root / environment / scripts / program


def _pump(
    process: subprocess.Popen[bytes],
    name: str,
    said: queue.SimpleQueue[language_pb2.RunPluginResponse | None],
) -> None:
    """Puts each line of a stream in a queue, then None."""
    for line in getattr(process, name):
        said.put(
            language_pb2.RunPluginResponse(stdout=line)
            if name == "stdout"
            else language_pb2.RunPluginResponse(stderr=line)
        )
    said.put(None)


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
