from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from jobs import client, workflow
from jobs.advice import Advice
from jobs.checking import check
from jobs.client import Client
from jobs.errors import ServiceError
from jobs.options import variable_of


def test_a_client_asks_the_pool_what_the_command_line_asks_and_logs_its_warnings(
    workload: Any,
    stack: Any,
    session: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loaded = workload("name: n\npool: cpu\ncommand: a\ncontainer: {image: i}\n")
    checked = check(loaded, stack)
    object.__setattr__(checked, "warnings", (Advice(code="rounds", message="it may be slow"),))
    monkeypatch.setattr(workflow, "checked_workload", lambda _options: checked)
    monkeypatch.setattr(workflow, "Session", lambda **_: session)
    with pytest.raises(Exception, match="run no containers"):
        Client(stack="s", out=tmp_path).submit(loaded.path)
    monkeypatch.setattr(workflow, "check_binding", lambda *_: None)

    def stop(*_: Any) -> None:
        raise ServiceError("enough")

    monkeypatch.setattr(client, "send", stop)
    with caplog.at_level(logging.WARNING), pytest.raises(ServiceError, match="enough"):
        Client(stack="s", out=tmp_path).submit(loaded.path)
    assert ("jobs.client", "it may be slow [rounds]") in {
        (r.name, r.getMessage()) for r in caplog.records
    }


def test_the_variables_of_publish_say_what_they_are_for() -> None:
    assert variable_of(["--version"]) == "JOBS_PUBLISH_VERSION"
    assert variable_of(["--default"]) == "JOBS_PUBLISH_DEFAULT"
