"""Whatever `check` lets pass, Resource Manager takes: what check is for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from emulator.arm.mocks import ProgramRun
from infra.checking import plan_stack
from infra.estate import Estate
from infra.sources import PROJECT_ROOT

Provision = Callable[[Estate], ProgramRun]

TODAY = date(2026, 1, 1)

pools = st.dictionaries(
    st.sampled_from(["a", "B-2", "mpi_1", "x" * 55]),
    st.fixed_dictionaries(
        {"preset": st.sampled_from(["cpu", "gpu", "rdma", "spot"])},
        optional={
            "image": st.sampled_from(["ubuntu-24.04", "almalinux-hpc-8", "almalinux-hpc-9"]),
            "start_task": st.fixed_dictionaries(
                {"command_line": st.just("/bin/sh -c 'echo $PATH'")},
                optional={"elevated": st.booleans(), "wait_for_success": st.booleans()},
            ),
        },
    ),
    min_size=1,
    max_size=3,
)
addresses = st.lists(
    st.sampled_from(["203.0.113.0/24", "198.51.100.7/32", "192.0.2.2/31", "10.0.0.0/8"]),
    max_size=3,
)
pipelines = st.fixed_dictionaries(
    {"may": st.lists(st.sampled_from(["run", "publish", "deploy"]), unique=True)},
    optional={
        "federated_credentials": st.dictionaries(
            st.sampled_from(["one", "two-2", "t_h_r_e_e"]),
            st.fixed_dictionaries(
                {
                    "issuer": st.sampled_from(
                        [
                            "https://token.actions.githubusercontent.com",
                            "https://tokens.lab.example",
                        ]
                    ),
                    "subject": st.sampled_from(
                        ["repo:lab/hpc:pull_request", "anybody", "x" * 600]
                    ),
                }
            ),
        )
    },
)
batch = st.fixed_dictionaries(
    {},
    optional={
        "pool_allocation": st.sampled_from(["batch-service", "user-subscription"]),
        "service_principal_id": st.uuids().map(str),
        "customer_managed_key": st.booleans(),
        "public_network_access": st.booleans(),
        "allow_from": addresses,
        "vcpu_quota_by_series": st.dictionaries(
            st.sampled_from(["Dsv5", "HBv3", "NCasT4_v3"]), st.integers(0, 10_000)
        ),
        "spot_vcpu_quota": st.integers(0, 10_000),
    },
)
monitoring = st.fixed_dictionaries(
    {},
    optional={
        "retention_days": st.integers(30, 730),
        "node_telemetry": st.fixed_dictionaries(
            {"enabled": st.booleans()}, optional={"interval_s": st.integers(10, 3600)}
        ),
        "workbook": st.booleans(),
        "alert_emails": st.lists(st.just("ops@lab.example"), max_size=2),
        "monthly_budget_amount": st.integers(1, 100_000),
    },
)
configs = st.fixed_dictionaries(
    {"pools": pools, "batch": batch, "monitoring": monitoring},
    optional={
        "authentication": st.sampled_from(["entra", "shared-key"]),
        "network": st.fixed_dictionaries(
            {"private_endpoints": st.booleans()},
            optional={
                "nat_gateway": st.booleans(),
                "public_addresses": st.booleans(),
                "subnets": st.sampled_from(["shared", "per-pool"]),
            },
        ),
        "registry": st.just({"name": "hpclab"}),
        "storage": st.fixed_dictionaries({"allow_from": addresses}),
        "pipeline": pipelines,
        "tags": st.dictionaries(st.sampled_from(["team", "cost centre", "a/b"]), st.text()),
        "protect": st.booleans(),
    },
)


# A whole program an example: shrinking one would take minutes.
@pytest.mark.slow
@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(raw=configs, stack=st.sampled_from(["prod", "local", "A-very-long-name-of-a-stack"]))
def test_what_check_accepts_can_be_deployed(
    raw: dict[str, Any], stack: str, provision: Provision
) -> None:
    planned = plan_stack(stack, raw, root=PROJECT_ROOT, today=TODAY)
    assume(not any(finding.is_error for finding in planned.findings))
    run = provision(planned.deployable())
    assert len(run.arm.of("batch:Pool")) == len(raw["pools"])
