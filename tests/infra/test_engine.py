"""What becomes of a deployment that is stopped in the middle, with the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pulumi import automation

if TYPE_CHECKING:
    from tests.infra.conftest import Engine

CONFIG: dict[str, Any] = {"pools": {"cpu": {}, "mpi": {"preset": "rdma"}}}


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the Automation API leaves event loops to the collector
def test_an_up_that_fails_in_the_middle_is_ended_by_the_next_one(engine: Engine) -> None:
    engine.configure(CONFIG)
    engine.backend.fail_on_call = 7
    with pytest.raises(automation.CommandError, match="was made to fail"):
        engine.stack.up()
    half = deployed(engine)
    assert half
    engine.stack.up()
    whole = deployed(engine)
    # What the first up made was kept, under the ids that it had.
    assert half < whole
    assert sorted(pools(engine)) == ["cpu", "mpi"]
    assert len(engine.backend.accounts) == 1
    assert len(engine.backend.containers) == 2
    preview = engine.stack.preview(expect_no_changes=True)
    assert set(preview.change_summary) == {"same"}
    engine.stack.destroy(run_program=True)
    assert deployed(engine) == set()
    assert engine.backend.accounts == {}
    assert engine.backend.containers == {}


def deployed(engine: Engine) -> set[str]:
    """Ids of what the state has from Azure."""
    resources = (engine.stack.export_stack().deployment or {}).get("resources") or []
    return {one["id"] for one in resources if one["type"].startswith("azure-native:")}


def pools(engine: Engine) -> list[str]:
    """Logical names of the pools that the Batch service has."""
    return [
        name.rpartition("-")[0] for found in engine.backend.accounts.values() for name in found
    ]
