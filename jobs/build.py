"""Makes a workload's program on this machine, when its sources or its command changed.

No build system: one command, run where the workload is. What it was last made from is
remembered beside the output (`OUTPUT.build.json`); when sources, command and output are
as they were then, nothing runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from jobs.contents import ContentCache
from jobs.errors import BuildError, shown
from jobs.inputs import glob_files
from jobs.loading import LoadedWorkload
from jobs.own_commands import run_command
from jobs.spec import Build
from jobs.templates import parse_template
from jobs.whole_files import replacing


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The outcome of a build.

    Attributes:
        output: The program.
        ran: Whether the command ran; False when nothing had changed.
    """

    output: Path
    ran: bool


def build_programs(
    workload: LoadedWorkload, cache: ContentCache, *, force: bool = False
) -> tuple[Built, ...]:
    """Builds the programs of a workload, each once; none when it has no build.

    Raises:
        BuildError: A source is missing, the command is not found or fails (its output
            is in the text), or it leaves no output.
    """
    spec = workload.spec
    programs = (spec.program, *(stage.program for stage in spec.stages.values()))
    builds = dict.fromkeys(p.build for p in programs if p is not None and p.build is not None)
    return tuple(_build(workload, build, cache, force=force) for build in builds)


def _build(workload: LoadedWorkload, build: Build, cache: ContentCache, *, force: bool) -> Built:
    output = workload.directory / build.output
    record = output.with_name(f"{output.name}.build.json")
    made_from = _made_from(workload, build, cache)
    if not force and output.is_file() and _recorded(record) == [made_from, _hash(output, cache)]:
        return Built(output=output, ran=False)
    record.unlink(missing_ok=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    _run(_command(workload, build), workload.directory)
    if not output.is_file():
        raise BuildError(
            f"the build command ended well and left no {shown(output)}: "
            "program.build.output names another file than the command makes"
        )
    _write(record, [made_from, _hash(output, cache)])
    return Built(output=output, ran=True)


def _command(workload: LoadedWorkload, build: Build) -> list[str]:
    values = {**workload.spec.variables, "python": sys.executable}
    return [parse_template(argument).render(values) for argument in build.command]


def _made_from(workload: LoadedWorkload, build: Build, cache: ContentCache) -> str:
    sources: list[Path] = []
    for pattern in build.sources:
        found = list(glob_files(pattern, workload.directory))
        if not found:
            raise BuildError(f"program.build.sources: {pattern!r} matches no file")
        sources.extend(found)
    contents = cache.look(sources)
    facts = [
        _command(workload, build),
        sorted(
            (os.path.relpath(path, workload.directory), contents[path].sha256) for path in contents
        ),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _run(command: list[str], directory: Path) -> None:
    try:
        done = run_command(
            command, directory=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise BuildError(
            f"the build command cannot be started: {command[0]}: {error.strerror}. "
            "Install it, or name another in program.build.command"
        ) from error
    if done.code != 0:
        raise BuildError(
            f"the build command failed with exit code {done.code}: {' '.join(command)}",
            output=done.printed,
        )


def _hash(path: Path, cache: ContentCache) -> str:
    return cache.look([path])[path].sha256


def _recorded(record: Path) -> object:
    try:
        return json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(record: Path, value: object) -> None:
    with replacing(record) as stream:
        json.dump(value, stream)
