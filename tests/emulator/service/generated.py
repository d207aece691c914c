"""Requests made from the API's description: the table of routes, and the official SDK's models.

A body is what the model says, with some members left out, and now and then one that is wrong:
another type, a name that nobody knows, a value out of bounds. Paths name what may be there.
"""

from __future__ import annotations

import datetime as dt
import enum
import inspect
import re
import sys
import types
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from azure.batch import BatchClient, models
from azure.batch._utils.model_base import Model
from hypothesis import strategies as st

from emulator.service.routes import ROUTES, Route

IDS = st.sampled_from(["p", "j", "t", "s", "P", "a b", "", "x" * 65, "..", "%", "ü", "j:job-1"])
TEXTS = st.one_of(
    IDS,
    st.sampled_from(
        ["/bin/true", "https://a.blob.core.windows.net/c?sig=x", "fake.url", "\x00", "'"]
    ),
    st.text(max_size=20),
)
NUMBERS = st.one_of(
    st.integers(-2, 12), st.sampled_from([2**31, -(2**31) - 1, 2**63, 10**30]), st.floats()
)
DURATIONS = st.sampled_from(
    ["PT5M", "PT0S", "P1D", "P10675199DT2H48M5.4775807S", "-PT1S", "P1Y", "PT", "5", "P99999999D"]
)
INSTANTS = st.sampled_from(
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00+14:00",
        "2026-13-01T00:00:00Z",
        "9999-12-31T23:59:59.9999999Z",
        "0001-01-01T00:00:00Z",
        "yesterday",
    ]
)
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
KNOWN = {
    "poolId": st.just("p"),
    "id": IDS,
    "commandLine": TEXTS,
    "autoScaleFormula": st.sampled_from(["$TargetDedicatedNodes=1;", "x = (", "", "$a" * 5000]),
    "nodeAgentSKUId": st.just("batch.node.ubuntu 24.04"),
    "maxTasksPerNode": st.integers(0, 3),
    "targetDedicatedNodes": st.integers(-1, 3),
    "targetLowPriorityNodes": st.integers(-1, 3),
    "start": st.sampled_from([-(2**31), 0, 1, 5, 10**9]),
    "end": st.sampled_from([-1, 0, 9, 2**31 - 1]),
}
"""Members for which any value of their type would mostly say nothing."""

QUERIES = st.lists(
    st.one_of(
        st.tuples(
            st.just("$filter"),
            st.one_of(
                st.sampled_from(
                    [
                        "state eq 'active'",
                        "not (id ne 'j') or startswith(id,'j')",
                        "creationTime gt datetime'2020-01-01'",
                        "executionInfo/exitCode lt 3",
                        "id eq",
                        "((((",
                        "state eq 5 and",
                        "poolInfo/poolId eq null",
                    ]
                ),
                st.text("()' ,eqandornotstartswith/0123456789id", max_size=40),
            ),
        ),
        st.tuples(
            st.just("$select"),
            st.sampled_from(["id", "id,state", "none", "executionInfo/startTime", ",", ""]),
        ),
        st.tuples(st.just("$expand"), st.sampled_from(["stats", "x"])),
        st.tuples(st.just("maxresults"), st.sampled_from(["1", "0", "-5", "x", "99999999999"])),
        st.tuples(st.just("$skiptoken"), st.sampled_from(["WATV2:ag==:1$1", "x", "WATV2:_:1$1"])),
        st.tuples(st.just("recursive"), st.sampled_from(["true", "false", "x"])),
        st.tuples(st.just("timeOut"), st.sampled_from(["30", "x"])),
    ),
    max_size=3,
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "ocp-range"]
    ),
    st.sampled_from(
        [
            "*",
            "0x8D0",
            '"x"',
            "bytes=0-1",
            "bytes=9-1",
            "bytes=-",
            "Mon, 05 Jan 2026 12:00:00 GMT",
            "x",
        ]
    ),
    max_size=2,
)


def body_model(route: Route) -> type[Model] | None:
    """The model of a route's body, by the SDK's method for it."""
    for name in (route.name, f"begin_{route.name}"):
        method = getattr(BatchClient, name, None)
        for parameter in inspect.signature(method).parameters.values() if method else ():
            found = parameter.annotation
            for choice in (found, *get_args(found)):
                if inspect.isclass(choice) and issubclass(choice, Model):
                    return choice
    return None


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type, as they are on the wire."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        kinds = [one for one in inner if one is not type(None)]
        enums = [one for one in kinds if inspect.isclass(one) and issubclass(one, enum.Enum)]
        return values((enums or kinds)[0])
    if origin is list:
        return st.lists(values(inner[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(TEXTS, TEXTS, max_size=2)
    return _of_class(hint) if inspect.isclass(hint) else JUNK


def _of_class(kind: type[Any]) -> st.SearchStrategy[Any]:
    if issubclass(kind, enum.Enum):
        return st.sampled_from([*(member.value for member in kind), "nonsense"])
    if issubclass(kind, Model):
        return st.deferred(lambda: objects(kind))
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXTS,
        bool: st.booleans(),
        int: NUMBERS,
        float: NUMBERS,
        dt.timedelta: DURATIONS,
        dt.datetime: INSTANTS,
    }
    return plain.get(kind, JUNK)


@lru_cache(maxsize=512)
def _hints(model: type[Model]) -> dict[str, Any]:
    return get_type_hints(model, {**vars(sys.modules[model.__module__]), "_models": models})


@st.composite
def objects(draw: st.DrawFn, model: type[Model]) -> dict[str, Any]:
    """An object of a model: mostly right."""
    hints, fields = _hints(model), model({})._attr_to_rest_field
    result: dict[str, Any] = {}
    for attribute, field in fields.items():
        wire = field._rest_name
        required = type(None) not in get_args(hints.get(attribute, Any))
        if not (draw(st.integers(0, 19)) if required else draw(st.integers(0, 3)) == 0):
            continue
        if draw(st.integers(0, 29)) == 0:
            result[wire] = draw(JUNK)
        else:
            result[wire] = draw(KNOWN.get(wire, values(hints.get(attribute, Any))))
    if draw(st.integers(0, 29)) == 0:
        result[draw(TEXTS)] = draw(JUNK)
    return result


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, Any, dict[str, str], list[tuple[str, str]]]:
    """Verb, path, body, headers and query of one request."""
    route = draw(st.sampled_from(ROUTES))
    usual = {
        "poolId": "p",
        "jobId": "j",
        "taskId": "t",
        "jobScheduleId": "s",
        "filePath": "stdout.txt",
    }

    def fill(match: re.Match[str]) -> str:
        likely = usual.get(match[1], "x")
        return (
            likely
            if draw(st.integers(0, 5))
            else draw(st.sampled_from(["none", "%00", "a%2Fb", "%C3"]))
        )

    path = re.sub(r"\{(\w+)\}", fill, route.path)
    model = body_model(route)
    if model is None:
        body = None if draw(st.integers(0, 9)) else draw(JUNK)
    else:
        body = draw(objects(model)) if draw(st.integers(0, 19)) else draw(JUNK)
        if isinstance(body, dict) and route.name.startswith("create_") and draw(st.booleans()):
            body["id"] = route.name.removeprefix("create_")[0]
    return route.method, path, body, draw(HEADERS), draw(QUERIES)
