"""The page on the pipeline says what is so of its identity."""

from __future__ import annotations

import re
from typing import get_args

import yaml

from infra.checking import plan_stack
from infra.pipeline import Permission
from infra.sources import PROJECT_ROOT

TEXT = (PROJECT_ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8")
TENANT = "2a5c1c2e-1f0b-4b57-9f0e-6f2d3b8a9c10"
# What a reader fills in.
FILLED = {
    "TENANT_ID": TENANT,
    "/eid1/c/pub/t/…/a/…/sc/…": "/eid1/c/pub/t/a1/a/b2/sc/c3/d4",
    "OWNER/REPOSITORY": "lab/hpc",
}


def test_the_table_has_each_permission() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| \*", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted(get_args(Permission))


def test_the_examples_break_no_rule() -> None:
    first, second = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    text = first + second
    for placeholder, value in FILLED.items():
        assert placeholder in text
        text = text.replace(placeholder, value)
    config = yaml.safe_load(text)["hpc:pipeline"]
    assert set(config["federated_credentials"]) == {"azure-devops", "github-dev"}
    planned = plan_stack("dev", {"pools": {"a": {}}, "pipeline": config}, root=PROJECT_ROOT)
    assert planned.findings == ()


def test_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if "://" not in link]
    assert links
    for link in links:
        assert (PROJECT_ROOT / "docs" / link).exists(), link
