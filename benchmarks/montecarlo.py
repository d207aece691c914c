"""How fast the Monte Carlo pricer is: `python benchmarks/montecarlo.py [--rounds N] [--json]`.

Two peers: the program one writes first (`std::mt19937_64`, `std::normal_distribution`,
`std::exp`), and a bound: the payoffs alone with the normals for free, built with `-Ofast
-march=native` and the C library's SIMD `exp`, which gives up the same bits everywhere.
Nanoseconds of processor time, medians of interleaved rounds, a path and option.

Found on an AMD EPYC (Zen 4), GCC 12.2, glibc 2.36, medians of 7 rounds, twice the same within
1 %: 1.14 ns a path and option with antithetic sampling, 6.5 times as fast as the standard
library's way (7.4 ns) and 1.9 times as slow as the bound (0.60 ns). A normal takes 2.95 ns:
`std::normal_distribution` 7.3 times as long, Box-Muller with libm 6.9 times, the inverse
normal (AS 241) on the same Philox numbers 4.2 times. Half of those 2.95 ns are Philox, but a
normal serves 12 options twice, so that faster normals could save 1 % of a run; the rest is
`exp`, once a pair, and a division for its other half. At narrower registers the same bits
take 1.8 ns (AVX2) and 3.1 ns (SSE2). docs/adr/0040-monte-carlo.md has what follows from it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "workloads" / "montecarlo" / "src"
PARTS = ("normals.cpp", "option.cpp", "simulation.cpp", "numbers.cpp")
FLAGS = ["-std=c++17", f"-I{SOURCES}", "-ffp-contract=off", "-fno-math-errno"]


def measure(rounds: int) -> dict[str, float]:
    """Builds the benchmark and runs it; nanoseconds by name."""
    with tempfile.TemporaryDirectory() as directory:
        here = Path(__file__).with_suffix(".cpp")
        program, bound = Path(directory, "benchmark"), Path(directory, "bound.o")
        fastest = ["-std=c++17", f"-I{SOURCES}", "-Ofast", "-march=native"]
        source = here.with_name("montecarlo_bound.cpp")
        subprocess.run(["c++", *fastest, "-c", source, "-o", bound], check=True)
        parts = [SOURCES / part for part in PARTS]
        subprocess.run(["c++", *FLAGS, "-O3", here, bound, *parts, "-o", program], check=True)
        done = subprocess.run([program, str(rounds)], check=True, capture_output=True, text=True)
    pairs = (line.split() for line in done.stdout.splitlines())
    return {name: float(nanoseconds) for name, nanoseconds in pairs}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Times the pricer against its peers.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    times = measure(given.rounds)
    if given.json:
        print(json.dumps(times, indent=2))
        return
    for group, reference in (("price", "price.antithetic"), ("normal", "normal.ours")):
        print(f"{group:<34} {'ns':>8} {'of ours':>9}")
        for name, nanoseconds in times.items():
            if name.startswith(group):
                ratio = nanoseconds / times[reference]
                print(f"  {name.partition('.')[2]:<32} {nanoseconds:>8.2f} {ratio:>8.1f}x")


if __name__ == "__main__":
    main()
