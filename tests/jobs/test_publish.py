"""`jobs publish` and a workload that runs what it published, on the emulator and Azurite."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError, ServiceRequestError
from azure.mgmt.batch.models import ApplicationPackage
from azure.storage.blob import BlobClient

from jobs.errors import UnavailableError
from jobs.publish import publish

Directory = Any  # the fixture of command_line.py, which importlib mode cannot name

pytestmark = pytest.mark.slow

RUN = """\
    name: packaged
    pool: cpu
    program: {application: tool, version: "VERSION"}
    command: ["{program}/bin/greet", "{index}"]
    outputs: [out.txt]
    tasks: 3
"""
GREET = '#!/bin/sh\n. "$(dirname "$0")/../lib/words"\necho "$WORD $1" | tee out.txt\n'


def program(root: Path, word: str) -> Path:
    for name in ("bin", "lib"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "bin" / "greet").write_text(GREET)
    (root / "bin" / "greet").chmod(0o755)
    (root / "lib" / "words").write_text(f"WORD={word}\n")
    return root


def test_a_workload_runs_the_version_that_was_published(directory: Directory) -> None:
    program(directory.path / "tool", "hello")
    directory.write(RUN.replace("VERSION", "1.0"))
    _, err = directory.jobs("run", "job.yaml", "--stack", "local", code=2)
    assert "python -m jobs publish tool PATH --version 1.0" in err

    out, _ = directory.jobs(
        "publish", "tool", "tool", "--version", "1.0", "--stack", "local", "--json"
    )
    first = json.loads(out)
    assert (first["published"], first["default"]) == (True, False)
    out, _ = directory.jobs("publish", "tool", "tool", "--version", "1.0", "--stack", "local")
    assert "the same content is published already" in out

    directory.jobs("run", "job.yaml", "--stack", "local", "--job-id", "packaged-1")
    texts = {path.read_text() for path in directory.path.glob("results/packaged-1/**/out.txt")}
    assert texts == {"hello 0\n", "hello 1\n", "hello 2\n"}

    program(directory.path / "tool", "good morning")
    _, err = directory.jobs(
        "publish", "tool", "tool", "--version", "1.0", "--stack", "local", code=2
    )
    assert "published with other content, and is not overwritten" in err


def test_the_default_version_is_what_was_published_so(directory: Directory) -> None:
    program(directory.path / "tool", "evening")
    directory.write(RUN.replace(', version: "VERSION"', ""))
    publish = ("publish", "tool", "tool", "--version", "2.0", "--stack", "local")
    out, _ = directory.jobs(*publish, "--default", "--json")
    assert json.loads(out)["default"] is True
    directory.jobs("run", "job.yaml", "--stack", "local", "--job-id", "packaged-2")
    texts = {path.read_text() for path in directory.path.glob("results/packaged-2/**/out.txt")}
    assert texts == {"evening 0\n", "evening 1\n", "evening 2\n"}


def test_what_cannot_be_published_is_told(directory: Directory) -> None:
    (directory.path / "tool").mkdir()
    for arguments, code, told in (
        (("tol", "tool", "--version", "1"), 2, "no application 'tol'"),
        (("tool", "absent", "--version", "1"), 2, "is not there"),
        (("tool", "tool", "--version", "a b"), 2, "letters, digits"),
        (("tool", "tool", "--version", "9"), 2, "nothing to publish"),
    ):
        _, err = directory.jobs("publish", *arguments, "--stack", "local", code=code)
        assert told in err
    program(directory.path / "tool", "x")
    directory.environment["AZURE_BATCH_ACCESS_KEY"] = "bm90IHRoZSBrZXk="
    _, err = directory.jobs(
        "publish", "tool", "tool", "--version", "9", "--stack", "local", code=3
    )
    assert "AuthenticationFailed" in err


def test_the_dry_run_shows_the_package(directory: Directory) -> None:
    directory.write(RUN.replace("VERSION", "1.0"))
    out, _ = directory.jobs("run", "job.yaml", "--stack", "local", "--dry-run")
    assert "package  tool 1.0" in out
    assert "AZ_BATCH_APP_PACKAGE_tool_1_0" in out


def test_storage_that_cannot_be_reached_is_not_taken_for_batch(
    stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object) -> None:
        raise ResourceNotFoundError("absent")

    def unreachable(*_: object, **_options: object) -> None:
        raise ServiceRequestError("[Errno 111] Connection refused")

    made = ApplicationPackage({"properties": {"storageUrl": "https://apps.example/c/b?sig=s"}})
    packages = SimpleNamespace(get=absent, create=lambda *_: made)
    client: Any = SimpleNamespace(
        application=SimpleNamespace(get=lambda *_: None), application_package=packages
    )
    monkeypatch.setattr(BlobClient, "upload_blob", unreachable)
    with pytest.raises(UnavailableError, match=r"uploading tool 1: storage does not answer"):
        publish(client, stack, "tool", "1", program(tmp_path / "tool", "x"))
