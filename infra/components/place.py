"""Where resources go: what every component is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A resource group, a region, and the tags that everything in it carries."""

    resource_group_name: pulumi.Input[str]
    location: str
    tags: Mapping[str, str]
