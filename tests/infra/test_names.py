"""Names that are put together fit, and what does not is found before a deployment finds it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emulator.arm.mocks import ProgramError, ProgramRun
from infra.checking import judge
from infra.config import StackConfig
from infra.estate import Estate, plan_estate
from infra.names import RANDOM_DIGITS, account_name, resource_group_name
from infra.sources import PROJECT_ROOT

Provision = Callable[[Estate], ProgramRun]

# Of `pulumi stack init`.
stacks = st.from_regex(r"[A-Za-z0-9_.-]{1,100}", fullmatch=True)


@given(stack=stacks)
def test_a_group_and_accounts_have_names_that_azure_takes(stack: str) -> None:
    digits = "0" * RANDOM_DIGITS
    assert re.fullmatch(r"[A-Za-z0-9-]{1,90}", resource_group_name(stack) + digits)
    for purpose in ("", "data", "apps", "files"):
        assert re.fullmatch(r"[a-z0-9]{3,24}", account_name(stack, purpose) + digits)


@given(stack=stacks)
def test_a_short_stack_name_is_in_the_group_s_name_whole(stack: str) -> None:
    name = resource_group_name(stack)
    assert len(name) == min(len(f"hpc-{stack}"), 90 - RANDOM_DIGITS)


def estate(pool: str, stack: str = "dev", **raw: Any) -> Estate:
    return estate_of(stack, {"pools": {pool: {}}, **raw})


def estate_of(stack: str, raw: dict[str, Any]) -> Estate:
    config = StackConfig.model_validate(raw)
    return plan_estate(stack, config, root=PROJECT_ROOT, today=date(2026, 1, 1))


def refused(planned: Estate) -> bool:
    return any(finding.code == "NAM001" for finding in judge(planned))


@pytest.mark.parametrize(("length", "fits"), [(51, True), (52, False), (55, False)])
def test_the_longest_pool_name_is_the_longest_that_resource_manager_takes(
    length: int, fits: bool, provision: Provision
) -> None:
    planned = estate("p" * length, network={"subnets": "per-pool", "private_endpoints": True})
    assert refused(planned) != fits
    if fits:
        assert provision(planned).arm.of("network:Subnet")
    else:
        with pytest.raises(ProgramError, match="is no valid name: 1-80"):
            provision(planned)


def test_a_pool_of_the_longest_name_that_config_takes_is_made_in_a_shared_subnet(
    provision: Provision,
) -> None:
    planned = estate("p" * 55, stack="s" * 100)
    assert not refused(planned)
    (pool,) = provision(planned).arm.of("batch:Pool")
    assert len(pool.inputs["poolName"]) == 64


def test_an_estate_with_every_part_fits_the_longest_names(provision: Provision) -> None:
    every_part = yaml.safe_load((PROJECT_ROOT / "scan" / "optional.yaml").read_text("utf-8"))
    (pool,) = every_part.pop("pools").values()
    inbound = {"allow_from": ["203.0.113.7/32"], "port": 22, **PORTS}
    planned = estate_of(
        "s" * 100,
        {
            **every_part,
            "network": {"private_endpoints": True},
            "applications": {"a" * 64: {}},
            "registry": {**every_part["registry"], "name": "r" * 50},
            "pools": {
                "p" * 55: {**pool, "inbound": {"n" * 77: inbound}},
                "q": {"extensions": {"e" * 80: EXTENSION}},
            },
            "pipeline": {"may": ["run"], "federated_credentials": {"f" * 120: CREDENTIAL}},
        },
    )
    assert not refused(planned)
    assert len(provision(planned).arm.of("batch:Pool")) == 2


PORTS = {"first_frontend_port": 10000, "last_frontend_port": 10099}
EXTENSION = {
    "publisher": "Microsoft.Azure.Monitor",
    "type": "AzureMonitorLinuxAgent",
    "version": "1.0",
}
CREDENTIAL = {"issuer": "https://tokens.lab.example", "subject": "x" * 600}
