"""How many cores a size has, and what the account's quota of them allows."""

from __future__ import annotations

import pytest

from emulator.engine.cores import cores_of
from emulator.engine.settings import Settings
from tests.emulator.engine.play import Play


@pytest.mark.parametrize(("kind", "code"), [
    ("dedicated", "AccountCoreQuotaReached"), ("spot", "AccountLowPriorityCoreQuotaReached"),
])  # fmt: skip
def test_cores_of_all_pools_count_against_the_account(kind: str, code: str) -> None:
    play = Play(max_dedicated_cores=20, max_spot_cores=20)
    count = {kind: 2}
    first = play.ready_pool(pool_id="a", vmSize="Standard_D4s_v5", **count)
    second = play.ready_pool(pool_id="b", vmSize="Standard_D8s_v5", **count)
    assert len(first.nodes) == 2
    assert len(second.nodes) == 1
    assert [error["code"] for error in second.resize_errors] == [code]
    assert second.allocation == "steady"


@pytest.mark.parametrize(("size", "cores"), [
    ("Standard_D2s_v5", 2), ("standard_hb120rs_v3", 120), ("Standard_HB120-64rs_v3", 64),
    ("standard_nc24ads_a100_v4", 24), ("STANDARD_D1_V2", 1), ("Standard_D13_v2", 8),
    ("Standard_DS14", 16), ("Standard_A8", 8), ("Standard_A8_v2", 8), ("small", 1),
    ("Standard_F16s_v2", 16), ("standard_e96as_v5", 96), ("nonsense", 1),
])  # fmt: skip
def test_a_size_tells_its_cores(size: str, cores: int) -> None:
    assert cores_of(size) == cores


def test_without_a_quota_of_ones_own_there_is_room() -> None:
    assert Settings().max_dedicated_cores > Settings().max_nodes
