"""Emulators as people start them, for the clients that people have."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """A running emulator: where it is, who may use it, what to trust."""

    url: str
    account: str
    key: str
    bundle: Path | None


@contextmanager
def serving(directory: Path, *options: str) -> Iterator[Emulator]:
    """An emulator of its own process and local directory."""
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    command = [
        sys.executable, "-m", "emulator", "serve", "--account", "local", "--in-memory",
        "--no-blob", "--no-provider", "--service-speed", "300", *options,
    ]  # fmt: skip
    environment = {**os.environ, "HPC_LOCAL_DIR": str(directory), "EMULATOR_KEY": key}
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (directory / "log").read_text()
            told = json.loads(line)
            bundle = directory / "tls" / "bundle.pem" if told["certificate"] else None
            yield Emulator(url=told["batch_endpoint"], account="local", key=key, bundle=bundle)
        finally:
            process.terminate()
            process.communicate(timeout=120)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with serving(tmp_path_factory.mktemp("plain")) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with serving(tmp_path_factory.mktemp("tls"), "--tls") as emulator:
        yield emulator
