"""What will work, and perhaps not as it is meant: warnings, each with a code.

By its code a person says that they know (`--ignore CODE`, `jobs.strictness`).
"""

from __future__ import annotations

from dataclasses import dataclass

ROUNDS = "rounds"
REGISTRY = "registry"
SHELL = "shell"
OUTPUTS = "outputs"
BLOCKED = "blocked"
WARNING_CODES = (ROUNDS, REGISTRY, SHELL, OUTPUTS, BLOCKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A warning.

    Attributes:
        code: Of `WARNING_CODES`.
        message: What will happen, or has.
    """

    code: str
    message: str

    def __str__(self) -> str:
        """`MESSAGE [CODE]`."""
        return f"{self.message} [{self.code}]"
