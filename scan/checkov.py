"""Runs checkov, offline, in an environment of its own, and reads what it found.

It lies under `.local/scan/`, pinned with hashes by `requirements-scan.txt`, because it needs
other versions of much that the product has. An environment whose pins have not changed is
left as it is. Nothing is sent anywhere: checkov is told to fetch nothing, and the templates
are deleted when it is done.

An answer is taken only when checkov says that it has read every template: a scanner that
silently looks at nothing would find nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.sources import PROJECT_ROOT
from scan.errors import ScannerError
from scan.template import Template

ENVIRONMENT: Final = PROJECT_ROOT / ".local" / "scan"
PINS: Final = PROJECT_ROOT / "requirements-scan.txt"
_STAMP: Final = ".installed"
_TIMEOUT_S: Final = 600
_TAIL: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Failure:
    """A check that a resource fails.

    Attributes:
        check: Checkov's id, such as `CKV_AZURE_59`.
        resource: `STACK/TYPE/NAME` with the type's token and the logical name, such as
            `dev/storage:StorageAccount/hpcdevdata`.
        title: What the check wants, in checkov's words.
    """

    check: str
    resource: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What checkov found.

    Attributes:
        failures: In order.
        passed: How many checks passed.
        resources: How many resources it looked at.
    """

    failures: tuple[Failure, ...]
    passed: int
    resources: int


def ensure_installed() -> None:
    """Installs checkov as it is pinned, unless just that is there.

    Raises:
        ScannerError: It cannot be installed.
    """
    wanted = hashlib.sha256(PINS.read_bytes() + sys.version.encode()).hexdigest()
    stamp = ENVIRONMENT / _STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    sys.stderr.write("installing checkov in .local/scan, once\n")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    ENVIRONMENT.parent.mkdir(exist_ok=True)
    _install([sys.executable, "-m", "venv", str(ENVIRONMENT)])
    pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
    _install(
        [*pip, "--disable-pip-version-check", "--require-hashes", "--no-deps", "-r", str(PINS)]
    )
    stamp.write_text(wanted, encoding="utf-8")


def scan(templates: Mapping[str, Template]) -> Answer:
    """Every check of checkov's over the templates.

    Args:
        templates: By stack.

    Raises:
        ScannerError: Checkov fails, or has not read all of them.
    """
    with tempfile.TemporaryDirectory(prefix="scan-") as name:
        directory = Path(name)
        for stack, template in templates.items():
            text = json.dumps(template.document, indent=1)
            (directory / f"{stack}.json").write_text(text, encoding="utf-8")
        document = _run(directory)
    return _read(document, templates)


def _run(directory: Path) -> Any:
    command = [
        *(str(ENVIRONMENT / "bin" / "checkov"), "--directory", str(directory)),
        *("--framework", "arm", "--output", "json", "--compact"),
        *("--skip-download", "--soft-fail"),
    ]
    # No key of a service, so that nothing is uploaded; no question for a newer version.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BC_", "CKV_", "CHECKOV_", "PRISMA_", "LOG_LEVEL"))
    } | {"SKIP_PACKAGE_UPDATE_CHECK": "true", "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise ScannerError(f"checkov took longer than {_TIMEOUT_S} s and was ended") from error
    except OSError as error:
        raise ScannerError(
            f"checkov cannot be run ({error.strerror}).\nInstall it anew: rm -r {ENVIRONMENT}"
        ) from error
    said = (done.stderr or done.stdout)[-_TAIL:]
    if done.returncode:
        raise ScannerError(f"checkov ended with exit status {done.returncode}:\n{said}")
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise ScannerError(f"checkov did not answer ({error}):\n{said}") from error


def _read(document: Any, templates: Mapping[str, Template]) -> Answer:
    try:
        summary, results = document["summary"], document["results"]
        resources, unread = summary["resource_count"], results["parsing_errors"]
        failed, passed = results["failed_checks"], len(results["passed_checks"])
        wanted = sum(len(one.names) for one in templates.values())
        if unread or resources != wanted:
            raise ScannerError(
                f"checkov read {resources} of {wanted} resources; not: {', '.join(unread) or '?'}"
            )
        failures = {
            Failure(
                check=one["check_id"],
                resource=_resource(one["file_path"], one["resource"], templates),
                title=one["check_name"],
            )
            for one in failed
        }
    except (KeyError, TypeError) as error:
        raise ScannerError(
            f"checkov's answer is not of a form that is known: {error!r}"
        ) from error
    return Answer(failures=tuple(sorted(failures)), passed=passed, resources=resources)


def _resource(file: str, resource: str, templates: Mapping[str, Template]) -> str:
    stack = Path(file).stem
    return f"{stack}/{templates[stack].names[resource]}"


def _install(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ScannerError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}".strip())
