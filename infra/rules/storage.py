"""Rules of blobs and how long they stay, and of the registry of images."""

from __future__ import annotations

from collections.abc import Iterator

from infra.estate import Estate
from infra.rules.rule import Problem, Rule


def _blobs_cool_before_they_go(estate: Estate) -> Iterator[Problem]:
    """Blobs move to the cool tier before they are deleted, or not at all."""
    storage = estate.config.storage
    for kind in storage.containers:
        cool = getattr(storage.cool_after_days, kind)
        delete = getattr(storage.delete_after_days, kind)
        if cool is not None and delete is not None and cool >= delete:
            yield Problem(
                f"storage.cool_after_days.{kind}",
                f"blobs go after {delete} days and would never be {cool} days old; cool them "
                "earlier, or leave this out",
            )


def _only_large_registries_are_private(estate: Estate) -> Iterator[Problem]:
    """A registry without public access is one that can have private endpoints."""
    registry = estate.config.registry
    if not registry.public_network_access and not registry.can_be_private:
        yield Problem(
            "registry.public_network_access",
            f"only a Premium registry can be closed and have private endpoints, and this is "
            f"{registry.sku if registry.name else 'none'}; write sku: Premium and a name, or "
            "leave access on",
        )


RULES = (
    Rule(
        code="STO001",
        severity="error",
        source="https://learn.microsoft.com/azure/storage/blobs/lifecycle-management-overview",
        judge=_blobs_cool_before_they_go,
    ),
    Rule(
        code="STO002",
        severity="error",
        source="https://learn.microsoft.com/azure/container-registry/container-registry-private-link",
        judge=_only_large_registries_are_private,
    ),
)
