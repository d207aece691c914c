"""The pricer, built once a session into a temporary directory, and a way to run it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

WORKLOAD = Path(__file__).resolve().parents[3] / "workloads" / "montecarlo"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Builds a target with the workload's own Makefile, away from the working tree."""

    def make_target(target: str, **variables: str) -> Path:
        directory = tmp_path_factory.mktemp("build")
        built = directory / target
        words = [f"{name}={value}" for name, value in variables.items()]
        subprocess.run(
            ["make", "--silent", "-C", str(WORKLOAD), f"BUILD={directory}", *words, str(built)],
            check=True,
        )
        return built

    return make_target


@pytest.fixture(scope="session")
def program(make: Callable[..., Path]) -> Path:
    return make("montecarlo")


@pytest.fixture
def run(program: Path, tmp_path: Path) -> Run:
    """Runs the pricer in an empty directory; `program=` runs another build."""

    def run_it(*arguments: str, program: Path = program) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run_it


@pytest.fixture
def portfolio(tmp_path: Path) -> Path:
    """Three options, which take a quarter of the time of the workload's own twelve."""
    path = tmp_path / "portfolio.csv"
    path.write_text(
        "id,kind,spot,strike,rate,dividend_yield,volatility,expiry_years\n"
        "call,call,100,100,0.03,0.01,0.2,1\n"
        "put,put,100,95,0.03,0,0.35,0.5\n"
        "certain,put,100,120,0.03,0,0,1\n"
    )
    return path
