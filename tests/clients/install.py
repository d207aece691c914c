"""Installs the clients that tests/clients drives: `python -m tests.clients.install`.

Each lies in an environment of its own under `.local/clients/`, pinned with hashes, because
they cannot live beside each other: azure-batch 14.2, the Azure CLI with its own azure-batch,
the JavaScript SDK, Microsoft's parser of Kusto. One whose pins have not changed is left as
it is.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent / "environments"
ROOT = Path(__file__).parents[2] / ".local" / "clients"
_STAMP = ".installed"


def python_client(name: str) -> Path:
    """Directory of a Python client's environment."""
    return ROOT / name


def javascript_client() -> Path:
    """Directory in which node finds the JavaScript client."""
    return ROOT / "javascript"


def kusto_parser() -> Path:
    """Directory in which node finds the parser of Kusto."""
    return ROOT / "kusto"


def _install_python(name: str) -> None:
    target, pins = python_client(name), HERE / f"{name}.txt"
    _run([sys.executable, "-m", "venv", str(target)])
    pip = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile"]
    _run([*pip, "--disable-pip-version-check", "--require-hashes", "--no-deps", "-r", str(pins)])


def _install_javascript(name: str) -> None:
    target = ROOT / name
    target.mkdir(parents=True)
    for file in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name / file, target / file)
    _run(["npm", "ci", "--ignore-scripts", "--loglevel=error", "--no-audit"], cwd=target)


_CLIENTS: dict[str, tuple[Callable[[str], None], Path]] = {
    "azure-cli": (_install_python, HERE / "azure-cli.txt"),
    "azure-batch-14": (_install_python, HERE / "azure-batch-14.txt"),
    "javascript": (_install_javascript, HERE / "javascript" / "package-lock.json"),
    "kusto": (_install_javascript, HERE / "kusto" / "package-lock.json"),
}


def _run(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")


def _ensure(name: str) -> None:
    install, pins = _CLIENTS[name]
    wanted = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
    stamp = ROOT / name / _STAMP
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    began = time.monotonic()
    shutil.rmtree(ROOT / name, ignore_errors=True)
    install(name)
    stamp.write_text(wanted)
    sys.stderr.write(f"installed {name} in {time.monotonic() - began:.0f} s\n")


def main() -> None:
    """Installs what is not there, all at once."""
    ROOT.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:
        list(pool.map(_ensure, _CLIENTS))


if __name__ == "__main__":
    main()
