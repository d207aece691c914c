"""File systems and private networking through the real engine: made, unchanged, gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra.file_systems import TYPES

if TYPE_CHECKING:
    from tests.infra.conftest import Engine

CONFIG: dict[str, Any] = {
    "network": {"private_endpoints": True, "allow_package_sources": True},
    "storage": {
        "versioning": True,
        "cool_after_days": {"outputs": 30},
        "file_systems": {kind: {"type": kind} for kind in TYPES},
    },
    "registry": {"name": "hpclab", "sku": "Premium", "public_network_access": False},
    "pools": {
        "cfd": {
            "mounts": [
                {"type": "file-system", "path": kind, "file_system": kind} for kind in TYPES
            ],
            "os_disk": {"size_gib": 128},
            "zones": "zonal",
        }
    },
}


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the Automation API leaves event loops to the collector
def test_file_systems_are_made_once_stay_and_go_and_their_key_is_nobodys(engine: Engine) -> None:
    engine.configure(CONFIG)
    made = engine.stack.up()
    assert made.outputs["registry_server"].value == "hpclab.azurecr.io"
    (pool,) = next(iter(engine.backend.accounts.values())).values()
    (share,) = [
        mount["azureFileShareConfiguration"]
        for mount in pool["mountConfiguration"]
        if "azureFileShareConfiguration" in mount
    ]
    key = share["accountKey"]
    assert len(key) > 40
    # As it lies on the disk: exports of the Automation API decrypt.
    state = engine.file.parent.parent / "state"
    written = [file.read_text(encoding="utf-8") for file in state.rglob("*.json*")]
    assert any(share["accountName"] in text for text in written)
    assert not any(key in text for text in written)
    assert key not in made.stdout
    assert engine.looked_at() == ({"same"}, {"same"})
    engine.stack.destroy(run_program=True)
    assert engine.backend.accounts == {}
    assert engine.backend.containers == {}
