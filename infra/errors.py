"""Errors of `infra`.

InfraError              everything that `python -m infra` prints and exits with 1
├── ConfigError         the stack config is wrong; carries every finding
├── StackFileError      a project or stack file cannot be found or read
├── AddressSpaceError   a network plan does not fit its address space
├── AskError            Azure could not be asked; carries the remedy
├── PriceError          no price list came, or it cannot be kept
└── BusyPoolError       a pool is not deleted, because tasks on it are unfinished
"""

from __future__ import annotations

from collections.abc import Sequence

from infra.findings import Finding


class InfraError(Exception):
    """Root of what a person can mend."""


class ConfigError(InfraError):
    """The stack config cannot be deployed.

    Attributes:
        findings: Everything that was found, warnings included, in order of path.
    """

    def __init__(
        self, stack: str, findings: Sequence[Finding], *, deploying: bool = False
    ) -> None:
        """Words the errors among the findings.

        Args:
            stack: The stack's name.
            findings: Everything that was found.
            deploying: Whether that stopped a deployment, which may be one that destroys.
        """
        self.findings = tuple(findings)
        errors = [finding for finding in self.findings if finding.is_error]
        lines = "\n".join(f"  {finding}" for finding in errors)
        noun = "error" if len(errors) == 1 else "errors"
        consequence, remedy = "", ""
        if deploying:
            consequence = ", nothing was deployed"
            codes = sorted({one.code for one in errors if one.code[:3] != "CFG"})
            # A stack whose size was retired since must still be taken down.
            silence = ", ".join(f"{code}: the stack is taken down" for code in codes)
            remedy = f"\nTo destroy it all the same: hpc:ignore: {{{silence}}}" if codes else ""
        super().__init__(
            f"stack '{stack}' has {len(errors)} config {noun}{consequence}:\n{lines}{remedy}"
        )


class StackFileError(InfraError):
    """A project or stack file cannot be found or read."""


class AddressSpaceError(InfraError):
    """The planned subnets do not fit the address space."""


class AskError(InfraError):
    """Azure could not be asked, or did not answer.

    Attributes:
        reason: Whom, and why not, in one line.
        remedy: What to do about it.
    """

    def __init__(self, reason: str, *, remedy: str) -> None:
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"{reason}\n{remedy}")


class BusyPoolError(InfraError):
    """A pool is not deleted, because tasks on it are unfinished or nobody can tell."""


class PriceError(InfraError):
    """No price list came, or it cannot be kept."""
