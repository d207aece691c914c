"""Whether a person agrees to what may be spent, asked before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.arguments import checked_amount
from jobs.checking import Checked
from jobs.errors import InputError
from jobs.prices import money, most_per_hour
from jobs.terminal import Terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """Whether a person is asked before much may be spent.

    Attributes:
        above: What the pool's nodes may cost an hour, all together, before somebody is
            asked; None: never.
        yes: Whether somebody agreed beforehand.
        no_input: Whether nobody is to be asked, and the job refused instead.

    Raises:
        InputError: `above` is no amount of money.
    """

    above: float | None = None
    yes: bool = False
    no_input: bool = False

    def __post_init__(self) -> None:
        """Refuses what no price can be held against."""
        checked_amount("--confirm-above", self.above)


NEVER_ASKED = Consent()


def agree(checked: Checked, consent: Consent, terminal: Terminal) -> None:
    """Asks, if the pool may cost more than a person wants to spend unasked.

    Raises:
        InputError: They do not agree, or there is nobody to ask.
    """
    if consent.above is None:
        return
    pool = checked.pool
    most = most_per_hour(pool)
    if most is not None and most <= consent.above:
        return
    price = "an unknown price" if most is None else money(most, pool.price_currency)
    limit = money(consent.above, pool.price_currency)
    question = (
        f"Pool {checked.workload.spec.pool!r} may cost {price} an hour, --confirm-above is "
        f"{limit}. Submit?"
    )
    if not terminal.agreed(question, yes=consent.yes, no_input=consent.no_input):
        raise InputError("nothing was submitted")
