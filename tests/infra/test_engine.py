"""What becomes of a deployment that is stopped in the middle, with the real engine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pulumi import automation

from infra.checking import plan_stack
from infra.errors import ConfigError
from infra.sources import PROJECT_ROOT, read_stack_file, read_stray_keys

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


@pytest.mark.engine
@pytest.mark.parametrize("name", ["dev", "prod"])
def test_what_is_commented_out_stays_where_it_counts_when_pulumi_writes_the_file(
    name: str, tmp_path: Path
) -> None:
    for copied in ("Pulumi.yaml", f"Pulumi.{name}.yaml"):
        (tmp_path / copied).write_bytes((PROJECT_ROOT / copied).read_bytes())
    for command in (["stack", "init", name], ["config", "set", "hpc:location", "westus"]):
        subprocess.run(
            [Path(sys.prefix) / "bin" / "pulumi", *command, "--non-interactive"],
            cwd=tmp_path,
            env={
                **os.environ,
                "PULUMI_BACKEND_URL": tmp_path.as_uri(),
                "PULUMI_HOME": str(tmp_path / "home"),
                "PULUMI_CONFIG_PASSPHRASE": "for this test alone",
                "PULUMI_SKIP_UPDATE_CHECK": "1",
            },
            check=True,
            capture_output=True,
        )
    file = tmp_path / f"Pulumi.{name}.yaml"
    text = file.read_text(encoding="utf-8")
    assert "encryptionsalt" in text
    without = read_stack_file(name, root=tmp_path)
    # Who uncomments takes `# ` away, line by line.
    sections = re.findall(r"^( *)# (hpc:.*\n(?:\1#   .*\n)+)", text, re.MULTILINE)
    assert sections
    for indent, section in sections:
        lines = [line.removeprefix(f"{indent}# ") for line in section.splitlines()]
        plain = "".join(f"{indent}{line}\n" for line in lines)
        file.write_text(text.replace(f"{indent}# {section}", plain), encoding="utf-8")
        (key,) = yaml.safe_load(plain)
        assert read_stray_keys(name, root=tmp_path) == ()
        found = read_stack_file(name, root=tmp_path)
        known = key.removeprefix("hpc:")
        assert found == {**without, known: found[known]}
        assert found[known] != without.get(known)


def test_a_deployment_stops_at_a_key_that_nobody_reads() -> None:
    raw: dict[str, Any] = {"pools": {"a": {}}}
    assert plan_stack("dev", raw, root=PROJECT_ROOT).deployable().pools
    with pytest.raises(ConfigError, match="hpc:ignore: CFG001"):
        plan_stack("dev", raw, root=PROJECT_ROOT, stray=["hpc:ignore"]).deployable()
