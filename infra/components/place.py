"""Where resources go: what every component is told."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A resource group and a region."""

    resource_group_name: pulumi.Input[str]
    location: str
