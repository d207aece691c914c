from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from emulator.launches import Launches


@pytest.mark.parametrize(
    ("base", "told"),
    [
        ("https://127.0.0.1:1", "https://127.0.0.1:1/accounts/one"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
    ],
)
def test_tasks_are_told_an_url_that_says_whose_account_it_is_where_tokens_are_taken(
    base: str, told: str
) -> None:
    unused: Any = None
    node: Any = SimpleNamespace(
        pool=SimpleNamespace(id="p", identity=None), id="n", dedicated=True, ip="10.0.0.4"
    )
    launches = Launches("one", unused, base_url=lambda: base, key=lambda: b"")
    assert launches.facts(node).batch_url == told
