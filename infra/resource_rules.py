"""Rules that one resource can be judged by, as Resource Manager is asked for it.

`infra.rules` judges a stack's config before there are resources, and knows more; these judge
what is registered, whoever wrote the program. `policy/` lets the engine enforce them. What
both say (retirements, formulas) has one text, which is imported from there.

Pure, and free of Pulumi: properties are plain mappings and sequences under azure-native's
names. Not here: what only several resources together tell, and what a plan knows and a
resource does not, such as the most nodes that a formula should ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from autoscale import Limits, check
from infra.findings import Severity
from infra.open_doors import nat_pool_is_open, open_rules
from infra.rules.formulas import formula_text
from infra.rules.retirements import image_is_retiring, retirements_of
from infra.secrets_in_clear import secrets_in

Properties = Mapping[str, Any]

_SECURE_TLS = frozenset({"TLS1_2", "TLS1_3"})
_TAGS = ("project", "stack")
_STORAGE = "azure-native:storage:StorageAccount"
_BATCH = "azure-native:batch:BatchAccount"
_POOL = "azure-native:batch:Pool"
_GROUP = "azure-native:network:NetworkSecurityGroup"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRule:
    """One thing that is wrong with a resource by itself.

    Attributes:
        code: Stable id.
        severity: `error` stops a deployment, `warning` does not.
        source: Where Azure, or a table of this project, says so.
        types: Type tokens that it judges.
        judge: Yields a text for each thing that is wrong; its docstring is the rule in a
            sentence.
    """

    code: str
    severity: Severity
    source: str
    types: frozenset[str]
    judge: Callable[[Properties, date], Iterator[str]]

    @property
    def about(self) -> str:
        """The rule in a sentence."""
        return str(self.judge.__doc__)

    def problems(self, token: str, properties: Properties, today: date) -> list[str]:
        """What is wrong with a resource; nothing with one of a type that is not judged."""
        return list(self.judge(properties, today)) if token in self.types else []


def _is_guarded_share(properties: Properties) -> bool:
    """Whether an account holds shares alone, closed to all but named subnets."""
    rules = properties.get("networkRuleSet") or {}
    return properties.get("kind") == "FileStorage" and rules.get("defaultAction") == "Deny"


def _no_shared_keys(properties: Properties, today: date) -> Iterator[str]:
    """Storage accounts take no shared keys."""
    del today
    # Batch mounts SMB shares by nothing else; such an account is behind a firewall.
    if properties.get("allowSharedKeyAccess") is not False and not _is_guarded_share(properties):
        yield (
            "whoever sees the account's key may do everything; set allowSharedKeyAccess: false "
            "and give identities roles"
        )


def _no_public_blobs(properties: Properties, today: date) -> Iterator[str]:
    """Blobs are never public."""
    del today
    if "publicAccess" in properties or "containerName" in properties:
        if str(properties.get("publicAccess") or "None") != "None":
            yield "everybody could read the container's blobs; set publicAccess: None"
    elif properties.get("allowBlobPublicAccess") is not False:
        yield (
            "a container of this account could be made public; set allowBlobPublicAccess: false"
        )


def _encrypted_traffic(properties: Properties, today: date) -> Iterator[str]:
    """Storage accounts refuse unencrypted and outdated protocols."""
    del today
    if str(properties.get("minimumTlsVersion")) not in _SECURE_TLS:
        yield "outdated TLS would be accepted; set minimumTlsVersion: TLS1_2"
    # NFS 4.1 is refused where HTTPS is required.
    if properties.get("enableHttpsTrafficOnly") is False and not _is_guarded_share(properties):
        yield "unencrypted traffic would be accepted; set enableHttpsTrafficOnly: true"


def _entra_only(properties: Properties, today: date) -> Iterator[str]:
    """Batch accounts take Entra identities alone."""
    del today
    modes = [str(mode) for mode in properties.get("allowedAuthenticationModes") or ()]
    if modes != ["AAD"]:
        yield (
            f"the account takes {', '.join(modes) or 'every way to sign in'}; set "
            "allowedAuthenticationModes: [AAD], so that no key of it works"
        )


def _nothing_from_the_internet(properties: Properties, today: date) -> Iterator[str]:
    """No rules let everybody in, alone or together."""
    del today
    for found in open_rules(properties.get("securityRules") or (properties,)):
        names = " and ".join(f"'{rule.get('name', '?')}'" for rule in found)
        noun, verb = ("rule", "lets") if len(found) == 1 else ("rules", "together let")
        yield f"{noun} {names} {verb} {_INTERNET}"
    network = properties.get("networkConfiguration") or {}
    endpoints = network.get("endpointConfiguration") or {}
    for port in endpoints.get("inboundNatPools") or ():
        if nat_pool_is_open(port.get("networkSecurityGroupRules") or ()):
            yield (
                f"port '{port.get('name', '?')}' lets {_INTERNET}, and let the last rule deny the "
                "rest"
            )


_INTERNET = (
    "the internet in, and nodes have the identity that reads and writes your data; name the "
    "addresses that need it"
)


def _simplified_communication(properties: Properties, today: date) -> Iterator[str]:
    """Pools use simplified node communication."""
    del today
    if properties.get("targetNodeCommunicationMode") != "Simplified":
        yield (
            "classic communication was retired on 2026-03-31 and wants ports open to nodes; set "
            "targetNodeCommunicationMode: Simplified"
        )


def _no_secrets_in_clear(properties: Properties, today: date) -> Iterator[str]:
    """No text of a pool holds a secret, as every reader of the pool sees it."""
    del today
    for path in secrets_in(properties):
        yield (
            f"{path} looks like a secret, and whoever reads pools reads it; let the node fetch "
            "it by its identity"
        )


def _no_retired_size(properties: Properties, today: date) -> Iterator[str]:
    """No size is retired."""
    for one in retirements_of(str(properties.get("vmSize", ""))):
        if one.is_past(today):
            yield one.past_text(str(properties["vmSize"]))


def _no_retiring_size(properties: Properties, today: date) -> Iterator[str]:
    """No size retires within a year."""
    for one in retirements_of(str(properties.get("vmSize", ""))):
        if one.is_near(today):
            yield one.near_text(str(properties["vmSize"]))


def _no_retiring_image(properties: Properties, today: date) -> Iterator[str]:
    """No image whose end is announced is used."""
    del today
    deployment = properties.get("deploymentConfiguration") or {}
    machine = deployment.get("virtualMachineConfiguration") or {}
    text = image_is_retiring(str(machine.get("nodeAgentSkuId")))
    if text:
        yield text


def _valid_formula(properties: Properties, today: date) -> Iterator[str]:
    """The service accepts each formula."""
    del today
    scale = (properties.get("scaleSettings") or {}).get("autoScale") or {}
    formula = scale.get("formula")
    if formula is None:
        return
    limits = Limits(task_slots_per_node=_whole(properties.get("taskSlotsPerNode")))
    for finding in check(str(formula), limits=limits):
        if finding.severity == "error":
            yield formula_text(finding, of=" of the formula")


def _whole(value: Any) -> int | None:
    # Numbers of the engine are floating.
    return None if value is None else int(value)


def _tagged(properties: Properties, today: date) -> Iterator[str]:
    """Resources say which project and stack they are of."""
    del today
    tags = properties.get("tags") or {}
    missing = [name for name in _TAGS if name not in tags]
    if missing:
        yield f"whose it is and what it costs for cannot be told; add tags: {', '.join(missing)}"


_SECURITY = "https://learn.microsoft.com/azure/batch/security-best-practices"
_STORAGE_SECURITY = "https://learn.microsoft.com/azure/storage/blobs/security-recommendations"
_SIZES = "https://learn.microsoft.com/azure/virtual-machines/sizes/retirement/retired-sizes-list"


def _rule(
    code: str,
    severity: Severity,
    judge: Callable[[Properties, date], Iterator[str]],
    source: str,
    types: Sequence[str],
) -> ResourceRule:
    return ResourceRule(
        code=code, severity=severity, judge=judge, source=source, types=frozenset(types)
    )


RESOURCE_RULES = (
    _rule("res001-no-shared-keys", "error", _no_shared_keys, _STORAGE_SECURITY, [_STORAGE]),
    _rule(
        "res002-no-public-blobs",
        "error",
        _no_public_blobs,
        _STORAGE_SECURITY,
        [_STORAGE, "azure-native:storage:BlobContainer"],
    ),
    _rule("res003-encrypted-traffic", "error", _encrypted_traffic, _STORAGE_SECURITY, [_STORAGE]),
    _rule("res004-entra-only", "error", _entra_only, _SECURITY, [_BATCH]),
    _rule(
        "res005-nothing-from-the-internet",
        "error",
        _nothing_from_the_internet,
        "https://learn.microsoft.com/azure/batch/pool-endpoint-configuration",
        [_GROUP, "azure-native:network:SecurityRule", _POOL],
    ),
    _rule(
        "res006-simplified-communication",
        "error",
        _simplified_communication,
        "https://learn.microsoft.com/azure/batch/simplified-compute-node-communication",
        [_POOL],
    ),
    _rule("res007-no-secrets-in-clear", "error", _no_secrets_in_clear, _SECURITY, [_POOL]),
    _rule("res008-no-retired-size", "error", _no_retired_size, _SIZES, [_POOL]),
    _rule("res009-no-retiring-size", "warning", _no_retiring_size, _SIZES, [_POOL]),
    _rule(
        "res010-no-retiring-image",
        "warning",
        _no_retiring_image,
        "https://learn.microsoft.com/azure/batch/batch-linux-nodes",
        [_POOL],
    ),
    _rule(
        "res011-valid-formula",
        "error",
        _valid_formula,
        "https://learn.microsoft.com/azure/batch/batch-automatic-scaling",
        [_POOL],
    ),
    _rule(
        "res012-tagged",
        "warning",
        _tagged,
        "https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources",
        ["azure-native:resources:ResourceGroup", _STORAGE, _BATCH, _GROUP],
    ),
)
