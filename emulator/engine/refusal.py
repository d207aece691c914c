"""The one exception of the engine: the service would refuse what was asked.

A refusal names a code of the service; its status and its sentence are in the catalogue
of the wire (`emulator.service.errors`), which a test holds to every code used here.
"""

from __future__ import annotations


class Refused(Exception):  # noqa: N818 - it is what the service does, not a fault of ours
    """The service refuses.

    Attributes:
        code: The service's error code, such as `JobNotFound`.
        values: Names and values that the answer carries beside its sentence.
    """

    def __init__(self, code: str, values: dict[str, str] | None = None) -> None:
        super().__init__(code if not values else f"{code} {values}")
        self.code = code
        self.values = values or {}


def invalid(name: str, value: object, reason: str) -> Refused:
    """A property of the body that the service cannot take."""
    return Refused(
        "InvalidPropertyValue",
        {"PropertyName": name, "PropertyValue": str(value), "Reason": reason},
    )
