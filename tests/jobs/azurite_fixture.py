"""A real Azurite for a test session: blobs as the official emulator keeps them."""

from __future__ import annotations

import base64
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

ROOT = Path(__file__).resolve().parents[2]
AZURITE = ROOT / "bootstrap" / "azurite" / "node_modules" / ".bin" / "azurite-blob"
ACCOUNT = "data"
CONTAINERS = ("programs", "inputs", "outputs", "logs")


@dataclass(frozen=True)
class Blobs:
    """Where it listens, and its key."""

    endpoint: str
    key: str

    def service(self) -> BlobServiceClient:
        return BlobServiceClient(self.endpoint, credential=self.key)


@contextmanager
def running() -> Iterator[Blobs]:
    if not AZURITE.exists():
        pytest.fail("Azurite is not installed: make setup")
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    process = subprocess.Popen(
        [AZURITE, "--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence",
         "--disableTelemetry", "--skipApiVersionCheck", "--silent"],
        env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"successfully listens on (http://\S+)", line):
                blobs = Blobs(f"{found[1]}/{ACCOUNT}", key)
                break
        else:
            pytest.fail("Azurite ended instead of listening")
        with blobs.service() as service:
            for name in CONTAINERS:
                service.create_container(name)
        yield blobs
    finally:
        process.terminate()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()
