"""Applications in the config: the team's programs, in versions that the pipeline publishes.

An application is declared; its versions are not: a version is bytes that somebody uploads
and activates, which Resource Manager cannot be told in a declaration (docs/adr/0050).
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, StringConstraints

from infra.model import Model

ApplicationName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
PackageVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class ApplicationConfig(Model):
    """An application: a program in versions, which nodes are given as packages."""

    display_name: str | None = Field(
        default=None, max_length=1024, description="What people call it."
    )
    allow_updates: bool = Field(
        default=False,
        description="A published version may be replaced or deleted. Without, what ran once "
        "can be run again.",
    )
    default_version: PackageVersion | None = Field(
        default=None,
        description="Version of whoever names none; it must be published. Left out, it is "
        "what `python -m jobs publish --default` made it.",
    )


class PackageConfig(Model):
    """An application package that every node of a pool has before its start task."""

    application: ApplicationName = Field(description="A name under `hpc:applications`.")
    version: PackageVersion | None = Field(
        default=None, description="The application's default version when absent."
    )


def flattened(name: str) -> str:
    """A name as it is in environment variables of Linux nodes."""
    return re.sub(r"[.#-]", "_", name)
