"""Parts that a stack has only on request, through the real engine: made, unchanged, gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.infra.conftest import Engine

CONFIG: dict[str, Any] = {
    "pools": {
        "cpu": {"start_task": {"command_line": "/bin/true"}},
        "mpi": {"preset": "rdma"},
    },
    "pipeline": {
        "may": ["run", "publish", "deploy"],
        "federated_credentials": {
            name: {
                "issuer": "https://token.actions.githubusercontent.com",
                "subject": f"repo:lab/hpc:environment:{name}",
            }
            for name in ("dev", "main", "prod")
        },
    },
    "monitoring": {
        "node_telemetry": {"enabled": True},
        "workbook": True,
        "alert_emails": ["ops@lab.example"],
    },
    "storage": {"allow_from": ["203.0.113.0/24", "198.51.100.8/31"]},
    "batch": {
        "allow_from": ["203.0.113.0/24"],
        "customer_managed_key": True,
        "pool_allocation": "user-subscription",
        "service_principal_id": "7f1d6a52-9a3e-4d53-8a0e-3a2c4a7f1d10",
        "vcpu_quota_by_series": {"HBv3": 480},
    },
}


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the Automation API leaves event loops to the collector
def test_what_is_asked_for_is_made_once_stays_and_goes(engine: Engine) -> None:
    engine.configure(CONFIG)
    made = engine.stack.up()
    target = made.outputs["telemetry"].value
    assert target["endpoint"].startswith("https://")
    assert target["rule_id"].startswith("dcr-")
    assert made.outputs["pipeline"].value.keys() == {"client_id", "tenant_id"}
    assert writes_below_one_identity_follow_each_other(engine) == 3
    # Nothing of it differs from what Azure gives back.
    assert engine.looked_at() == ({"same"}, {"same"})
    # Telemetry goes without another pool: start tasks change while nodes run.
    pools = sorted(next(iter(engine.backend.accounts.values())))
    engine.configure({**CONFIG, "monitoring": {}, "pipeline": {}})
    without = engine.stack.up()
    assert "pipeline" not in without.outputs or without.outputs["pipeline"].value is None
    assert "telemetry" not in without.outputs or without.outputs["telemetry"].value is None
    assert sorted(next(iter(engine.backend.accounts.values()))) == pools
    engine.stack.destroy(run_program=True)
    assert engine.backend.accounts == {}


def writes_below_one_identity_follow_each_other(engine: Engine) -> int:
    """How many credentials there are; Azure refuses to make two at once below an identity."""
    state = engine.stack.export_stack().deployment
    found = {
        one["urn"]: set(one.get("dependencies") or ())
        for one in (state or {})["resources"]
        if one["type"] == "azure-native:managedidentity:FederatedIdentityCredential"
    }
    after = [found.keys() & dependencies for dependencies in found.values()]
    # A chain: one waits for none, and each other for one that no other waits for.
    assert sorted(map(len, after)) == [0] + [1] * (len(found) - 1)
    assert len(set().union(*after)) == len(found) - 1
    return len(found)
