from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from jobs import client
from jobs.checking import check
from jobs.client import Client
from jobs.errors import ServiceError
from jobs.options import variable_of


def test_a_client_asks_the_pool_what_the_command_line_asks(
    workload: Any,
    stack: Any,
    session: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loaded = workload("name: n\npool: cpu\ncommand: a\ncontainer: {image: i}\n")
    checked = check(loaded, stack)
    object.__setattr__(checked, "warnings", ("it may be slow",))
    monkeypatch.setattr(client, "checked_workload", lambda _options: checked)
    monkeypatch.setattr(client, "Session", lambda **_: session)
    with pytest.raises(Exception, match="run no containers"):
        Client(stack="s", out=Path("r")).submit(loaded.path)
    monkeypatch.setattr(client, "check_binding", lambda *_: None)

    def stop(*_: Any) -> None:
        raise ServiceError("enough")

    monkeypatch.setattr(client, "prepare", stop)
    with caplog.at_level(logging.WARNING), pytest.raises(ServiceError, match="enough"):
        Client(stack="s", out=Path("r")).submit(loaded.path)
    assert "it may be slow" in caplog.text


def test_the_variables_of_publish_say_what_they_are_for() -> None:
    assert variable_of(["--version"]) == "JOBS_PUBLISH_VERSION"
    assert variable_of(["--default"]) == "JOBS_PUBLISH_DEFAULT"
