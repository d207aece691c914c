"""Who may import whom (docs/architecture.md): data flows one way."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT: dict[str, set[str]] = {
    "autoscale": set(),
    "bootstrap": set(),
    "emulator": {"autoscale"},
    "infra": {"autoscale", "telemetry"},
    "jobs": set(),
    "pipelines": {"emulator", "jobs"},
    "policy": {"infra"},
    "scan": {"emulator", "infra"},
    "telemetry": set(),
}
OURS = set(MAY_IMPORT)
KEPT_FROM_JOBS = {"pulumi", "pulumi_azure_native"}


@cache
def imported(path: Path) -> frozenset[str]:
    """The top-level names that a module imports, inside functions too."""
    return frozenset(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def modules(package: str) -> list[Path]:
    """A package's own modules: what others wrote lies under one of these directories."""
    found = sorted((ROOT / package).rglob("*.py"))
    return [path for path in found if {"node_modules", "venv"}.isdisjoint(path.parts)]


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_what_it_may(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imported(path)
        if name in OURS - allowed
    }
    assert modules(package), f"{package} holds no module"
    assert wrong == set()


def test_jobs_needs_no_pulumi() -> None:
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("jobs")
        for name in imported(path)
        if name in KEPT_FROM_JOBS
    }
    assert wrong == set()


@pytest.mark.parametrize("package", ["autoscale", "bootstrap", "telemetry"])
def test_a_leaf_needs_the_standard_library_alone(package: str) -> None:
    allowed = set(sys.stdlib_module_names) | {package}
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imported(path)
        if name not in allowed
    }
    assert wrong == set()


def test_only_the_program_imports_infra() -> None:
    assert "infra" in set(imported(ROOT / "__main__.py"))
