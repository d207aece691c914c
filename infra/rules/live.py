"""Rules over what Azure answered: sizes, quota and images as they are today.

Judged with `--live` alone. A rule whose facts are missing yields nothing: what could not be
asked is reported as such, and is no finding. Ids begin with LIV and are silenced like any.
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.estate import Estate
from infra.findings import Finding
from infra.live import LiveFacts
from infra.live_use import find_size, wanted_by_family, wanted_spot_vcpus
from infra.rules import RULES
from infra.rules.rule import Problem, Rule
from infra.rules.sizes import near_sizes


def live_findings(estate: Estate, facts: LiveFacts) -> list[Finding]:
    """Every finding of every live rule, what `ignore` names silenced with its reason."""
    return [one for rule in LIVE_RULES for one in rule.findings(estate, facts)]


def _size_is_offered(estate: Estate, facts: LiveFacts) -> Iterator[Problem]:
    """Batch supports each pool's size in the region."""
    if facts.sizes is None:
        return
    names = [size.name for size in facts.sizes.values()]
    for pool in estate.pools:
        if find_size(pool.vm_size, facts) is None:
            yield Problem(
                f"{pool.path}.vm_size",
                f"Batch does not support {pool.vm_size} in {facts.location}, so the pool could "
                "not be created; take another region or another size"
                f"{near_sizes(pool.vm_size, names)}",
            )


def _size_stays(estate: Estate, facts: LiveFacts) -> Iterator[Problem]:
    """Batch has set no day for the end of a pool's size."""
    for pool in estate.pools:
        size = find_size(pool.vm_size, facts)
        if size is not None and size.ends is not None:
            yield Problem(
                f"{pool.path}.vm_size",
                f"Batch supports {size.name} until {size.ends}, then its nodes stop working; "
                "move to a newer size before",
            )


def _dedicated_quota_is_there(estate: Estate, facts: LiveFacts) -> Iterator[Problem]:
    """The account's vCPU quota is enough for the most dedicated nodes of all pools."""
    if facts.quota is None:
        return
    wanted = wanted_by_family(estate, facts)
    by_family = facts.quota.vcpus_by_family
    if by_family is None:
        total = sum(one.vcpus for one in wanted.values())
        if facts.quota.dedicated_vcpus is not None and total > facts.quota.dedicated_vcpus:
            yield Problem(
                "batch.vcpu_quota_by_series",
                _too_little("all pools", total, facts.quota.dedicated_vcpus, facts.account),
            )
        return
    for family, one in wanted.items():
        quota = by_family.get(family.casefold(), 0)
        if family and one.vcpus > quota:
            yield Problem(
                f"batch.vcpu_quota_by_series.{family}",
                _too_little(f"pools {', '.join(one.pools)}", one.vcpus, quota, facts.account),
            )


def _spot_quota_is_there(estate: Estate, facts: LiveFacts) -> Iterator[Problem]:
    """The account's spot vCPU quota is enough for the most spot nodes of all pools."""
    quota = facts.quota.spot_vcpus if facts.quota else None
    if quota is None:
        return
    total = wanted_spot_vcpus(estate, facts)
    if total > quota:
        yield Problem(
            "batch.spot_vcpu_quota", _too_little("spot nodes", total, quota, facts.account)
        )


def _too_little(who: str, wanted: int, quota: int, account: str | None) -> str:
    return (
        f"{who} may grow to {wanted} vCPUs together and account {account} has a quota of "
        f"{quota}: they would stop with AccountCoreQuotaReached; lower their most nodes, or "
        "request quota in the portal under the account's Quotas"
    )


def _pool_quota_is_there(estate: Estate, facts: LiveFacts) -> Iterator[Problem]:
    """The account may have as many pools as the stack declares."""
    quota = facts.quota.pools if facts.quota else None
    if quota is not None and len(estate.pools) > quota:
        yield Problem(
            "pools",
            f"there are {len(estate.pools)} pools and account {facts.account} may have {quota}; "
            "declare fewer, or request quota",
        )


def _account_quota_is_there(estate: Estate, facts: LiveFacts) -> Iterator[Problem]:
    """The subscription may have one more Batch account in the region, where none is yet."""
    if facts.account is None and facts.free_accounts is not None and facts.free_accounts < 1:
        yield Problem(
            "location",
            f"the subscription has all the Batch accounts that it may have in {facts.location}, "
            f"so stack {estate.stack} could not make its own; delete one, request quota, or take "
            "another region",
        )


def _image_is_offered(estate: Estate, facts: LiveFacts) -> Iterator[Problem]:
    """Batch runs each pool's marketplace image with its node agent."""
    if facts.images is None:
        return
    known = {(one.publisher, one.offer, one.sku): one.node_agent_sku_id for one in facts.images}
    for pool in estate.pools:
        if pool.image is None:
            continue
        image = pool.image
        key = (image.publisher.casefold(), image.offer.casefold(), image.sku.casefold())
        name = f"{image.publisher}:{image.offer}:{image.sku}"
        if key not in known:
            skus = [sku for publisher, offer, sku in known if (publisher, offer) == key[:2]]
            others = f"; of this offer it runs {', '.join(sorted(skus))}" if skus else ""
            yield Problem(
                f"{pool.path}.image",
                f"Batch does not run {name} today, so the pool could not be created{others}",
            )
        elif known[key] != pool.node_agent_sku_id:
            yield Problem(
                f"{pool.path}.image",
                f"Batch runs {name} with node agent '{known[key]}', not "
                f"'{pool.node_agent_sku_id}'; write that one",
            )


def _image_stays(estate: Estate, facts: LiveFacts) -> Iterator[Problem]:
    """Batch has set no day for the end of a pool's image."""
    ends = {(one.publisher, one.offer, one.sku): one.ends for one in facts.images or ()}
    for pool in estate.pools:
        if pool.image is None:
            continue
        image = pool.image
        end = ends.get((image.publisher.casefold(), image.offer.casefold(), image.sku.casefold()))
        if end is not None:
            yield Problem(
                f"{pool.path}.image",
                f"Batch runs {image.publisher}:{image.offer}:{image.sku} until {end}; move to a "
                "newer image before",
            )


_API = "https://learn.microsoft.com/rest/api/batchmanagement/"
_SKUS = f"{_API}location/list-supported-virtual-machine-skus"
_ACCOUNT = f"{_API}batch-account/get"
_IMAGES = "https://learn.microsoft.com/rest/api/batchservice/pools/list-supported-images"

LIVE_RULES: tuple[Rule[LiveFacts], ...] = (
    Rule(code="LIV001", severity="error", source=_SKUS, judge=_size_is_offered),
    Rule(code="LIV002", severity="warning", source=_SKUS, judge=_size_stays),
    Rule(code="LIV003", severity="error", source=_ACCOUNT, judge=_dedicated_quota_is_there),
    Rule(code="LIV004", severity="error", source=_ACCOUNT, judge=_spot_quota_is_there),
    Rule(code="LIV005", severity="error", source=_ACCOUNT, judge=_pool_quota_is_there),
    Rule(
        code="LIV006",
        severity="error",
        source=f"{_API}location/get-quotas",
        judge=_account_quota_is_there,
    ),
    Rule(code="LIV007", severity="error", source=_IMAGES, judge=_image_is_offered),
    Rule(code="LIV008", severity="warning", source=_IMAGES, judge=_image_stays),
)

EVERY_RULE: tuple[Rule[()] | Rule[LiveFacts], ...] = (*RULES, *LIVE_RULES)
"""What `python -m infra rules` lists and what a stack may ignore."""
