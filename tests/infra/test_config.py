"""What a person may write, and what they are told when it is wrong."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infra.checking import plan_stack
from infra.config import SCHEMA_FILE, StackConfig, json_schema
from infra.errors import ConfigError, StackFileError
from infra.regions import REGIONS, cloud_of
from infra.sources import PROJECT_ROOT, decode_engine_config, read_stack_file, stack_names


def told(raw: dict[str, Any]) -> dict[str, str]:
    planned = plan_stack("dev", raw, root=PROJECT_ROOT)
    return {finding.path: finding.message for finding in planned.findings}


def test_every_mistake_is_told_at_once_with_its_path() -> None:
    raw = {
        "location": "East US",
        "authentication": "sharedkey",
        "network": {"address_space": "10.0.0.0/33", "public_adresses": True},
        "pools": {
            "cpu": {"preset": "cpus"},
            "fixed": {"scale": {"mode": "fixed", "max_dedicated_nodes": 3}},
            "mode": {"scale": {"mode": "fxed"}},
            "formula": {"scale": {"mode": "formula"}},
            "image": {"image": "ubuntu-hpc"},
            "bad name!": {},
            "mpi": {"preset": "rdma", "task_slots_per_node": 4},
        },
        "pols": {},
    }
    findings = told(raw)
    assert sorted(findings) == sorted(
        [
            "authentication",
            "location",
            "network.address_space",
            "network.public_adresses",
            "pols",
            "pools.bad name!",
            "pools.cpu.preset",
            "pools.fixed.scale.max_dedicated_nodes",
            "pools.formula.scale.formula_file",
            "pools.formula.scale.max_dedicated_nodes",
            "pools.image.image",
            "pools.mode.scale",
            # A rule's finding stands beside those of the schema.
            "pools.mpi.task_slots_per_node",
        ]
    )
    assert "did you mean public_addresses?" in findings["network.public_adresses"]
    assert "did you mean pools?" in findings["pols"]
    assert "did you mean eastus" in findings["location"]
    assert "did you mean shared-key?" in findings["authentication"]
    assert "ubuntu-hpc-24.04" in findings["pools.image.image"]
    assert "did you mean dedicated_nodes?" in findings["pools.fixed.scale.max_dedicated_nodes"]


def test_an_unknown_size_names_the_ones_that_look_like_it() -> None:
    findings = told({"pools": {"mpi": {"preset": "rdma", "vm_size": "Standard_HB176rs_v5"}}})
    assert "did you mean Standard_HB176rs_v4" in findings["pools.mpi.vm_size"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("westeuorpe", "westeurope"),
        ("eastus22", "eastus2"),
        ("germanywestcentre", "germanywestcentral"),
        ("West Europe", "westeurope"),
        ("usgovvirgina", "usgovvirginia"),
    ],
)
def test_a_misspelt_region_names_the_one_that_looks_like_it(written: str, meant: str) -> None:
    findings = told({"location": written, "pools": {"a": {}}, "pols": {}})
    assert re.search(rf"did you mean [a-z0-9 ]*\b{meant}\b", findings["location"])
    assert findings.keys() == {"location", "pols"}


def test_the_table_of_regions_has_each_once_as_config_may_name_it() -> None:
    assert len(set(REGIONS)) == len(REGIONS)
    # Six in China, five of the United States' government.
    clouds = Counter(map(cloud_of, REGIONS))
    assert (clouds["china"], clouds["us-government"]) == (6, 5)
    for region in REGIONS:
        StackConfig.model_validate({"location": region, "pools": {"a": {}}})


def test_a_config_without_pools_says_what_is_missing() -> None:
    assert told({})["pools"].startswith("this key must be given: Pools by logical name")


def test_a_wrong_part_is_told_once_though_it_breaks_rules_too() -> None:
    findings = told({"network": {"address_space": "nonsense"}, "pools": {"a": {}}})
    assert list(findings) == ["network.address_space"]


def config_of(text: str, root: Path) -> dict[str, Any]:
    (root / "Pulumi.yaml").write_text("name: hpc\n", encoding="utf-8")
    (root / "Pulumi.dev.yaml").write_text(text, encoding="utf-8")
    return read_stack_file("dev", root=root)


def test_a_key_without_a_namespace_is_the_project_s(tmp_path: Path) -> None:
    raw = config_of("config: {location: westus, protct: true, hpc:pools: {a: {}}}", tmp_path)
    assert raw == {"location": "westus", "protct": True, "pools": {"a": {}}}
    assert "did you mean protect?" in told(raw)["protct"]


@pytest.mark.parametrize(
    ("key", "meant"),
    [("Hpc:tags", "hpc"), ("hpcc:tags", "hpc"), ("hpc-secret:key", "hpc-secrets")],
)
def test_a_misspelt_namespace_is_a_warning(key: str, meant: str, tmp_path: Path) -> None:
    text = json.dumps({"config": {key: "x", "hpc:pools": {"a": {}}, "azure-native:location": "x"}})
    raw = config_of(text, tmp_path)
    assert decode_engine_config({key: "x", "azure-native:location": "x"}) == {key: "x"}
    planned = plan_stack("dev", raw, root=PROJECT_ROOT)
    assert [(one.path, one.severity) for one in planned.findings] == [(key, "warning")]
    assert f"did you mean {meant}?" in planned.findings[0].message
    assert planned.deployable().config.tags == {}


def test_a_key_with_and_without_the_namespace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackFileError, match="`protect` twice"):
        config_of("config: {protect: true, hpc:protect: false}", tmp_path)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("config: {hpc:protect: true, hpc:protect: false}", "hpc:protect"),
        ("config:\n  hpc:pools:\n    cpu: {}\n    gpu: {}\n    cpu: {}\n", "cpu"),
        ("config: {}\nconfig: {}", "config"),
    ],
)
def test_a_key_twice_is_refused_as_pulumi_does(text: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(StackFileError, match=rf"(?s)Pulumi\.dev\.yaml.*`{key}` is there twice"):
        config_of(text, tmp_path)


def test_a_merged_key_may_be_overridden(tmp_path: Path) -> None:
    text = "config:\n  hpc:pools:\n    a: &a {preset: cpu}\n    b: {<<: *a, preset: gpu}\n"
    assert config_of(text, tmp_path)["pools"]["b"] == {"preset": "gpu"}


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan"])
def test_a_number_is_finite(value: str, tmp_path: Path) -> None:
    text = f"config: {{hpc:monitoring: {{daily_cap_gib: {value}}}, hpc:pools: {{a: {{}}}}}}"
    findings = told(config_of(text, tmp_path))
    assert "finite" in findings["monitoring.daily_cap_gib"]


def test_a_formula_file_s_name_that_no_file_can_have_is_told() -> None:
    scale = {"mode": "formula", "formula_file": "a\0b", "max_dedicated_nodes": 1}
    findings = told({"pools": {"a": {"scale": scale}}})
    assert "must match" in findings["pools.a.scale.formula_file"]


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("registry", {"name": "simulations", "skuu": "Basic"}),
        ("applications", {"solver": {"display_nme": "x"}}),
        ("network", {"allow_package_sources": True, "nat_gatway": False}),
        ("network", {"allow_package_sources": True, "nat_gateway": "perhaps"}),
        ("storage", {"versioning": True, "sftp": True}),
    ],
)
def test_a_mistake_in_a_section_leaves_what_else_it_says(section: str, value: Any) -> None:
    base: dict[str, Any] = {"pools": {"a": {}}, section: value}
    planned = plan_stack("dev", base, root=PROJECT_ROOT)
    assert len(planned.findings) == 1
    assert planned.findings[0].path.startswith(f"{section}.")


def test_an_unknown_key_of_a_section_makes_no_false_finding_elsewhere() -> None:
    pool = {"application_packages": [{"application": "solver", "version": "1.0"}]}
    right = told({"applications": {"solver": {}}, "pools": {"a": pool}})
    findings = told(
        {"applications": {"solver": {"display_nme": "x"}}, "pools": {"a": pool}, "protct": True}
    )
    assert sorted(findings) == sorted([*right, "applications.solver.display_nme", "protct"])


def test_an_unknown_key_of_a_pool_hides_no_other_mistake() -> None:
    pool = {
        "imge": "x",
        "task_slots_per_node": 999,
        "ephemeral_os_disk": True,
        "vm_size": "Standard_HB120rs_v3",
        "scale": {"max_spot_nodes": 4, "idle": 3},
    }
    found = plan_stack("dev", {"pools": {"cpu": pool}}, root=PROJECT_ROOT).findings
    assert {(one.path, one.code) for one in found} >= {
        ("pools.cpu.imge", "CFG001"),
        ("pools.cpu.scale.idle", "CFG001"),
        ("pools.cpu.task_slots_per_node", "POL001"),
    }


@pytest.mark.parametrize(
    ("pool", "paths"),
    [
        (
            {
                "image": {
                    "publisher": "p",
                    "offer": "o",
                    "skuu": "s",
                    "node_agent_sku_id": "batch.node.x",
                }
            },
            ["image.sku", "image.skuu"],
        ),
        (
            {"image": {"gallery_image_id": "/x", "node_agent_sku_id": 3}},
            ["image.node_agent_sku_id"],
        ),
        ({"image": 3}, ["image"]),
        (
            {"mounts": [{"type": "nfs", "path": "a", "source": "h:/a", "acount": "x"}]},
            ["mounts[0].acount"],
        ),
        (
            {"application_packages": [{"application": "a"}, {"app": "b"}]},
            ["application_packages[1].app", "application_packages[1].application"],
        ),
        (
            {
                "extensions": {
                    "x": {"publisher": "p", "type": "t", "version": "1.0", "settings": {"a": [1]}}
                }
            },
            ["extensions.x.settings.a"],
        ),
    ],
)
def test_a_path_is_that_of_the_file(pool: dict[str, Any], paths: list[str]) -> None:
    raw = {"pools": {"a": pool}}
    found = [
        one for one in plan_stack("dev", raw, root=PROJECT_ROOT).findings if one.code[:3] == "CFG"
    ]
    assert [one.path for one in found] == [f"pools.a.{path}" for path in paths]


def test_errors_stop_a_deployment_with_all_of_them() -> None:
    planned = plan_stack("dev", {"pols": {}, "pools": {"a": {"vm_size": 3}}}, root=PROJECT_ROOT)
    with pytest.raises(ConfigError, match=r"(?s)2 config errors.*pols: .*a\.vm_size: "):
        planned.deployable()


def test_what_is_only_planned_is_not_said_to_be_deployed_or_destroyed() -> None:
    raw: dict[str, Any] = {"pools": {"old": {"vm_size": "Standard_HB120rs_v2"}}}
    with pytest.raises(ConfigError, match="RET001") as refused:
        plan_stack("dev", raw, root=PROJECT_ROOT, today=date(2027, 6, 1)).deployable()
    for word in ("deployed", "destroy", "ignore"):
        assert word not in str(refused.value)


@pytest.mark.parametrize(
    ("scale", "written"),
    [
        ({"mode": "fixed"}, {"dedicated_nodes": 1}),
        ({"mode": "fixed"}, {"spot_nodes": 1}),
        ({"max_dedicated_nodes": 0, "max_spot_nodes": 0}, {"max_spot_nodes": 1}),
    ],
)
def test_a_pool_without_nodes_is_told_keys_that_give_it_some(
    scale: dict[str, Any], written: dict[str, int]
) -> None:
    said = told({"pools": {"a": {"scale": scale}}})["pools.a.scale"]
    assert all(re.search(rf"\b{key}\b", said) for key in written)
    assert "pools.a.scale" not in told({"pools": {"a": {"scale": scale | written}}})


@pytest.mark.parametrize(
    ("scale", "key"),
    [
        ({"mode": "fixed", "spot_nodes": 1}, "spot_nodes"),
        ({"max_spot_nodes": 1}, "max_spot_nodes"),
    ],
)
def test_spot_nodes_on_disks_they_cannot_have_are_told_the_pool_s_own_key(
    scale: dict[str, Any], key: str
) -> None:
    pool = {"ephemeral_os_disk": True, "scale": scale}
    assert f" {key}: 0" in told({"pools": {"a": pool}})["pools.a.ephemeral_os_disk"]
    scale[key] = 0
    assert "spot" not in told({"pools": {"a": pool}}).get("pools.a.ephemeral_os_disk", "")


def test_a_key_called_like_its_mode_is_named_with_the_one_that_was_meant() -> None:
    scale = {"mode": "formula", "formula": "$TargetDedicatedNodes=1;", "max_dedicated_nodes": 1}
    findings = told({"pools": {"a": {"scale": scale}}})
    assert "did you mean formula_file?" in findings["pools.a.scale.formula"]
    assert "formula_file" in " ".join(findings)


def test_an_issuer_with_a_placeholder_is_told_what_stands_for_it() -> None:
    issuer = "https://login.microsoftonline.com/TENANT_ID/v2.0"
    credential = {"issuer": issuer, "subject": "/eid1/c/pub/t/a/a/b/sc/c"}
    pipeline = {"may": ["run"], "federated_credentials": {"devops": credential}}
    findings = told({"pools": {"a": {}}, "pipeline": pipeline})
    said = findings["pipeline.federated_credentials.devops.issuer"]
    assert "az account show --query tenantId" in said
    credential["issuer"] = issuer.replace("TENANT_ID", "7f1d6a52-9a3e-4d53-8a0e-3a2c4a7f1d10")
    assert not told({"pools": {"a": {}}, "pipeline": pipeline})


def test_a_stack_whose_size_is_retired_can_be_destroyed_as_its_error_says() -> None:
    raw: dict[str, Any] = {"pools": {"old": {"vm_size": "Standard_HB120rs_v2"}}}
    day = date(2027, 6, 1)
    with pytest.raises(ConfigError, match="RET001") as refused:
        plan_stack("dev", raw, root=PROJECT_ROOT, today=day).deployable(deploying=True)
    assert "nothing was deployed" in str(refused.value)
    told_to_write = str(refused.value).rpartition("hpc:ignore: ")[2]
    raw["ignore"] = yaml.safe_load(told_to_write)
    assert plan_stack("dev", raw, root=PROJECT_ROOT, today=day).deployable().pools


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
keys = st.sampled_from(sorted(StackConfig.model_fields)) | st.text(max_size=6)


@given(st.dictionaries(keys, json_values, max_size=4))
def test_whatever_is_written_gets_findings_and_never_a_traceback(raw: dict[str, Any]) -> None:
    planned = plan_stack("dev", raw, root=PROJECT_ROOT)
    assert planned.estate is not None or planned.findings
    for finding in planned.findings:
        assert finding.path
        assert finding.message


@given(
    st.dictionaries(
        st.sampled_from(["preset", "scale", "image", "start_task", "vm_size"]), json_values
    )
)
def test_whatever_is_written_of_a_pool_gets_a_path_into_the_pool(pool: dict[str, Any]) -> None:
    for finding in plan_stack("dev", {"pools": {"a": pool}}, root=PROJECT_ROOT).findings:
        assert finding.path.split(".")[:2] == ["pools", "a"]


def test_the_published_schema_is_fresh() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == json_schema(), (
        "run: python -m infra schema > infra/config.schema.json"
    )


def test_the_project_declares_every_key_with_the_models_default() -> None:
    project = yaml.safe_load((PROJECT_ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    declared = {key.removeprefix("hpc:"): entry for key, entry in project["config"].items()}
    assert set(declared) == set(StackConfig.model_fields)
    minimal = StackConfig.model_validate({"pools": {"a": {}}})
    given_defaults = {
        key: entry["default"] for key, entry in declared.items() if "default" in entry
    }
    assert StackConfig.model_validate({**given_defaults, "pools": {"a": {}}}) == minimal
    assert set(declared) - set(given_defaults) == {"pools"}


@pytest.mark.parametrize("name", stack_names())
def test_the_engine_and_the_file_give_the_same_config(name: str) -> None:
    from_file = read_stack_file(name)
    engine = {
        f"hpc:{key}": value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for key, value in from_file.items()
    }
    from_engine = decode_engine_config({**engine, "azure-native:location": "westus"})
    assert StackConfig.model_validate(from_engine) == StackConfig.model_validate(from_file)


@pytest.mark.parametrize("name", stack_names())
def test_example_stacks_have_no_error(name: str) -> None:
    planned = plan_stack(name, read_stack_file(name), root=PROJECT_ROOT)
    assert [str(finding) for finding in planned.findings if finding.is_error] == []
