"""What the service does where nobody has published what it does.

Each choice is a named option with the default that fits best what is recorded or inferred
from formulas that people run; docs/autoscale.md has the reasons. A team that learns better
from its own account changes one option, and the evaluator follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantics:
    """Choices where the documentation is silent.

    Attributes:
        lenient: Take operators that the documented table lacks but a reader understands:
            `timestamp - timeinterval`, `timeinterval / timeinterval`, `double + doubleVec`.
        short_circuit: `&&` and `||` leave the right side alone when the left one decides.
        empty_aggregate: What avg, max, min, norm, range and percentile make of no value.
        val_of_empty: `val(v, i)` of an empty vector is 0; else it is an error.
        newest_first: Order of the samples in a vector.
        percentile: Nearest rank, or linear interpolation between ranks.
        sampled_as_number: A sampled variable without a method is its latest sample; else
            only the node counts and `$TaskSlotsPerNode` are.
        negative_target: A target below zero is zero, or an error.
        stop_keeps: `stop()` keeps what was assigned to the targets before.
        sample_delay_s: Samples younger than this are not visible yet.
    """

    lenient: bool = False
    short_circuit: bool = True
    empty_aggregate: Literal["error", "zero"] = "error"
    val_of_empty: bool = True
    newest_first: bool = False
    percentile: Literal["nearest", "linear"] = "nearest"
    sampled_as_number: bool = True
    negative_target: Literal["clamp", "error"] = "clamp"
    stop_keeps: bool = True
    sample_delay_s: float = 0.0


DEFAULT_SEMANTICS = Semantics()
