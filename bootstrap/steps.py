"""What set-up makes: `.venv`, which knows the project, Azurite and the Pulumi CLI.

Each step can be run again after it was interrupted anywhere. The Pulumi CLI is kept in
the user's cache directory by version, so that a second clone does not build it again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bootstrap.prerequisites import (
    PULUMI_VERSION,
    go_is_new_enough,
    pulumi_on_path,
    vendor_is_reached,
)

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
AZURITE = ROOT / "bootstrap" / "azurite"
LOGS = ROOT / ".local" / "log"
LOG_TAIL_LINES = 30
LANGUAGE_HOST = "pulumi-language-python"
PATH_FILE = "hpc-azure-batch.pth"


class SetupError(Exception):
    """A step failed; the text says which, why, and what to do."""


def cached_pulumi() -> Path:
    """Where the Pulumi CLI of the pinned version is kept for all clones of this user."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "hpc-azure-batch" / "pulumi" / PULUMI_VERSION / "bin" / "pulumi"


def make_venv() -> None:
    """Creates `.venv` and installs the pinned libraries, each checked against its hash."""
    python = VENV / "bin" / "python"
    if not _works([python, "-m", "pip", "--version"]):
        _run("create .venv", [sys.executable, "-m", "venv", "--clear", VENV])
    _run(
        "install Python libraries",
        [
            *(python, "-m", "pip", "install", "--require-hashes", "--no-deps", "--no-input"),
            *("--disable-pip-version-check", "--quiet"),
            *("-r", ROOT / "requirements.txt", "-r", ROOT / "requirements-dev.txt"),
        ],
    )


def link_packages() -> None:
    """Has `.venv`'s Python find the project's packages from any directory.

    By a path relative to the file, so that a clone that is moved, or shares a `.venv` by a
    link, finds its own. It comes last, after everything that is installed.
    """
    for directory in _site_packages():
        path = f"{os.path.relpath(ROOT, directory)}\n"
        (directory / PATH_FILE).write_text(path, encoding="utf-8")


def install_azurite() -> None:
    """Installs Azurite by its lock file, unless just that is installed."""
    lock = (AZURITE / "package-lock.json").read_text(encoding="utf-8")
    stamp = AZURITE / "node_modules" / ".set-up"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == lock:
        return
    _run("install Azurite", ["npm", "ci", "--ignore-scripts", "--loglevel=error"], cwd=AZURITE)
    stamp.write_text(lock, encoding="utf-8")


def provide_pulumi() -> None:
    """Links the Pulumi CLI into `.venv/bin`.

    It comes from PATH, else the cache, else the vendor, else it is built with Go.
    """
    cached = cached_pulumi()
    on_path = pulumi_on_path()
    if on_path and Path(on_path).resolve() != cached.resolve():
        _link(Path(on_path).resolve())
        return
    if not os.access(cached, os.X_OK) and not (vendor_is_reached() and _fetch_pulumi(cached)):
        _build_pulumi(cached)
    _link(cached)


def everything_is_there() -> bool:
    """Whether what the steps make is still in its place."""
    azurite = AZURITE / "node_modules" / ".bin" / "azurite-blob"
    programs = (VENV / "bin" / "python", VENV / "bin" / "pulumi", azurite)
    linked = [directory / PATH_FILE for directory in _site_packages()]
    return (
        all(os.access(program, os.X_OK) for program in programs)
        and bool(linked)
        and all(path.exists() for path in linked)
    )


def _site_packages() -> list[Path]:
    return list(VENV.glob("lib/python3*/site-packages"))


def _fetch_pulumi(cached: Path) -> bool:
    with _staging(cached) as (staging, publish):
        code = (
            "import sys; from pulumi.automation import PulumiCommand as P; from semver import "
            "VersionInfo as V; P.install(root=sys.argv[1], version=V.parse(sys.argv[2]))"
        )
        command: list[str | Path] = [VENV / "bin" / "python", "-c", code, staging, PULUMI_VERSION]
        try:
            _run("fetch the Pulumi CLI", command, timeout_s=300)
        except SetupError:
            return False
        publish(staging / "bin" / "pulumi")
    return True


def _build_pulumi(cached: Path) -> None:
    if not go_is_new_enough():
        raise SetupError(
            f"The Pulumi CLI {PULUMI_VERSION} could not be fetched, and no Go 1.25 is there to\n"
            "build it. Install the CLI (https://www.pulumi.com/docs/install/) or Go\n"
            "(https://go.dev/dl/), then run: make setup"
        )
    with _staging(cached) as (staging, publish):
        for name in ("go.mod", "go.sum"):
            shutil.copy(ROOT / "bootstrap" / "pulumi" / name, staging / name)
        set_version = (
            f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{PULUMI_VERSION}"
        )
        _run(
            "build the Pulumi CLI with Go (about 4 minutes, once)",
            [
                *("go", "build", "-mod=mod", "-modcacherw", "-trimpath"),
                *("-ldflags", f"-s -w {set_version}", "-o", "pulumi"),
                "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
            ],
            cwd=staging,
            env={
                "GOPATH": str(staging / "gopath"),
                "GOCACHE": str(staging / "gocache"),
                "GOTOOLCHAIN": "local",
                "GOFLAGS": "",
                "CGO_ENABLED": "0",
            },
        )
        publish(staging / "pulumi")


@contextlib.contextmanager
def _staging(cached: Path) -> Iterator[tuple[Path, Callable[[Path], None]]]:
    """A directory beside the cache entry, and what moves a program from it into place.

    The languages' plugins beside a fetched CLI go with it; the move is one rename, so
    that a set-up that is killed leaves either the whole program or none.
    """
    cached.parent.parent.mkdir(parents=True, exist_ok=True)

    def publish(program: Path) -> None:
        program.chmod(0o755)
        cached.parent.mkdir(exist_ok=True)
        for beside in program.parent.glob("pulumi-*"):
            beside.replace(cached.parent / beside.name)
        program.replace(cached)

    with tempfile.TemporaryDirectory(dir=cached.parent.parent, prefix=".staging-") as name:
        yield Path(name), publish


def _link(program: Path) -> None:
    """Puts the CLI on `.venv/bin`, and a language host where the CLI came without one."""
    link = VENV / "bin" / "pulumi"
    link.unlink(missing_ok=True)
    link.symlink_to(program)
    host = VENV / "bin" / LANGUAGE_HOST
    host.unlink(missing_ok=True)
    if not (program.resolve().parent / LANGUAGE_HOST).exists():
        host.write_text(
            f"#!{VENV / 'bin' / 'python'}\n"
            f"import sys\n\nsys.path.insert(0, {str(ROOT)!r})\n"
            "from emulator.language_host import main\n\nmain()\n",
            encoding="utf-8",
        )
        host.chmod(0o755)


def _works(command: Sequence[str | Path]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _run(
    what: str,
    command: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> None:
    """Runs one command with its output in a log file and its progress on stderr.

    Raises:
        SetupError: It failed; the text ends with the last lines of its output.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"setup-{Path(command[0]).name}.log"
    begun = time.monotonic()
    with log.open("wb") as output, _progress(what):
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise SetupError(f"{what}: {error}") from error
        try:
            status = process.wait(timeout_s)
        except BaseException as error:
            process.kill()
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise SetupError(f"{what}: no end after {timeout_s} s") from error
            raise
    if status != 0:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
        raise SetupError(
            f"{what} failed with exit status {status} after {time.monotonic() - begun:.0f} s:\n\n"
            + "\n".join(f"    {line}" for line in tail)
            + "\n\nMend what it says (a network that cannot be reached, a full disk), then run it"
            f" again:\n    make setup\nThe whole output is in {log.relative_to(ROOT)}."
        )


@contextlib.contextmanager
def _progress(what: str) -> Iterator[None]:
    begun = time.monotonic()
    print(f"setup: {what} …", end="", file=sys.stderr, flush=True)
    try:
        yield
    except BaseException:
        print(" failed", file=sys.stderr, flush=True)
        raise
    print(f" {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
