"""The pricer as a program: its unit test, its bits, its command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # the program is compiled first

Run = Callable[..., subprocess.CompletedProcess[str]]

BLOCK_PATHS = 2**21  # antithetic paths to a block
SEVERAL_BLOCKS = 3 * BLOCK_PATHS + 2346  # and a last one that is not full


def test_the_parts_do_what_the_unit_test_expects(make: Callable[..., Path]) -> None:
    done = subprocess.run([make("unit_test")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split()[0]) > 1000


def test_sums_have_the_same_bits_at_any_optimisation_and_width(
    make: Callable[..., Path], run: Run, portfolio: Path
) -> None:
    one_width = "-DMONTECARLO_ONE_WIDTH"
    others = [
        make("montecarlo", CPPFLAGS=one_width, CXXFLAGS=flags)
        for flags in ("-O0", "-O3 -march=native")
    ]
    for sampling in ("antithetic", "plain"):
        arguments = ["--portfolio", portfolio.name, "--seed", "9"]
        arguments += ["--sampling", sampling, "--paths", str(BLOCK_PATHS + 2346)]
        as_shipped = run(*arguments).stdout
        assert as_shipped.count("\n") > 3
        for other in others:
            assert run(*arguments, program=other).stdout == as_shipped


@pytest.mark.parametrize("sampling", ["antithetic", "plain"])
def test_the_bits_are_those_of_every_earlier_version(
    run: Run, portfolio: Path, sampling: str
) -> None:
    arguments = [
        "--portfolio",
        portfolio.name,
        "--paths",
        "5000",
        "--seed",
        "12345678901234567890",
    ]
    golden = Path(__file__).with_name(f"sums-{sampling}.golden.csv")
    assert run(*arguments, "--sampling", sampling).stdout == golden.read_text()


def test_slices_together_are_the_whole(run: Run, portfolio: Path) -> None:
    arguments = ["--portfolio", portfolio.name, "--paths", str(SEVERAL_BLOCKS), "--seed", "1"]
    whole = run(*arguments).stdout.splitlines()
    for count in (2, 3, 7):
        parts = [
            run(*arguments, "--slice", f"{index}/{count}").stdout.splitlines()
            for index in range(count)
        ]
        assert {part[0] for part in parts} == {whole[0]}
        assert [row for part in parts for row in part[1:]] == whole[1:]


def test_another_seed_gives_other_sums(run: Run, portfolio: Path) -> None:
    first, second = (
        run("--portfolio", portfolio.name, "--paths", "1000", "--seed", seed).stdout
        for seed in ("1", str(2**64 - 1))
    )
    assert first.splitlines()[1].split(",")[-1] != second.splitlines()[1].split(",")[-1]


def test_help_names_every_option_within_80_columns(run: Run) -> None:
    done = run("--help")
    assert done.returncode == 0
    assert not done.stderr
    for option in ("portfolio", "paths", "seed", "slice", "sampling", "output"):
        assert f"  --{option} " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_example_in_the_help_runs(run: Run, portfolio: Path) -> None:
    example = run("--help").stdout.splitlines()[-1].removeprefix("Example: montecarlo ")
    assert portfolio.name in example
    assert run(*example.split()).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "finding"),
    [
        (["--paths", "0"], '--paths: "0" is not a whole number from 1 to 2^50'),
        (["--paths", "1e6"], '--paths: "1e6" is not'),
        (["--paths", "7"], "antithetic paths come in pairs"),
        (["--seed", "-1"], '--seed: "-1" is not a whole number'),
        (["--seed", "18446744073709551616"], "--seed:"),
        (["--seed"], "--seed: its value is missing"),
        (["--seed="], "--seed: is empty"),
        (["--seed=1", "--seed=1"], "--seed: given twice"),
        (["--slice", "16/16"], "0 <= INDEX < COUNT"),
        (["--slice", "1"], "INDEX/COUNT"),
        (["--slice", "1/2/3"], "INDEX/COUNT"),
        (["--sampling", "sobol"], "neither antithetic nor plain"),
        (["--path", "5"], '"--path" is no option of this program'),
        (["a\x1b[31m"], '"a\\x1b[31m" is no option'),
    ],
)
def test_a_wrong_argument_is_named_and_exits_2(
    run: Run, arguments: list[str], finding: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert finding in done.stderr
    assert not done.stdout


def test_all_findings_come_together(run: Run) -> None:
    done = run("--paths", "x", "--slice", "9/3", "--what")
    assert len(done.stderr.splitlines()) == 5
    assert all(line.startswith("montecarlo: ") for line in done.stderr.splitlines())
    assert "--portfolio: is missing" in done.stderr


def test_a_wrong_portfolio_names_file_and_line_and_exits_2(run: Run, portfolio: Path) -> None:
    portfolio.write_text(portfolio.read_text().replace("put,100,95", "putt,0,95"))
    done = run("--portfolio", portfolio.name, "--paths", "100", "--seed", "1")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        'montecarlo: portfolio.csv:3: kind: "putt" must be call or put',
        "montecarlo: portfolio.csv:3: spot: 0 must be above 0 and at most 1000000000000",
    ]


@pytest.mark.parametrize("name", ["nothing.csv", "."])
def test_an_unreadable_portfolio_exits_1(run: Run, name: str) -> None:
    done = run("--portfolio", name, "--paths", "100", "--seed", "1")
    assert done.returncode == 1
    assert f"cannot read {name}: " in done.stderr


def test_names_with_blanks_quotes_and_newlines_are_just_names(
    run: Run, portfolio: Path, tmp_path: Path
) -> None:
    source, target = '-a \'b\n"c".csv', "-ö \n$(x).csv"
    portfolio.rename(tmp_path / source)
    done = run(f"--portfolio={source}", "--paths=100", "--seed=1", f"--output={target}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / target).read_text().count("\n") == 4


# Becomes what its arguments say, with files of at most 100 bytes.
LITTLE_ROOM = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_full_disk_exits_1_and_leaves_the_old_file(
    program: Path, portfolio: Path, tmp_path: Path
) -> None:
    output = tmp_path / "sums.csv"
    output.write_text("old")
    words = [f"--portfolio={portfolio}", "--paths=100", "--seed=1", f"--output={output}"]
    done = subprocess.run(
        [sys.executable, "-c", LITTLE_ROOM, program, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"cannot write {output}: File too large" in done.stderr
    assert output.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["portfolio.csv", "sums.csv"]
