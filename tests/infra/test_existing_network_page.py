"""The page on existing networks says what is so."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml

from infra import cli
from infra.checking import plan_stack
from infra.rules import RULES
from infra.sources import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "existing-network.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
POOLS = {
    "cpu": {"scale": {"mode": "fixed", "dedicated_nodes": 2}},
    "rdma": {"preset": "rdma", "scale": {"max_dedicated_nodes": 4}},
}


def test_there_are_examples_of_each_way() -> None:
    keys = {key for text in EXAMPLES for key in yaml.safe_load(text)["hpc:network"]["existing"]}
    assert {"subnet_id", "virtual_network_id", "endpoint_subnet_id"} <= keys


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_has_no_finding(text: str) -> None:
    raw = {"network": yaml.safe_load(text)["hpc:network"], "pools": POOLS}
    planned = plan_stack("dev", raw, root=PROJECT_ROOT)
    assert [str(finding) for finding in planned.findings] == []


def test_the_table_of_rules_is_the_rules() -> None:
    told = re.findall(r"^\| ([A-Z]{3}\d{3}) \|", TEXT, re.MULTILINE)
    assert told == [rule.code for rule in RULES if rule.code.startswith("EXI")]
    assert set(re.findall(r"\b[A-Z]{3}\d{3}\b", TEXT)) <= {rule.code for rule in RULES}


@pytest.mark.parametrize("command", sorted(set(re.findall(r"python -m infra [a-z -]+", TEXT))))
def test_a_command_of_the_page_runs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(shlex.split(command)[3:])
    assert capsys.readouterr().out
