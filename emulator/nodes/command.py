"""A task's command line and environment, as the service gives them to a Linux process."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from emulator.nodes import remote_shell
from emulator.nodes.failures import TaskFailureError
from emulator.nodes.interface import TaskLaunch

MASTER_PORT = 6000
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_UNIT_S = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_UNLIMITED_S = 900_000_000_000.0
"""`TimeSpan.MaxValue` is a little more; whoever sets a limit sets less."""


def split(command_line: str) -> list[str]:
    """Program and arguments of a command line.

    No shell has a part in it: quotes and backslashes group, as on the service's Linux
    nodes, and `$NAME`, `*`, `|` and `;` mean nothing.

    Raises:
        TaskFailureError: A quote is not closed, or there is nothing to run.
    """
    try:
        argv = shlex.split(command_line)
    except ValueError as error:
        raise TaskFailureError("CommandLaunchFailed", Message=f"{error}") from error
    if not argv or not argv[0]:
        raise TaskFailureError("CommandProgramNotFound", Message="The command line is empty")
    if "\0" in command_line:
        raise TaskFailureError("CommandLaunchFailed", Message="The command line holds a NUL")
    return argv


def wall_clock_s(task: Mapping[str, object]) -> float | None:
    """The task's `maxWallClockTime` in seconds; None where there is no limit."""
    constraints = task.get("constraints")
    text = constraints.get("maxWallClockTime") if isinstance(constraints, Mapping) else None
    matched = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if matched is None:
        return None
    limit = sum(float(value) * _UNIT_S[unit] for unit, value in matched.groupdict("0").items())
    return limit if limit < _UNLIMITED_S else None


def environment(launch: TaskLaunch, root: Path, task_dir: Path) -> dict[str, str]:
    """Everything in the task's environment; the emulator's own is no part of it.

    What the service sets wins over the task's settings, and those over the job's
    (https://learn.microsoft.com/azure/batch/batch-compute-node-environment-variables).
    """
    node = launch.node
    work = f"{task_dir}/wd"
    settings = {
        "PATH": _PATH,
        "HOME": work,
        "LANG": "C.UTF-8",
        **launch.job_environment,
        **{item["name"]: item.get("value") or "" for item in _settings(launch)},
        "AZ_BATCH_ACCOUNT_NAME": node.account,
        "AZ_BATCH_ACCOUNT_URL": node.batch_url,
        "AZ_BATCH_POOL_ID": node.pool_id,
        "AZ_BATCH_NODE_ID": node.node_id,
        "AZ_BATCH_NODE_IS_DEDICATED": "true" if node.is_dedicated else "false",
        "AZ_BATCH_NODE_LIST": ";".join(launch.nodes or (node.ip_address,)),
        "AZ_BATCH_NODE_ROOT_DIR": str(root),
        "AZ_BATCH_NODE_SHARED_DIR": f"{root}/shared",
        "AZ_BATCH_NODE_STARTUP_DIR": f"{root}/startup",
        "AZ_BATCH_NODE_STARTUP_WORKING_DIR": f"{root}/startup/wd",
        "AZ_BATCH_NODE_MOUNTS_DIR": f"{root}/fsmounts",
        "AZ_BATCH_TASK_ID": launch.task_id,
        "AZ_BATCH_TASK_DIR": str(task_dir),
        "AZ_BATCH_TASK_WORKING_DIR": work,
        "AZ_BATCH_CERTIFICATES_DIR": f"{task_dir}/certs",
    }
    if launch.token:
        settings["AZ_BATCH_AUTHENTICATION_TOKEN"] = launch.token
    if launch.kind != "start":
        settings["AZ_BATCH_JOB_ID"] = launch.job_id
    preparation = task_dir.with_name("jobpreparation")
    if launch.kind in {"task", "release"} and preparation.is_dir():
        settings["AZ_BATCH_JOB_PREP_DIR"] = str(preparation)
        settings["AZ_BATCH_JOB_PREP_WORKING_DIR"] = f"{preparation}/wd"
    if launch.task.get("multiInstanceSettings"):
        nodes = list(launch.nodes or (node.ip_address,))
        settings |= {
            "AZ_BATCH_HOST_LIST": ",".join(nodes),
            "AZ_BATCH_MASTER_NODE": f"{nodes[0]}:{MASTER_PORT}",
            "AZ_BATCH_IS_CURRENT_NODE_MASTER": str(nodes[0] == node.ip_address).lower(),
            "AZ_BATCH_TASK_SHARED_DIR": str(task_dir),
            **remote_shell.environment(),
            "CCP_NODES": " ".join([str(len(nodes)), *(f"{address} 1" for address in nodes)]),
        }
    return settings


def _settings(launch: TaskLaunch) -> list[dict[str, str]]:
    return list(launch.task.get("environmentSettings") or ())
