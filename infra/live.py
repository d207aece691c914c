"""What Azure says of a stack's region and account: asked with `--live`, judged by rules.

Each question is apart, because each may fail apart: which sizes Batch supports in the region
and how many Batch accounts the subscription may have there; what quota the stack's own account
has; which images its nodes may run; which nodes there are now. A question that gets no answer
is reported by name with its remedy and stops nothing: offline findings stand without it.

The account is found by the tags that the program gives it, so no state is needed; before
the first deployment there is none, and its quota and images cannot be asked. Everything is
read, nothing changed: *Reader* on the subscription and *Azure Batch Account Reader* on the
account are enough.
Source: https://learn.microsoft.com/rest/api/batchmanagement/location and …/batch-account.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from infra.asking import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, RETRIES, asked, token_credential
from infra.endpoints import PUBLIC_MANAGER, endpoint_url
from infra.errors import AskError
from infra.estate import Estate
from infra.existing_network import group_of
from infra.unfinished import READER_ROLE, BatchService, batch_client

if TYPE_CHECKING:
    from azure.mgmt.batch import BatchManagementClient
    from azure.mgmt.batch.models import BatchAccount

ENV_SUBSCRIPTIONS = ("ARM_SUBSCRIPTION_ID", "AZURE_SUBSCRIPTION_ID")
"""Where a subscription's id is looked for, azure-native's own first; then `az account show`."""

ENV_MANAGER = "HPC_RESOURCE_MANAGER"
"""Resource Manager of another cloud, such as https://management.usgovcloudapi.net."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSize:
    """A size that Batch supports in a region.

    Attributes:
        name: Such as `Standard_D4s_v5`.
        family: Whose quota it draws on, such as `standardDSv5Family`.
        vcpus: Virtual CPUs, None where Azure does not say.
        ends: When Batch stops to support it, None where no day is set.
    """

    name: str
    family: str
    vcpus: int | None
    ends: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveQuota:
    """What the stack's Batch account may have.

    Attributes:
        dedicated_vcpus: Of all families together; None where families have their own.
        vcpus_by_family: By the family's name in lower case; None where not enforced.
        spot_vcpus: Of all spot nodes together.
        pools: Number of pools.
    """

    dedicated_vcpus: int | None
    vcpus_by_family: Mapping[str, int] | None
    spot_vcpus: int | None
    pools: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveImage:
    """A marketplace image that Batch runs, with its node agent; names in lower case."""

    publisher: str
    offer: str
    sku: str
    node_agent_sku_id: str
    ends: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveNodes:
    """The nodes of one pool that there are now."""

    vm_size: str
    dedicated: int
    spot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFacts:
    """What Azure answered; None where it was not asked, or did not answer.

    Attributes:
        location: The region.
        sizes: By name in lower case.
        free_accounts: How many more Batch accounts the subscription may have there.
        account: Name of the stack's Batch account; None where there is none yet.
        nodes: Of each pool of that account.
        unasked: What could not be asked, and why.
    """

    location: str
    sizes: Mapping[str, LiveSize] | None = None
    free_accounts: int | None = None
    account: str | None = None
    quota: LiveQuota | None = None
    images: tuple[LiveImage, ...] | None = None
    nodes: tuple[LiveNodes, ...] | None = None
    unasked: tuple[Unasked, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unasked:
    """A question without an answer: what, why, and what to do."""

    question: str
    reason: str
    remedy: str


def ask_azure(estate: Estate, *, images: bool = True, nodes: bool = False) -> LiveFacts:
    """Asks Azure about an estate; raises nothing that Azure or the network may cause.

    Args:
        estate: The stack as it is planned.
        images: Whether to ask which images the stack's account runs.
        nodes: Whether to ask which nodes it has now.
    """
    asking = _Asking()
    location = estate.config.location
    manager = asking.about("whom to ask", _manager)
    if manager is None:
        return LiveFacts(location=location, unasked=tuple(asking.unasked))
    found_nodes = found_images = None
    with manager:
        sizes = asking.about(f"sizes of {location}", partial(_sizes, manager, location))
        accounts = asking.about(
            f"Batch accounts in {location}", partial(_accounts, manager, location)
        )
        most = asking.about(
            f"account quota of {location}", partial(_account_quota, manager, location)
        )
        account = _own(estate, accounts or [])
        if account is not None and nodes:
            found_nodes = asking.about(
                f"nodes of {account.name}", partial(_nodes, manager, account)
            )
    if account is None and accounts is not None:
        wanted = {"quota": True, "images": images, "nodes": nodes}
        asking.unasked.append(
            Unasked(
                question=" and ".join(what for what, is_wanted in wanted.items() if is_wanted),
                reason=f"stack {estate.stack} has no Batch account yet, and they are the "
                "account's own",
                remedy="Deploy the stack and ask again, before its pools get work.",
            )
        )
    if account is not None and images:
        found_images = asking.about(f"images of {account.name}", partial(_images, account))
    return LiveFacts(
        location=location,
        sizes=sizes,
        free_accounts=None if most is None or accounts is None else most - len(accounts),
        account=account.name if account else None,
        quota=_quota(account) if account else None,
        images=found_images,
        nodes=found_nodes,
        unasked=tuple(asking.unasked),
    )


class _Asking:
    """Asks one thing after the other and notes what got no answer."""

    def __init__(self) -> None:
        self.unasked: list[Unasked] = []

    def about(self, question: str, ask: Callable[[], _T]) -> _T | None:
        try:
            return ask()
        except AskError as error:
            self.unasked.append(
                Unasked(question=question, reason=error.reason, remedy=error.remedy)
            )
            return None


def _manager() -> BatchManagementClient:
    url = os.environ.get(ENV_MANAGER) or PUBLIC_MANAGER
    credential = token_credential(url)
    from azure.mgmt.batch import BatchManagementClient  # noqa: PLC0415 - takes long, rarely asked

    return BatchManagementClient(
        credential,
        _subscription(),
        base_url=url,
        credential_scopes=[f"{url.rstrip('/')}/.default"],
        connection_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retry_total=RETRIES,
    )


def _subscription() -> str:
    for variable in ENV_SUBSCRIPTIONS:
        if found := os.environ.get(variable):
            return found
    command = ["az", "account", "show", "--query", "id", "--output", "tsv"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=READ_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise AskError(
            "no subscription is known: neither the environment nor `az account show` names one",
            remedy=f"Sign in (az login), or set {ENV_SUBSCRIPTIONS[0]}.",
        ) from error
    return done.stdout.strip()


def _sizes(manager: BatchManagementClient, location: str) -> dict[str, LiveSize]:
    with asked("Resource Manager", role="Reader of the subscription"):
        found = list(manager.location.list_supported_virtual_machine_skus(location))
    sizes = {}
    for one in found:
        if not one.name:
            continue
        capabilities = {item.name: item.value for item in one.capabilities or []}
        vcpus = str(capabilities.get("vCPUs") or "")
        end = one.batch_support_end_of_life
        sizes[one.name.casefold()] = LiveSize(
            name=one.name,
            family=one.family_name or "",
            vcpus=int(vcpus) if vcpus.isdecimal() else None,
            ends=end.date() if end else None,
        )
    return sizes


def _accounts(manager: BatchManagementClient, location: str) -> list[BatchAccount]:
    with asked("Resource Manager", role="Reader of the subscription"):
        return [one for one in manager.batch_account.list() if one.location == location]


def _account_quota(manager: BatchManagementClient, location: str) -> int | None:
    with asked("Resource Manager", role="Reader of the subscription"):
        return manager.location.get_quotas(location).account_quota


def _own(estate: Estate, accounts: list[BatchAccount]) -> BatchAccount | None:
    """The stack's account, by the tags that the program gives it."""
    wanted = {key: estate.tags[key] for key in ("project", "stack")}
    for one in accounts:
        if wanted.items() <= (one.tags or {}).items():
            return one
    return None


def _quota(account: BatchAccount) -> LiveQuota | None:
    properties = account.properties
    if properties is None:
        return None
    families = properties.dedicated_core_quota_per_vm_family or []
    enforced = bool(properties.dedicated_core_quota_per_vm_family_enforced)
    return LiveQuota(
        dedicated_vcpus=None if enforced else properties.dedicated_core_quota,
        vcpus_by_family=(
            {str(one.name).casefold(): one.core_quota or 0 for one in families}
            if enforced
            else None
        ),
        spot_vcpus=properties.low_priority_core_quota,
        pools=properties.pool_quota,
    )


def _nodes(manager: BatchManagementClient, account: BatchAccount) -> tuple[LiveNodes, ...]:
    with asked("Resource Manager", role="Reader of the subscription"):
        pools = list(
            manager.pool.list_by_batch_account(group_of(account.id or ""), account.name or "")
        )
    return tuple(
        LiveNodes(
            vm_size=one.properties.vm_size or "",
            dedicated=one.properties.current_dedicated_nodes or 0,
            spot=one.properties.current_low_priority_nodes or 0,
        )
        for one in pools
        if one.properties is not None
    )


def _images(account: BatchAccount) -> tuple[LiveImage, ...]:
    endpoint = account.properties.account_endpoint if account.properties else None
    name = account.name or ""
    if not endpoint:
        raise AskError(
            f"Batch account {name} has no endpoint",
            remedy="Look at its provisioning state in the portal.",
        )
    service = BatchService(account=name, endpoint=endpoint_url(endpoint), authentication="entra")
    with asked(f"Batch account {name}", role=READER_ROLE), batch_client(service) as client:
        return tuple(
            LiveImage(
                publisher=(one.image_reference.publisher or "").casefold(),
                offer=(one.image_reference.offer or "").casefold(),
                sku=(one.image_reference.sku or "").casefold(),
                node_agent_sku_id=one.node_agent_sku_id,
                ends=(
                    one.batch_support_end_of_life.date() if one.batch_support_end_of_life else None
                ),
            )
            for one in client.list_supported_images()
        )
