"""Watching outlasts the network: a machine sleeps, changes its Wi-Fi, a service is down.

The job does not notice, and so it would be a pity if whoever waits for it had to begin again,
without the limits and messages that were asked for. A single request insists for seconds only
(`jobs.service`), as it should where somebody asks once. Nothing is told here (`jobs.progress`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from jobs.errors import CredentialError, ServiceError, UnavailableError
from jobs.looks import Look, Outage

OUTAGE_S = 900.0
"""How long nothing may be heard of a job before whoever watches it gives up."""


def outlasted(error: ServiceError) -> bool:
    """Whether what went wrong may pass by itself, or by somebody who signs in again.

    Without a network there is no token either; and the page that a hotel's network shows in
    place of everything has a certificate that nobody trusts. What the service itself answers
    to a credential does not pass.
    """
    if isinstance(error, CredentialError):
        return error.status is None
    return isinstance(error, UnavailableError)


@dataclass(slots=True, kw_only=True)
class Sight:
    """Looks at a job; while the service cannot be reached, what was seen last.

    Attributes:
        ask: Looks, or raises.
        now: Monotonic seconds.
        last: What was seen last; while that is nothing, no error is outlasted.
    """

    ask: Callable[[], Look]
    now: Callable[[], float]
    last: Look | None = None
    _away_at: float | None = None
    _outage: Outage | None = None

    def look(self) -> Look:
        """The job, or, with an `outage`, how it stood: never that it is over.

        Raises:
            ServiceError: The service refuses, or was not reached for `OUTAGE_S`.
        """
        began, moment = self.now(), time.time()
        try:
            self.last = self.ask()
        except ServiceError as error:
            if self.last is None or not outlasted(error):
                raise
            if self._away_at is None:
                self._away_at, self._outage = began, Outage(since=moment, why=_why(error))
            if self.now() - self._away_at > OUTAGE_S:
                raise
            self.last = replace(self.last, outage=self._outage, over=False, standstill=None)
        else:
            self._away_at = None
        return self.last


def _why(error: ServiceError) -> str:
    """What happened, without what was being done and without the advice."""
    sentence = str(error).splitlines()[0].partition(". ")[0]
    return sentence.partition(": ")[2] or sentence
