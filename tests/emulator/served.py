"""`python -m emulator serve` as a process of a test, and what the test does with it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient

ROOT = Path(__file__).resolve().parents[2]
SERVE = (sys.executable, "-m", "emulator", "serve")
FAST = ("--service-speed", "1000", "--no-provider")
STORAGE = "mydata"


@dataclass
class Served:
    """A `serve` that was started."""

    process: subprocess.Popen[str]
    local: Path
    said: dict[str, Any] = field(default_factory=dict)

    def ready(self) -> Served:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"it ended: {self.process.communicate()[1]}"
        self.said = json.loads(line)
        return self

    def keys(self, kind: str) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.local / "keys.json").read_text())[kind]
        return found

    def batch(self) -> BatchClient:
        name = self.said["account"]
        key = AzureNamedKeyCredential(name, self.keys("batch")[name])
        return BatchClient(self.said["batch_endpoint"], key)

    def blobs(self, account: str = STORAGE) -> BlobServiceClient:
        url = f"{self.said['blob_endpoint']}/{account}"
        return BlobServiceClient(url, credential=self.keys("storage")[account])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=120)
        return self.process.returncode, err


Start = Callable[..., Served]


def give_storage(tmp_path: Path, *names: str, links: Mapping[str, str] | None = None) -> None:
    """What an earlier run leaves that had these storage accounts.

    Args:
        tmp_path: The test's.
        names: Of the accounts.
        links: Batch account → its auto-storage account.
    """
    data = tmp_path / "local" / "emulator"
    data.mkdir(parents=True, exist_ok=True)
    kept = {"accounts": names, "auto_storage": links or {}}
    (data / "storage-accounts.json").write_text(json.dumps(kept))


def until(condition: Callable[[], object], within_s: float = 120) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)
