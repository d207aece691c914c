"""What every test may rely on, however the tests were started."""

from __future__ import annotations

import gc
import os
import shutil
import signal

import pytest
from hypothesis import HealthCheck, settings

# No test looks at a clock: a busy machine is slow, not wrong.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# A shell that starts the tests in the background has them, and all that they start, ignore
# Ctrl-C; tests of Ctrl-C are to mean the same there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A make that starts the tests tells the makes that they start that they are its own; those
# would then print which directories they enter and leave.
for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(name, None)


def pytest_collection_finish() -> None:
    """Spares the collector what was imported for thousands of tests: a tenth of their time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium or Chrome; pages are tested in a real browser."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        reason = f"no browser: none of {', '.join(names)} is on PATH"
        # Where changes are judged, a page that nobody opened is not one that works.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return found
