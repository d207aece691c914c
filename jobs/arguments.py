"""What a program gave: refused where it is given, all of it at once.

The command line checks its options by their types; what a program passes to `jobs.client`
may be anything.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

from jobs.errors import Finding, InputError


def require(*checks: tuple[bool, str]) -> None:
    """Refuses arguments; each check is whether it holds, and what is wrong if not.

    Raises:
        InputError: With every check that does not hold.
    """
    if findings := [Finding(message=message) for holds, message in checks if not holds]:
        raise InputError(findings)


def all_of(*checks: Callable[[], object]) -> None:
    """Makes every check, and raises what they found together.

    Raises:
        InputError: With every finding.
    """
    findings: list[Finding] = []
    for check in checks:
        try:
            check()
        except InputError as error:
            findings.extend(error.findings)
    if findings:
        raise InputError(findings)


def require_limits(
    *,
    timeout_s: float | None = None,
    max_fails: int | None = None,
    max_cost: float | None = None,
) -> None:
    """Refuses limits that no job could be held to; None is no limit.

    Raises:
        InputError: With every one of them.
    """
    # Written so that NaN fits nothing.
    require(
        (timeout_s is None or timeout_s >= 0, f"timeout_s {timeout_s!r} is no length of time"),
        (max_fails is None or max_fails >= 1, f"max_fails {max_fails!r} is not 1 or more"),
        (max_cost is None or is_amount(max_cost), f"max_cost {max_cost!r} is no amount"),
    )


def is_amount(number: float) -> bool:
    """Whether a number may be an amount of money that is spent."""
    return number >= 0 and isfinite(number)


def checked_amount(option: str, amount: float | None) -> float | None:
    """An amount of money that an option gave, if it is one.

    Raises:
        InputError: It is negative, infinite or no number, which no cost ever reaches.
    """
    if amount is not None and not is_amount(amount):
        raise InputError(f"{option} {amount:g} is no amount that a job could cost: give a number")
    return amount


def variable_text(value: object) -> str:
    """A variable's value as the command line would have it.

    Raises:
        InputError: It is neither text nor a number.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise InputError(f"a variable is text or a number, and {value!r} is neither")
    return str(value)
