"""Rules of accounts, keys and how they are reached."""

from __future__ import annotations

import re
from collections.abc import Iterator

from infra.estate import Estate
from infra.rules.rule import Problem, Rule

_LOCAL_STACK = re.compile(r"^local(-[a-z0-9-]+)?$")


def _shared_keys_only_on_a_laptop(estate: Estate) -> Iterator[Problem]:
    """Shared keys are for the emulator alone."""
    if estate.config.authentication == "shared-key" and not _LOCAL_STACK.match(estate.stack):
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
    storage = estate.config.storage
    seen: dict[str, str] = {}
    for kind in ("programs", "inputs", "outputs", "logs"):
        name = getattr(storage, f"{kind}_container")
        if name in seen:
            yield Problem(
                f"storage.{kind}_container",
                f"'{name}' is the {seen[name]} container too; lifecycle rules and clean-ups "
                "would reach across, so give each container its own name",
            )
        seen.setdefault(name, kind)


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
)
