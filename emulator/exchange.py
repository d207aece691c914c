"""One HTTP request to the running emulator, and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.errors import NotRunningError
from emulator.local import RunningEmulator

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 60.0


def exchange(
    running: RunningEmulator,
    method: str,
    target: str,
    *,
    within_s: float | None = TIMEOUT_S,
    **parts: Any,
) -> httpx.Response:
    """Sends a request, and answers what came back, whatever its status.

    Args:
        running: The emulator, whose certificate is trusted.
        method: Of the request.
        target: Path and query, from the slash on.
        within_s: So long it may take to answer; None for as long as it likes.
        parts: Headers and body, as httpx takes them.

    Raises:
        NotRunningError: It does not answer, or broke the connection.
    """
    # Every command imports this module, and httpx takes a tenth of a second to import.
    import httpx  # noqa: PLC0415

    verify: Any = running.certificate or True
    timeout = httpx.Timeout(TIMEOUT_S, read=within_s)
    try:
        # A proxy that the machine is told to use leads away from the machine itself.
        with httpx.Client(verify=verify, trust_env=False, timeout=timeout) as client:
            return client.request(method, f"{running.batch_endpoint}{target}", **parts)
    except httpx.TransportError as error:
        raise NotRunningError(
            f"the emulator at {running.batch_endpoint} does not answer: {error}.\n"
            "Start one in another terminal: python -m emulator serve"
        ) from error
