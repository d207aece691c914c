"""What becomes of blobs in time: one rule a container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pulumi_azure_native.storage import (
    DateAfterCreationArgs,
    DateAfterModificationArgs,
    ManagementPolicyActionArgs,
    ManagementPolicyBaseBlobArgs,
    ManagementPolicyDefinitionArgs,
    ManagementPolicyFilterArgs,
    ManagementPolicyRuleArgs,
    ManagementPolicyVersionArgs,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """Days after which something happens to a blob of a container; None for never.

    Attributes:
        cool_after_days: After its last change it moves to the cool tier.
        delete_after_days: After its last change it goes.
        delete_versions_after_days: So old a version of it goes.
    """

    cool_after_days: int | None = None
    delete_after_days: int | None = None
    delete_versions_after_days: int | None = None


def lifecycle_rules(containers: Mapping[str, Lifecycle]) -> list[ManagementPolicyRuleArgs]:
    """A rule for each container in which anything happens, by name."""
    return [
        ManagementPolicyRuleArgs(
            name=f"lifecycle-{container}",
            type="Lifecycle",
            enabled=True,
            definition=ManagementPolicyDefinitionArgs(
                filters=ManagementPolicyFilterArgs(
                    blob_types=["blockBlob"], prefix_match=[f"{container}/"]
                ),
                actions=_actions(lifecycle),
            ),
        )
        for container, lifecycle in sorted(containers.items())
        if lifecycle != Lifecycle()
    ]


def _actions(lifecycle: Lifecycle) -> ManagementPolicyActionArgs:
    cool, delete = lifecycle.cool_after_days, lifecycle.delete_after_days
    versions = lifecycle.delete_versions_after_days
    base = ManagementPolicyBaseBlobArgs(
        tier_to_cool=_changed(cool) if cool else None,
        delete=_changed(delete) if delete else None,
    )
    return ManagementPolicyActionArgs(
        base_blob=base if cool or delete else None,
        version=(
            ManagementPolicyVersionArgs(
                delete=DateAfterCreationArgs(days_after_creation_greater_than=versions)
            )
            if versions
            else None
        ),
    )


def _changed(days: int) -> DateAfterModificationArgs:
    return DateAfterModificationArgs(days_after_modification_greater_than=days)
