"""The stacks of the repository, each through its whole life with the real engine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest
from pulumi import automation

from infra.hooks import ENV_DELETE_BUSY_POOLS
from infra.sources import read_stack_file

if TYPE_CHECKING:
    from tests.infra.conftest import Engine


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the Automation API leaves event loops to the collector
def test_an_example_is_made_stays_changes_and_goes(
    stack: str,
    start_engine: Callable[[str], AbstractContextManager[Engine]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nobody answers here who knows of tasks; test_hooks.py has a Batch service.
    monkeypatch.setenv(ENV_DELETE_BUSY_POOLS, "all")
    config = read_stack_file(stack)
    with start_engine(stack) as engine:
        engine.configure(config)
        planned = engine.stack.preview().change_summary
        assert set(planned) == {"create"}
        made = engine.stack.up()
        assert made.summary.resource_changes == planned
        outputs = {name: one.value for name, one in made.outputs.items()}
        assert outputs["stack"] == stack
        assert set(outputs["pools"]) == set(config["pools"])
        assert pools(engine) == {one["id"] for one in outputs["pools"].values()}
        # A second deployment, a refresh and a preview find nothing to do.
        assert engine.stack.up().summary.resource_changes == {"same": sum(planned.values())}
        assert engine.looked_at() == ({"same"}, {"same"})

        engine.configure(one_more_node(config))
        changed = engine.stack.up().summary.resource_changes or {}
        # A pool follows its tasks as far as it is told, while its nodes run: no other pool.
        assert changed == {"same": sum(planned.values()) - 1, "update": 1}
        assert pools(engine) == {one["id"] for one in outputs["pools"].values()}

        if config.get("protect"):
            with pytest.raises(automation.CommandError, match="protect"):
                engine.stack.destroy(run_program=True)
            # Pools without work went, and come back; what keeps something stayed.
            assert engine.backend.accounts
            assert engine.backend.containers
            engine.configure({**one_more_node(config), "protect": False})
            engine.stack.up()
            assert len(pools(engine)) == len(config["pools"])
        engine.stack.destroy(run_program=True)
        assert engine.backend.accounts == {}
        assert engine.backend.containers == {}
        assert not (engine.stack.export_stack().deployment or {}).get("resources")


def one_more_node(config: dict[str, Any]) -> dict[str, Any]:
    """The config with a pool that may grow by one node more."""
    cpu = config["pools"]["cpu"]
    most = cpu["scale"]["max_dedicated_nodes"] + 1
    grown = {**cpu, "scale": {**cpu["scale"], "max_dedicated_nodes": most}}
    return {**config, "pools": {**config["pools"], "cpu": grown}}


def pools(engine: Engine) -> set[str]:
    """Ids of the pools that the Batch service has."""
    return {name for found in engine.backend.accounts.values() for name in found}
