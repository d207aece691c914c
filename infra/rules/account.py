"""Rules of accounts, keys and how they are reached."""

from __future__ import annotations

import re
from collections.abc import Iterator

from infra.estate import Estate
from infra.rules.rule import Problem, Rule

_LOCAL_STACK = re.compile(r"^local(-[a-z0-9-]+)?$")


def _shared_keys_only_on_a_laptop(estate: Estate) -> Iterator[Problem]:
    """Shared keys are for the emulator alone."""
    if estate.config.allows_shared_keys and not _LOCAL_STACK.match(estate.stack):
        yield Problem(
            "authentication",
            f"shared-key is for the emulator: stack '{estate.stack}' would have account keys "
            "that anyone who sees them can use; write entra (or name the stack local)",
        )


def _closed_doors_need_private_endpoints(estate: Estate) -> Iterator[Problem]:
    """An account without public access needs a private endpoint."""
    config = estate.config
    if config.network.private_endpoints:
        return
    for path, is_open in (
        ("batch.public_network_access", config.batch.public_network_access),
        ("storage.public_network_access", config.storage.public_network_access),
        ("registry.public_network_access", config.registry.public_network_access),
    ):
        if not is_open:
            yield Problem(
                path,
                "nothing could reach the account: public access is off and there is no "
                "private endpoint; set network.private_endpoints: true or leave access on",
            )


def _closed_storage_breaks_packages(estate: Estate) -> Iterator[Problem]:
    """A closed data account is staged to from inside the network."""
    if not estate.config.storage.public_network_access:
        yield Problem(
            "storage.public_network_access",
            "the data account is closed, so programs and data can only be staged from inside "
            "the network; run `python -m jobs.run` from a machine in it. The account of "
            "application packages stays open to Entra identities, as Batch needs it",
        )


def _containers_differ(estate: Estate) -> Iterator[Problem]:
    """Each kind of blob has a container of its own."""
    seen: dict[str, str] = {}
    for kind, name in estate.config.storage.containers.items():
        if name in seen:
            yield Problem(
                f"storage.{kind}_container",
                f"'{name}' is the {seen[name]} container too; lifecycle rules and clean-ups "
                "would reach across, so give each container its own name",
            )
        seen.setdefault(name, kind)


def _own_nodes_need_batch_to_be_known(estate: Estate) -> Iterator[Problem]:
    """Batch keeps secrets of nodes in the vault only where it has a role on it."""
    batch = estate.config.batch
    if batch.has_own_nodes and batch.service_principal_id is None:
        yield Problem(
            "batch.pool_allocation",
            "in user-subscription mode Batch itself must be given a role on the key vault, and "
            "who Batch is differs by tenant; write batch.service_principal_id with what `az ad sp "
            "show --id ddbf3205-c6bd-46ae-8127-60eb93363864 --query id -o tsv` prints",
        )


def _own_nodes_forbid_shared_keys(estate: Estate) -> Iterator[Problem]:
    """Accounts in user-subscription mode have no shared keys."""
    config = estate.config
    if config.batch.has_own_nodes and config.allows_shared_keys:
        yield Problem(
            "batch.pool_allocation",
            "Batch refuses shared keys in user-subscription mode, and the emulator has no "
            "subscription to make nodes in; write batch-service, or authentication: entra",
        )


def _service_principal_is_used(estate: Estate) -> Iterator[Problem]:
    """A service principal is given where it gets a role."""
    batch = estate.config.batch
    if not batch.has_own_nodes and batch.service_principal_id is not None:
        yield Problem(
            "batch.service_principal_id",
            "in batch-service mode nodes are made in Batch's own subscription and its service "
            "principal gets no role; write pool_allocation: user-subscription, or leave it out",
        )


_USER_SUBSCRIPTION = (
    "https://learn.microsoft.com/azure/batch/batch-account-create-portal"
    "#configure-user-subscription-mode"
)

RULES = (
    Rule(
        code="ACC001",
        severity="error",
        source="https://learn.microsoft.com/azure/batch/security-best-practices",
        judge=_shared_keys_only_on_a_laptop,
    ),
    Rule(
        code="ACC002",
        severity="error",
        source="https://learn.microsoft.com/azure/batch/private-connectivity",
        judge=_closed_doors_need_private_endpoints,
    ),
    Rule(
        code="ACC003",
        severity="warning",
        source="https://learn.microsoft.com/azure/batch/batch-application-packages",
        judge=_closed_storage_breaks_packages,
    ),
    Rule(
        code="ACC004",
        severity="error",
        source="https://learn.microsoft.com/azure/storage/blobs/lifecycle-management-overview",
        judge=_containers_differ,
    ),
    Rule(
        code="ACC005",
        severity="error",
        source=_USER_SUBSCRIPTION,
        judge=_own_nodes_need_batch_to_be_known,
    ),
    Rule(
        code="ACC006",
        severity="error",
        source=_USER_SUBSCRIPTION,
        judge=_own_nodes_forbid_shared_keys,
    ),
    Rule(
        code="ACC007",
        severity="warning",
        source=_USER_SUBSCRIPTION,
        judge=_service_principal_is_used,
    ),
)
