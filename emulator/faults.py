"""Faults on request: what a client must survive, made to happen.

A rule says which operation it strikes, how often, and what happens then: an error of the
service (429, 500, 503), a wait, a connection that breaks before or **after** the work was
done, single tasks of a collection that the server says it failed at. A rate limit answers
429 to what is too much. All of it is set through `/_emulator/` (`emulator.admin`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any, Literal

from emulator.clock import TICKS_PER_SECOND
from emulator.service.errors import Failure

CODES = {429: "TooManyRequests", 500: "InternalError", 503: "ServerBusy"}

Drop = Literal["before", "after"]


@dataclass(slots=True, kw_only=True)
class Rule:
    """One fault.

    Attributes:
        operation: Name of the operation as in the table of routes, or `*`.
        count: How many requests it still strikes; None for no end.
        share: Of the requests, how many it strikes, by chance.
        seed: Of that chance: the same one strikes the same requests.
        status: What it answers; None lets the operation be done.
        retry_after_s: Of that answer; None leaves the header out.
        delay_s: Before the answer.
        drop: Breaks the connection before, or after, the work is done.
        failed_items: Of the tasks of a collection, the share answered `servererror`.
    """

    operation: str = "*"
    count: int | None = 1
    share: float = 1.0
    seed: int = 0
    status: Literal[429, 500, 503] | None = None
    retry_after_s: int | None = None
    delay_s: float = 0.0
    drop: Drop | None = None
    failed_items: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """What happens to one request.

    Attributes:
        failure: Answered instead of the operation.
        delay_s: Waited first.
        drop: When the connection breaks.
        fails_item: Whether the next task of a collection fails; None where none does.
    """

    failure: Failure | None = None
    delay_s: float = 0.0
    drop: Drop | None = None
    fails_item: Callable[[], bool] | None = None


NOTHING = Strike()


@dataclass(slots=True)
class _InForce:
    id: int
    rule: Rule
    random: Random
    struck: int = 0


@dataclass(slots=True)
class _Bucket:
    per_s: float
    burst: int
    tokens: float
    at: int = field(default=0)


class Faults:
    """The rules in force, the oldest first, and the rate limit.

    Args:
        now: This instant, in ticks.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._rules: dict[int, _InForce] = {}
        self._ids = itertools.count(1)
        self._bucket: _Bucket | None = None

    def add(self, rule: Rule) -> int:
        """Puts a rule in force; answers its number."""
        number = next(self._ids)
        # S311: which requests are struck is no secret.
        self._rules[number] = _InForce(number, rule, Random(rule.seed))  # noqa: S311
        return number

    def remove(self, number: int) -> bool:
        """Puts a rule out of force; whether there was one."""
        return self._rules.pop(number, None) is not None

    def clear(self) -> None:
        """Puts all rules out of force."""
        self._rules.clear()

    def listing(self) -> list[dict[str, Any]]:
        """The rules in force, each with its number and how often it struck."""
        return [
            {"id": held.id, "struck": held.struck, **asdict(held.rule)}
            for held in self._rules.values()
        ]

    # Rate

    def limit(self, per_s: float | None, burst: int | None = None) -> None:
        """Lets through so many requests a second, and so many at once; None for all."""
        if per_s is None:
            self._bucket = None
            return
        size = burst or max(1, math.ceil(per_s))
        self._bucket = _Bucket(per_s, size, float(size), self._now())

    @property
    def rate(self) -> dict[str, float | int] | None:
        """The rate limit in force."""
        bucket = self._bucket
        return {"requests_per_second": bucket.per_s, "burst": bucket.burst} if bucket else None

    def _too_much(self) -> Failure | None:
        bucket = self._bucket
        if bucket is None:
            return None
        now = self._now()
        gained = (now - bucket.at) / TICKS_PER_SECOND * bucket.per_s
        bucket.tokens = min(bucket.burst, bucket.tokens + gained)
        bucket.at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return None
        wait_s = math.ceil((1 - bucket.tokens) / bucket.per_s)
        return Failure(code=CODES[429], headers=(("Retry-After", str(wait_s)),))

    # What happens

    def before(self, operation: str) -> Strike:
        """What happens to a request of an operation."""
        failure = self._too_much()
        if failure is not None:
            return Strike(failure=failure)
        for held in list(self._rules.values()):
            rule = held.rule
            if rule.operation not in {operation, "*"}:
                continue
            if rule.share < 1 and held.random.random() >= rule.share:
                continue
            return self._struck(held)
        return NOTHING

    def _struck(self, held: _InForce) -> Strike:
        rule = held.rule
        held.struck += 1
        if rule.count is not None:
            rule.count -= 1
            if rule.count <= 0:
                self._rules.pop(held.id, None)
        failure = None
        if rule.status is not None:
            after = rule.retry_after_s
            headers = () if after is None else (("Retry-After", str(after)),)
            failure = Failure(code=CODES[rule.status], headers=headers)
        fails = None
        if rule.failed_items > 0:
            fails = _chance(held.random, rule.failed_items)
        return Strike(failure=failure, delay_s=rule.delay_s, drop=rule.drop, fails_item=fails)


def _chance(random: Random, share: float) -> Callable[[], bool]:
    return lambda: random.random() < share
