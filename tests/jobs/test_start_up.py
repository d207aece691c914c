"""What a command waits for before it begins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_command_does_not_wait_for_clients_of_services_that_it_may_not_ask() -> None:
    heavy = ("azure.batch", "azure.identity", "azure.mgmt", "azure.storage", "msal", "requests")
    program = f"import sys, jobs.cli; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
