"""Command lines as the service takes them: one text, run without a shell.

Where a task needs more than its own command (another stage's outputs put in place, MPI
started on all its nodes), the text is `/bin/sh -ec '…; exec "$@"' sh COMMAND ARGUMENTS`:
what was written stays one argument each, and the shell is replaced by the command, so
that signals and exit codes are the command's own.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
from collections.abc import Iterable, Sequence

from jobs.spec_tasks import MultiInstance

SHARED = "$AZ_BATCH_TASK_SHARED_DIR"
"""Where a multi-instance task's common files are: the same path on all its nodes."""
COORDINATION = "coordination"
"""In a multi-instance task's directory: where its coordination command prints to."""
FETCHED = ".stages"
"""Where other stages' outputs arrive before they are put in place."""


def command_line(arguments: Sequence[str], *, windows: bool, first: Sequence[str] = ()) -> str:
    """A command line.

    Args:
        arguments: The command.
        windows: Whether the node splits the text as Windows programs do.
        first: Shell text that runs before; not on Windows.
    """
    if not first:
        return subprocess.list2cmdline(arguments) if windows else shlex.join(arguments)
    return shlex.join(["/bin/sh", "-ec", "; ".join([*first, 'exec "$@"']), "sh", *arguments])


def written_command(line: str) -> str:
    """A command line without what runs before it, as a person wrote it."""
    try:
        parts = shlex.split(line)
    except ValueError:
        return line
    shell = parts[:2] == ["/bin/sh", "-ec"] and parts[3:4] == ["sh"]
    return shlex.join(parts[4:]) if shell and parts[2].endswith('; exec "$@"') else line


def shown_command(line: str, most: int = 400) -> str:
    """A command line as one short line: of a script of several its first, and their number."""
    lines = line.strip().splitlines() or [""]
    if len(lines) > 1:
        with contextlib.suppress(ValueError):
            *shell, script = shlex.split(line)
            if shell == script_arguments("")[:-1]:
                lines = script.strip().splitlines() or [""]
    more = f" … ({len(lines)} lines)" if len(lines) > 1 else ""
    first = "".join(c for c in " ".join(lines[0].split()) if c.isprintable())
    return f"{first if len(first) <= most else first[: most - 1] + '…'}{more}"


def script_arguments(script: str) -> list[str]:
    """The command of a `script`."""
    return ["/bin/sh", "-ec", script]


def in_place(stage: str, digits: str, to: str, jobs: Iterable[str]) -> str:
    """Shell text that puts what tasks of a stage have left under their positions.

    What was fetched is `.stages/STAGE/JOB/TASK/…`, because the service keeps a blob's
    whole name; it becomes `TO/POSITION/…`. Of a task that ran in several jobs the last
    one's outputs stay.

    Args:
        stage: Its name.
        digits: What its tasks' ids begin with.
        to: The directory.
        jobs: Where its tasks ran, the latest last.
    """
    target = shlex.quote(to)
    sources = " ".join(f"{FETCHED}/{stage}/{shlex.quote(job)}/*/" for job in jobs)
    return (
        f"mkdir -p {target}; for d in {sources}; do "
        '[ -d "$d" ] || continue; n=${d%/}; n=${n##*/}; '
        f'n=${{n#{digits}}}; rm -rf {target}/"$n"; mv "$d" {target}/"$n"; done'
    )


def in_shared_directory() -> str:
    """Shell text that changes to a multi-instance task's directory."""
    return f'cd "{SHARED}"'


def coordination_log() -> str:
    """Shell text from which on is printed to files of its own.

    On the first node the coordination command and the task's own share a directory, and what
    becomes of the former's streams there is not documented.
    """
    directory = f'"$AZ_BATCH_TASK_DIR"/{COORDINATION}'
    return f"mkdir -p {directory}; exec >{directory}/stdout.txt 2>{directory}/stderr.txt"


def mpi_arguments(
    several: MultiInstance, arguments: Sequence[str], environment: Iterable[str]
) -> list[str]:
    """The command that starts a command on all nodes of a task.

    The node list is only known there, so that a shell fills it in: `mpirun` gets the
    nodes of AZ_BATCH_HOST_LIST, which has commas, and the directory that is the same on
    all of them. Hydra (MPICH, Intel MPI) passes the environment on, Open MPI and HPC-X
    want each variable named.

    Sources: https://github.com/pmodels/mpich/blob/main/doc/wiki/how_to/Using_the_Hydra_Process_Manager.md,
    mpirun(1) of Open MPI (`--host NAME:SLOTS`, `--map-by ppr:N:node`, `-x`).
    """
    per_node = several.processes_per_node
    count = str(several.nodes * per_node)
    more = shlex.join(several.options)
    if several.mpi in {"mpich", "intelmpi"}:
        start = (
            f'{_LAUNCHER[several.mpi]} -hosts "$AZ_BATCH_HOST_LIST" -ppn {per_node} -n {count} '
            f'-wdir "{SHARED}"'
        )
    else:
        exported = " ".join(f"-x {name}" for name in environment)
        hosts = f'"$(echo "$AZ_BATCH_HOST_LIST" | sed "s/,/:{per_node},/g"):{per_node}"'
        start = (
            f"mpirun --host {hosts} --map-by ppr:{per_node}:node -np {count} "
            f'-wdir "{SHARED}" {exported}'
        ).rstrip()
    text = f'{_found(several.mpi or "")}; exec {start}{f" {more}" if more else ""} "$@"'
    return ["/bin/sh", "-ec", text, "sh", *arguments]


_LAUNCHER = {"mpich": "mpiexec", "intelmpi": "mpirun", "openmpi": "mpirun", "hpcx": "mpirun"}
_MODULES = {"openmpi": "mpi/openmpi", "hpcx": "mpi/hpcx", "intelmpi": "mpi/impi-2021"}


def _found(flavour: str) -> str:
    """Finds MPI: on the path, else as a module, as Azure's HPC images have it."""
    launcher = _LAUNCHER[flavour]
    missing = f'{{ echo "{launcher} is not on this node: it needs {flavour}" >&2; exit 127; }}'
    module = _MODULES.get(flavour)
    if module is None:
        return f"command -v {launcher} >/dev/null || {missing}"
    load = f"{{ . /etc/profile.d/modules.sh && module load {module}; }} || {missing}"
    return f"command -v {launcher} >/dev/null || {load}"
