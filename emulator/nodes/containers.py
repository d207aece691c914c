"""Container tasks, by podman or docker where one of them is installed.

The node's root is mounted under its own path, the task's variables are set, and the
command line runs in the task's working directory, as the service does it. A container
that docker's daemon runs is no descendant of ours: whoever ends the task must call
`removal` as well.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.nodes.failures import TaskFailureError

RUNTIMES = ("podman", "docker")
NOT_CREATED = 125
"""Exit status of a runtime that could not make the container."""
_OF_THE_RUNTIME = ("HOME", "PATH", "XDG_RUNTIME_DIR", "DOCKER_HOST", "DOCKER_CONFIG")
_OF_THE_IMAGE = frozenset({"PATH", "HOME", "LANG"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """How to run a task's command in a container.

    Attributes:
        argv: The runtime's command line; values of variables are not on it.
        env: The runtime's environment: its own, and the task's variables.
        removal: The command that removes the container, whatever state it is in.
        created: A file that exists when the container came to be.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    removal: Sequence[str]
    created: Path


def container(
    settings: Mapping[str, Any],
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    root: Path,
    task_dir: Path,
    name: str,
) -> Container:
    """A task's container.

    Args:
        settings: The task's `containerSettings`.
        argv: Program and arguments.
        env: The task's environment.
        root: The node's root.
        task_dir: The task's directory.
        name: The container's, unique on this machine.

    Raises:
        TaskFailureError: No runtime is installed, or the run options cannot be split.
    """
    runtime = next((found for name in RUNTIMES if (found := shutil.which(name))), None)
    image = str(settings.get("imageName") or "")
    if runtime is None:
        raise TaskFailureError(
            "ContainerRuntimeError",
            ImageName=image,
            Message="Neither podman nor docker is installed: install one of them, or run the "
            "task without containerSettings",
        )
    try:
        options = shlex.split(str(settings.get("containerRunOptions") or ""))
    except ValueError as error:
        raise TaskFailureError(
            "ContainerRuntimeError", ImageName=image, Message=f"containerRunOptions: {error}"
        ) from error
    created = task_dir / "container.id"
    created.unlink(missing_ok=True)
    if str(settings.get("workingDirectory")).lower() != "containerimagedefault":
        options = ["--workdir", str(task_dir / "wd"), *options]
    passed = sorted(env.keys() - _OF_THE_IMAGE)
    return Container(
        argv=[
            *(runtime, "run", "--rm", "--name", name, "--cidfile", str(created)),
            *("--volume", f"{root}:{root}"),
            *(part for variable in passed for part in ("--env", variable)),
            *options,
            image,
            *argv,
        ],
        env={**env, **{own: os.environ[own] for own in _OF_THE_RUNTIME if own in os.environ}},
        removal=[runtime, "rm", "--force", name],
        created=created,
    )
