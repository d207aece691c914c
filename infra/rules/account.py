"""Rules of accounts, keys and how they are reached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network

from infra.estate import Estate
from infra.rules.rule import Problem, Rule
from infra.security_rules import is_everybody

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


def _selected(estate: Estate) -> Iterator[tuple[str, bool, tuple[IPv4Network, ...], int]]:
    """Addresses that are let in: their path, whether anybody is, who, and how many may be."""
    batch, storage = estate.config.batch, estate.config.storage
    yield "batch", batch.public_network_access, batch.allow_from, _MOST_BATCH_RULES
    yield "storage", storage.public_network_access, storage.allow_from, _MOST_STORAGE_RULES


def _selected_addresses_are_public(estate: Estate) -> Iterator[Problem]:
    """Addresses that reach an account from outside are public, few and not everybody's."""
    for section, _, addresses, most in _selected(estate):
        path = f"{section}.allow_from"
        for one in addresses:
            if any(one.subnet_of(private) for private in _PRIVATE):
                yield Problem(
                    path,
                    f"{one} is an address inside a network and never seen by the account, so "
                    "nobody would be let in by it; write the public address that you leave by",
                )
        if is_everybody(addresses):
            yield Problem(
                path,
                "that is everybody, or more than anybody's own addresses; name those that need "
                "it, or leave the key out to let in all, who need a role in any case",
            )
        if len(addresses) > most:
            yield Problem(
                path,
                f"{len(addresses)} ranges are more than the {most} that the account takes; join "
                "them to larger ones",
            )


def _closed_accounts_select_nobody(estate: Estate) -> Iterator[Problem]:
    """Addresses are selected of an account that is reached from outside."""
    for section, is_open, addresses, _ in _selected(estate):
        if addresses and not is_open:
            yield Problem(
                f"{section}.allow_from",
                "public access is off, so no address is let in from outside; leave this key out, "
                "or write public_network_access: true",
            )


def _the_pipeline_is_let_in(estate: Estate) -> Iterator[Problem]:
    """The pipeline's agents are among the selected addresses."""
    for section, is_open, addresses, _ in _selected(estate):
        if addresses and is_open and estate.config.pipeline.has_identity:
            yield Problem(
                f"{section}.allow_from",
                "agents that Microsoft or GitHub host have no fixed addresses and would be kept "
                "out; run the pipeline on agents of your own that leave by one of these, then "
                "silence this rule",
            )


_MOST_BATCH_RULES = 200
_MOST_STORAGE_RULES = 400
_PRIVATE = (
    *map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")),
    *map(IPv4Network, ("100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16")),
)
_PUBLIC_ACCESS = "https://learn.microsoft.com/azure/batch/public-network-access"
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
    Rule(
        code="ACC008",
        severity="error",
        source=_PUBLIC_ACCESS,
        judge=_selected_addresses_are_public,
    ),
    Rule(
        code="ACC009",
        severity="error",
        source=_PUBLIC_ACCESS,
        judge=_closed_accounts_select_nobody,
    ),
    Rule(
        code="ACC010",
        severity="warning",
        source="https://learn.microsoft.com/azure/devops/pipelines/agents/hosted",
        judge=_the_pipeline_is_let_in,
    ),
)
