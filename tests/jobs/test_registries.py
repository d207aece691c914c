"""Whether nodes can fetch the images that a workload names: told offline, all together."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.advice import REGISTRY
from jobs.checking import check
from jobs.errors import WorkloadError
from jobs.loading import LoadedWorkload
from jobs.pool_fit import registry_of
from jobs.stack import Pool, Stack

MakeWorkload = Callable[..., LoadedWorkload]
FILE = "name: n\npool: cpu\ncommand: a\ncontainer: "


def with_registries(stack: Stack, *registries: str, containers: bool = True) -> Stack:
    told = {**stack.pools["cpu"].model_dump(), "registries": registries if containers else None}
    pool = Pool.model_validate(told)
    return stack.model_copy(update={"pools": {**stack.pools, "cpu": pool}})


@pytest.mark.parametrize(
    ("image", "server"),
    [
        ("ubuntu:24.04", "docker.io"),
        ("library/ubuntu", "docker.io"),
        ("r.azurecr.io/a/b:1", "r.azurecr.io"),
        ("R.azurecr.io/a", "r.azurecr.io"),
        ("localhost/a", "localhost"),
        ("host:5000/a", "host:5000"),
        ("r.azurecr.io", "docker.io"),
    ],
)
def test_an_image_says_its_registry(image: str, server: str) -> None:
    assert registry_of(image) == server


@given(st.from_regex(r"[a-z]{1,9}\.azurecr\.io", fullmatch=True), st.text("abc/:.@", max_size=9))
def test_whatever_follows_the_first_slash_does_not_change_the_registry(
    server: str, rest: str
) -> None:
    assert registry_of(f"{server}/{rest}") == server


@pytest.mark.parametrize(
    ("container", "known", "said"),
    [
        ("r.azurecr.io/a:1", (), "sign in to none, and image 'r.azurecr.io/a:1' is of r.azurecr"),
        ("r.azurecr.io/a:1", ("other.azurecr.io",), "sign in to other.azurecr.io, and image"),
        ("r.azurecr.io/a:1", ("R.azurecr.io",), None),
        ("{image: r.azurecr.io/a, registry: r.azurecr.io}", (), None),
        ("{image: a, registry: r.azurecr.io}", (), "begin the image with its registry"),
        ("{image: b.azurecr.io/a, registry: r.azurecr.io}", (), "is of b.azurecr.io, so that"),
        ("ubuntu:24.04", (), None),
        ("mcr.microsoft.com/a", (), None),
    ],
)
def test_who_must_sign_in_and_cannot_is_warned_of(
    workload: MakeWorkload, stack: Stack, container: str, known: tuple[str, ...], said: str | None
) -> None:
    checked = check(workload(FILE + container + "\n"), with_registries(stack, *known))
    warnings = [one.message for one in checked.warnings if one.code == REGISTRY]
    assert len(warnings) == (said is not None)
    assert said is None or said in warnings[0]


def test_outputs_that_do_not_tell_are_no_reason_to_warn(
    workload: MakeWorkload, stack: Stack
) -> None:
    assert not stack.pools["cpu"].tells_registries
    assert not check(workload(FILE + "r.azurecr.io/a\n"), stack).warnings


def test_a_pool_without_containers_is_told_with_everything_else_that_is_wrong(
    workload: MakeWorkload, stack: Stack
) -> None:
    loaded = workload(FILE + "ubuntu\nresources: {slots: 99}\n")
    with pytest.raises(WorkloadError) as refused:
        check(loaded, with_registries(stack, containers=False))
    texts = [str(finding) for finding in refused.value.findings]
    assert any("run no containers" in text for text in texts)
    assert any("99 slots" in text for text in texts)
