from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.doctor import Check, examine
from jobs.errors import InputError
from jobs.session import Session
from jobs.terminal import Terminal


def by_name(session: Session, out: Path) -> dict[str, Check]:
    return {check.name: check for check in examine(session, out)}


def test_what_is_in_order_is_said_to_be(session: Session, tmp_path: Path) -> None:
    checks = by_name(session, tmp_path / "not" / "yet")
    assert list(checks) == [
        "stack", "batch", "pool cpu", "container programs", "container inputs",
        "container outputs", "container logs", "results",
    ]  # fmt: skip
    assert all(check.ok for check in checks.values()), checks
    assert "the pool has no nodes" in checks["pool cpu"].text
    assert not (tmp_path / "not").exists()


def test_one_thing_that_is_wrong_does_not_hide_the_others(
    session: Session, batch: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    batch.pools.clear()
    session.stack = session.stack.model_copy(update={"inputs_container": "gone"})
    checks = by_name(session, tmp_path)
    assert [name for name, check in checks.items() if not check.ok] == [
        "pool cpu",
        "container gone",
    ]
    assert "pulumi up" in checks["pool cpu"].text
    monkeypatch.setattr(
        batch, "_pool", lambda pool: {"id": pool, "resizeErrors": [{"code": "NoQuota"}]}
    )
    batch.pools.add("pool-cpu")
    found = by_name(session, tmp_path)["pool cpu"]
    assert not found.ok
    assert "NoQuota" in found.text


def test_nobody_is_asked_where_nobody_is() -> None:
    terminal = Terminal()
    assert terminal.agreed("Go?", yes=True, no_input=True)
    with pytest.raises(InputError, match="say --yes"):
        terminal.agreed("Go?", yes=False, no_input=False)
