"""What the machine must have, found out all at once.

Each check answers with a `Missing` that carries the command that mends it, or None.
An interpreter that is too old (3.7 to 3.10) must be able to read this package, so that
it is told so instead of failing on a syntax error: a test compiles it for 3.7.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

PULUMI_VERSION = "3.259.0"
"""The CLI's version; `pulumi` in requirements.in is the same (a test compares them)."""

PYTHON_LEAST = (3, 11)
NODE_LEAST = (18,)
GO_LEAST = (1, 25)
VENDOR_SITE = "get.pulumi.com"


class Missing(NamedTuple):
    """A prerequisite that is not there: what, what for, and the command that mends it."""

    what: str
    why: str
    remedy: str


def missing(cached_pulumi: str) -> list[Missing]:
    """Every prerequisite that is missing, in the order in which a person installs them.

    Args:
        cached_pulumi: Path at which an earlier set-up left the Pulumi CLI.
    """
    checks = (
        _python(),
        _node(),
        _program("make", "runs the project's commands", _install("make", brew="make")),
        _compiler(),
        _pulumi(cached_pulumi),
    )
    return [found for found in checks if found]


def version_of(command: Sequence[str]) -> tuple[int, ...] | None:
    """The first version number that a command prints, as a tuple; None if it cannot run."""
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(rb"(\d+)\.(\d+)(?:\.(\d+))?", done.stdout)
    return tuple(int(part) for part in found.groups() if part) if found else None


def pulumi_on_path() -> str | None:
    """Path of a Pulumi CLI on PATH that the pinned SDK can drive, or None."""
    found = shutil.which("pulumi")
    least = tuple(int(part) for part in PULUMI_VERSION.split("."))
    version = version_of([found, "version"]) if found else None
    return found if version and version[0] == least[0] and version >= least else None


def go_is_new_enough() -> bool:
    """Whether a Go that can build the Pulumi CLI is on PATH."""
    version = version_of(["go", "version"]) if shutil.which("go") else None
    return bool(version and version >= GO_LEAST)


def vendor_is_reached() -> bool:
    """Whether the vendor's download site answers within three seconds."""
    try:
        socket.create_connection((VENDOR_SITE, 443), timeout=3).close()
    except OSError:
        return False
    return True


def _python() -> Missing | None:
    if sys.version_info < PYTHON_LEAST:
        return Missing(
            "Python 3.11 or newer",
            f"this is {platform.python_version()}",
            _install("python3.11 python3.11-venv", brew="python@3.12")
            + ", then: make PYTHON=python3.11 setup",
        )
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        return Missing(
            "Python's venv module",
            "the project installs its libraries in .venv",
            _install("python3-venv", brew="python@3.12"),
        )
    return None


def _node() -> Missing | None:
    version = version_of(["node", "--version"]) if shutil.which("node") else None
    if version and version >= NODE_LEAST and shutil.which("npm"):
        return None
    here = f"this is {'.'.join(map(str, version))}" if version else "there is none"
    if version and version >= NODE_LEAST:
        here = "node is there, npm is not"
    return Missing(
        "Node.js 18 or newer with npm",
        "Azurite, the blob storage emulator, runs on it; " + here,
        _install("nodejs npm", brew="node"),
    )


def _program(name: str, why: str, remedy: str) -> Missing | None:
    return None if shutil.which(name) else Missing(name, why, remedy)


def _compiler() -> Missing | None:
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    if any(shutil.which(name) for name in names):
        return None
    mac = platform.system() == "Darwin"
    return Missing(
        f"a C++ compiler ({', '.join(names)})",
        "workloads such as Monte Carlo are compiled on this machine",
        "xcode-select --install" if mac else _install("g++", brew="gcc"),
    )


def _pulumi(cached: str) -> Missing | None:
    if os.access(cached, os.X_OK) or pulumi_on_path() or go_is_new_enough() or vendor_is_reached():
        return None
    return Missing(
        f"the Pulumi CLI {PULUMI_VERSION} or newer, or Go 1.25 to build it",
        f"none is on PATH or in the cache, and {VENDOR_SITE} cannot be reached to fetch it",
        "install it as https://www.pulumi.com/docs/install/ tells, or Go from https://go.dev/dl/",
    )


def _install(packages: str, brew: str) -> str:
    if platform.system() == "Darwin":
        return "brew install " + brew
    for manager, command in (
        ("apt-get", "sudo apt-get install -y "),
        ("dnf", "sudo dnf install -y "),
    ):
        if shutil.which(manager):
            return command + packages
    return f"install {packages} with your system's package manager"
