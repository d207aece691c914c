"""Errors of the emulator, as a person at the command line meets them.

    EmulatorError            root; `emulator.cli` prints it and exits
    ├── NotRunningError      no emulator answers where the local state says one is
    ├── AlreadyRunningError  another emulator holds the data directory or the port
    ├── LocalStateError      a file of the local state cannot be read or written
    ├── MissingToolError     a program the emulator needs is not installed
    ├── StackError           the Pulumi engine refused or failed
    └── AzuriteError         Azurite did not start, or ended (`emulator.azurite`)

What the Batch service answers to a client is not an exception of this tree: those
errors are in `emulator.service.errors`, one catalogue with the service's codes.
"""


class EmulatorError(Exception):
    """A condition that a person can mend; its text says what, why and how."""


class NotRunningError(EmulatorError):
    """No emulator answers where the local state says one is."""


class AlreadyRunningError(EmulatorError):
    """Another emulator holds the data directory or the port."""


class LocalStateError(EmulatorError):
    """A file of the local state cannot be read or written, or is not what it should be."""


class MissingToolError(EmulatorError):
    """A program that the emulator needs is not installed."""


class StackError(EmulatorError):
    """The Pulumi engine refused or failed."""
