"""Errors of `scan`.

ScanError           everything that `python -m scan` prints and exits with 2
├── ScannerError    checkov cannot be installed, or does not answer as it should
├── ExceptionsError exceptions.yaml is not what it should be
└── StackError      there is no such stack, or it cannot be deployed
"""


class ScanError(Exception):
    """Root of what a person can mend."""


class ScannerError(ScanError):
    """Checkov cannot be installed, or does not answer as it should."""


class ExceptionsError(ScanError):
    """The file of exceptions is not what it should be."""


class StackError(ScanError):
    """There is no such stack, or it cannot be deployed."""
