"""Whether everything between this machine and a job is in order: one check after another.

Each check asks the service itself, so that what is found is what a run would meet. A
check that fails does not keep the others from being made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from jobs.errors import JobsError
from jobs.looks import pool_view
from jobs.service import segment
from jobs.session import Session
from jobs.stack import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        ok: Whether a run would get past it.
        text: What was found; for what is not ok, with the remedy.
    """

    name: str
    ok: bool
    text: str


def examine(session: Session, out: Path) -> Iterator[Check]:
    """Makes every check, in the order in which a run would meet them."""
    stack = session.stack
    where = "on this machine" if stack.is_local else f"in {stack.location}"
    yield Check(name="stack", ok=True, text=f"{stack.stack} {where}, {stack.authentication}")
    yield _batch(session)
    for name, pool in sorted(stack.pools.items()):
        yield _pool(session, name, pool)
    for container in (
        stack.programs_container,
        stack.inputs_container,
        stack.outputs_container,
        stack.logs_container,
    ):
        yield _container(session, container)
    yield _results(out)


def _batch(session: Session) -> Check:
    try:
        session.service.get("/pools", "asking Batch", **{"$select": "id", "maxresults": "1"})
    except JobsError as error:
        return Check(name="batch", ok=False, text=str(error))
    return Check(name="batch", ok=True, text=f"{session.stack.batch_endpoint} answers")


def _pool(session: Session, name: str, pool: Pool) -> Check:
    label = f"pool {name}"
    quoted = pool.id.replace("'", "''")
    try:
        found = session.service.get(f"/pools/{segment(pool.id)}", f"looking for pool {pool.id}")
        counts = session.service.get(
            "/nodecounts", "counting nodes", **{"$filter": f"poolId eq '{quoted}'"}
        )
    except JobsError as error:
        return Check(name=label, ok=False, text=str(error))
    if found.get("state", "active") != "active":
        text = f"{pool.id} is {found['state']}: deploy the stack again (pulumi up)"
        return Check(name=label, ok=False, text=text)
    if pool.identity_id is None:
        text = f"{pool.id} has no identity: its nodes can neither read programs nor leave outputs"
        return Check(name=label, ok=False, text=text)
    view = pool_view(found, counts.get("value", ()))
    nodes = ", ".join(f"{number} {state}" for state, number in sorted(view.nodes.items()))
    text = "; ".join((f"{pool.id}: {nodes or 'no nodes'}, {view.target} wanted", *view.reasons))
    return Check(name=label, ok=not view.broken, text=text)


def _container(session: Session, container: str) -> Check:
    label = f"container {container}"
    try:
        next(iter(session.container(container).list("sha256/")), None)
    except JobsError as error:
        return Check(name=label, ok=False, text=str(error))
    return Check(name=label, ok=True, text="can be listed")


def _results(out: Path) -> Check:
    directory = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    try:
        with TemporaryFile(dir=directory):
            pass
    except OSError as error:
        text = f"{directory} cannot be written: {error.strerror}; name another with --out"
        return Check(name="results", ok=False, text=text)
    return Check(name="results", ok=True, text=f"{out} can be written")
