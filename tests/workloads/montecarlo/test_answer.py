"""What becomes of the slices: the merged prices, and the check of them."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.montecarlo import check, merge

Run = Callable[..., subprocess.CompletedProcess[str]]

WORKLOAD = Path(merge.__file__).parent
RUN = merge.Run(seed=1, paths=70, sampling="plain", portfolio="0", blocks=7)


def simulate(run: Run, directory: Path, *, slices: int, paths: int, sampling: str) -> None:
    """Writes what `slices` tasks would, each in a directory of its own."""
    for index in range(slices):
        task = directory / f"task-{index}"
        task.mkdir(parents=True)
        arguments = ["--portfolio=portfolio.csv", f"--paths={paths}", "--seed=42"]
        arguments += [f"--sampling={sampling}", f"--slice={index}/{slices}"]
        done = run(*arguments, f"--output={task}/sums-{index}.csv")
        assert done.returncode == 0, done.stderr


def merged(directory: Path, portfolio: Path) -> Path:
    results = directory / "results.csv"
    assert merge.main([str(directory), f"--portfolio={portfolio}", f"--output={results}"]) == 0
    return results


def rows(count: int = 7) -> list[merge.Row]:
    return [
        merge.Row(
            source=f"sums.csv:{block}",
            run=RUN,
            block=block,
            samples=10,
            id="a",
            certain_value=5.0,
            sum=math.sin(block) * 10.0 ** (block - 3),
            sum_of_squares=1e8 + block,
        )
        for block in range(count)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["antithetic", "plain"])
def test_1_7_and_64_slices_give_the_same_bytes(
    run: Run, portfolio: Path, tmp_path: Path, sampling: str
) -> None:
    answers = set()
    for slices in (1, 7, 64):
        directory = tmp_path / f"in {slices}"
        simulate(run, directory, slices=slices, paths=10 * 2**20 + 888, sampling=sampling)
        answers.add(merged(directory, portfolio).read_bytes())
    assert len(answers) == 1


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["antithetic", "plain"])
def test_the_workloads_own_portfolio_is_priced_right(
    run: Run, portfolio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], sampling: str
) -> None:
    portfolio.write_bytes((WORKLOAD / "portfolio.csv").read_bytes())
    simulate(run, tmp_path / "out", slices=2, paths=4_000_000, sampling=sampling)
    results = merged(tmp_path / "out", portfolio)
    assert check.main([str(results), f"--portfolio={portfolio}"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == (
        f"12 options, 4,000,000 {sampling} paths, seed 42: all within 4.5 standard errors"
    )
    assert len(out.splitlines()) == 12 + 3
    assert max(map(len, out.splitlines())) <= 80


@given(st.permutations(rows()))
def test_the_order_of_slices_does_not_matter(shuffled: list[merge.Row]) -> None:
    assert merge.merge(shuffled) == merge.merge(rows())


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60), st.integers(1, 9))
def test_price_and_error_are_mean_and_deviation_of_the_samples(
    samples: list[float], block: int
) -> None:
    parts = [samples[i : i + block] for i in range(0, len(samples), block)]
    run = replace(RUN, paths=len(samples), blocks=len(parts))
    [estimate] = merge.merge(
        replace(
            rows(1)[0],
            run=run,
            block=index,
            samples=len(part),
            sum=math.fsum(part),
            sum_of_squares=math.fsum(x * x for x in part),
        )
        for index, part in enumerate(parts)
    )
    mean = math.fsum(samples) / len(samples)
    spread = math.fsum((x - mean) ** 2 for x in samples) / (len(samples) - 1)
    scale = max(map(abs, samples))
    assert estimate.price == pytest.approx(5.0 + mean, rel=1e-12, abs=1e-9)
    assert estimate.standard_error**2 == pytest.approx(
        spread / len(samples), rel=1e-9, abs=1e-12 * scale**2
    )


def test_missing_blocks_are_named() -> None:
    with pytest.raises(merge.MergeError, match=r"a: of 7 blocks there is no 0, 2-3, 6$"):
        merge.merge([row for row in rows() if row.block in {1, 4, 5}])


def test_a_block_that_is_there_twice_is_refused() -> None:
    with pytest.raises(merge.MergeError, match="block 3 of a is there twice"):
        merge.merge([*rows(), rows()[3]])


@pytest.mark.parametrize(
    "other",
    [
        replace(RUN, seed=2),
        replace(RUN, paths=71),
        replace(RUN, sampling="antithetic"),
        replace(RUN, portfolio="1"),
    ],
)
def test_slices_of_different_runs_are_not_mixed(other: merge.Run) -> None:
    mixed = rows()
    mixed[4] = replace(mixed[4], run=other)
    with pytest.raises(merge.MergeError, match=r"sums.csv:4: is of another run"):
        merge.merge(mixed)


@pytest.mark.slow
def test_a_file_cut_off_anywhere_is_refused(
    run: Run, portfolio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(run, tmp_path / "out", slices=1, paths=1000, sampling="plain")
    path = tmp_path / "out" / "task-0" / "sums-0.csv"
    whole = path.read_bytes()
    output = tmp_path / "results.csv"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        words = [str(tmp_path / "out"), f"--portfolio={portfolio}", f"--output={output}"]
        assert merge.main(words) == 1, size
        assert capsys.readouterr().err.startswith("merge: ")
    assert not output.exists()


def test_nothing_collected_is_one_clear_message(
    tmp_path: Path, portfolio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results.csv"
    assert merge.main([str(tmp_path), f"--portfolio={portfolio}", f"--output={output}"]) == 1
    assert "has no sums-*.csv: were the outputs collected?" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.slow
def test_a_portfolio_that_changed_since_is_refused(
    run: Run, portfolio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(run, tmp_path / "out", slices=1, paths=1000, sampling="plain")
    portfolio.write_text(portfolio.read_text().replace("0.35", "0.36"))
    output = tmp_path / "results.csv"
    assert merge.main([str(tmp_path / "out"), f"--portfolio={portfolio}", f"--output={output}"])
    assert "is not the portfolio that was priced" in capsys.readouterr().err


def option(
    kind: str = "call",
    *,
    spot: float = 42,
    strike: float = 40,
    volatility: float = 0.2,
    expiry_years: float = 0.5,
) -> check.Option:
    return check.Option(
        id="a",
        kind=kind,
        spot=spot,
        strike=strike,
        rate=0.1,
        dividend_yield=0,
        volatility=volatility,
        expiry_years=expiry_years,
    )


options = st.builds(
    check.Option,
    id=st.just("a"),
    kind=st.sampled_from(["call", "put"]),
    spot=st.floats(50, 150),
    strike=st.floats(50, 150),
    rate=st.floats(-0.05, 0.1),
    dividend_yield=st.floats(0, 0.1),
    volatility=st.floats(0.05, 1),
    expiry_years=st.floats(0.05, 3),
)


def test_the_closed_form_gives_a_textbooks_prices() -> None:
    # Hull, Options, Futures, and Other Derivatives, example 15.6: c = 4.76, p = 0.81.
    assert check.black_scholes(option()) == pytest.approx(4.76, abs=0.005)
    assert check.black_scholes(option("put")) == pytest.approx(0.81, abs=0.005)


@given(options)
def test_the_closed_form_keeps_put_call_parity(an_option: check.Option) -> None:
    call, put = (check.black_scholes(replace(an_option, kind=kind)) for kind in ("call", "put"))
    assert call - put == pytest.approx(an_option.forward - an_option.discounted_strike, abs=1e-9)


@given(options, st.sampled_from(["plain", "antithetic"]))
def test_the_variance_of_a_sample_is_its_integral(an_option: check.Option, sampling: str) -> None:
    density = NormalDist().pdf
    v = an_option.spread

    def pays(z: float) -> float:
        price = an_option.forward * math.exp(v * z - v * v / 2)
        return max(an_option.sign * (price - an_option.discounted_strike), 0.0)

    def sample(z: float) -> float:
        return pays(z) if sampling == "plain" else (pays(z) + pays(-z)) / 2

    step = 0.005
    grid = [index * step for index in range(-2000, 2001)]
    mean = math.fsum(sample(z) * density(z) for z in grid) * step
    variance = math.fsum((sample(z) - mean) ** 2 * density(z) for z in grid) * step
    assert mean == pytest.approx(check.black_scholes(an_option), rel=1e-4, abs=1e-4)
    assert check.sample_variance(an_option, sampling) == pytest.approx(
        variance, rel=1e-3, abs=1e-3
    )


def test_the_bound_grows_with_the_number_of_options_and_keeps_false_alarms() -> None:
    for count in (1, 12, 1000):
        alarms = count * 2 * (1 - NormalDist().cdf(check.bound(count)))
        assert alarms == pytest.approx(check.FALSE_ALARMS, rel=1e-6)


def result(an_option: check.Option, *, apart: float = 0.0, error: float = 1.0) -> check.Comparison:
    """A comparison that is `apart` true standard errors off and reports `error` of one."""
    samples = 10**6
    true_error = math.sqrt(check.sample_variance(an_option, "plain") / samples)
    return check.compare(
        an_option,
        check.Result(
            id="a",
            price=check.black_scholes(an_option) + apart * true_error,
            standard_error=error * true_error,
            samples=samples,
            paths=samples,
            sampling="plain",
            seed=1,
        ),
    )


@given(st.floats(-3.5, 3.5), st.floats(0.96, 1.04), options)
def test_what_chance_explains_passes(apart: float, error: float, an_option: check.Option) -> None:
    assert not check.judge([result(an_option, apart=apart, error=error)])


@pytest.mark.parametrize("apart", [-6.0, 6.0, math.nan, math.inf])
def test_a_wrong_price_is_refused(apart: float) -> None:
    [finding, *_] = check.judge([result(option(), apart=apart)])
    assert "the price" in finding


@pytest.mark.parametrize("error", [0.0, 0.5, 0.7, 1.4, 2.0, 1e6, math.inf])
def test_a_dishonest_standard_error_is_refused_though_the_price_is_right(error: float) -> None:
    [finding] = check.judge([result(option(), error=error)])
    assert "the standard error is" in finding


@pytest.mark.parametrize("certain", [option(volatility=0), option(expiry_years=0)])
def test_a_certain_price_must_be_exact(certain: check.Option) -> None:
    right = result(certain)
    assert right.errors_apart == 0
    assert not check.judge([right])
    wrong = replace(right.result, price=right.result.price + 1e-6)
    assert check.judge([check.compare(certain, wrong)])


def test_an_option_that_hardly_ever_pays_is_judged_by_the_true_error() -> None:
    rare = result(option(strike=200.0), error=0.0)
    assert rare.in_the_money < check.FEW
    never_paid = check.compare(option(strike=200.0), replace(rare.result, price=0.0))
    assert not check.judge([never_paid])


def write_results(path: Path, **changes: str) -> None:
    row = {"id": "call", "price": "1", "standard_error": "1", "samples": "9", "paths": "9"}
    row |= {"sampling": "plain", "seed": "1"} | changes
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        writer.writeheader()
        writer.writerow(row)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "is not of the options in"),
        ({"price": "dear"}, "dear"),
        ({"samples": ""}, "invalid literal"),
    ],
)
def test_results_that_cannot_be_compared_exit_2(
    tmp_path: Path,
    portfolio: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    message: str,
) -> None:
    results = tmp_path / "results.csv"
    write_results(results, **changes)
    assert check.main([str(results), f"--portfolio={portfolio}"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_wrong_answer_exits_1_and_says_which(run: Run, portfolio: Path, tmp_path: Path) -> None:
    simulate(run, tmp_path / "out", slices=1, paths=10_000, sampling="plain")
    results = merged(tmp_path / "out", portfolio)
    text = results.read_text()
    price = text.splitlines()[2].split(",")[1]
    results.write_text(text.replace(price, str(float(price) + 9)))
    script = [sys.executable, str(WORKLOAD / "check.py"), str(results)]
    script.append(f"--portfolio={portfolio}")
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("check: put: the price ")
    assert done.stdout.splitlines()[-1].endswith("WRONG")


def test_long_names_stay_within_80_columns() -> None:
    comparison = result(option(spot=1e9, strike=1e9), apart=-3)
    long = replace(comparison, result=replace(comparison.result, id="x" * 64))
    assert max(map(len, check.table([long]).splitlines())) <= 80
