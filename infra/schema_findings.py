"""Words for what pydantic refuses: a path, what is wrong, what to write instead."""

from __future__ import annotations

import types
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from infra.config import KNOWN_IMAGE, StackConfig
from infra.findings import Finding, near_misses

UNKNOWN_KEY = "CFG001"
MISSING_KEY = "CFG002"
WRONG_VALUE = "CFG003"
ABSENT_SECRET = "CFG004"  # noqa: S105 - the code of a finding

Location = tuple[int | str, ...]


def describe(error: ValidationError) -> list[Finding]:
    """One finding for each thing that the config models refuse."""
    findings: dict[tuple[str, str], Finding] = {}
    for details in error.errors(include_url=False):
        finding = _describe_one(details)
        # A value that fits no member of a union is refused once a member.
        findings.setdefault((finding.path, finding.code), finding)
    return list(findings.values())


def refused_parts(error: ValidationError, raw: Any) -> set[Location]:
    """The least parts of the raw config whose absence mends the error.

    An unknown key goes alone, and so does a wrong value of a section, which has its
    default then. A pool with a wrong value goes whole: no default is what was meant. The
    empty location stands for everything.
    """
    return {_refused_part(details, raw) for details in error.errors(include_url=False)}


def _refused_part(details: ErrorDetails, raw: Any) -> Location:
    location: list[int | str] = []
    value = raw
    for part in details["loc"]:
        # Names of union members and missing keys are in no one's file.
        keys: Container[Any] = ()
        if isinstance(value, list | tuple):
            keys = range(len(value))
        elif isinstance(value, Mapping):
            keys = value
        if part in keys:
            value = value[part]
            location.append(part)
    whole_pool = location[:1] == ["pools"] and details["type"] != "extra_forbidden"
    return tuple(location[:2] if whole_pool else location)


def _describe_one(details: ErrorDetails) -> Finding:
    names, model = _walk(details["loc"])
    path = ".".join(names)
    kind = details["type"]
    context = details.get("ctx", {})
    if kind == "extra_forbidden":
        known = sorted(model.model_fields) if model else []
        close = near_misses(names[-1], known)
        message = f"there is no such key{close or '; keys here are ' + ', '.join(known)}"
        return Finding(path=path, code=UNKNOWN_KEY, severity="error", message=message)
    if kind == "missing":
        description = _description(model, names[-1])
        message = f"this key must be given{description}"
        return Finding(path=path, code=MISSING_KEY, severity="error", message=message)
    got = "" if isinstance(details["input"], dict) else f", not {details['input']!r}"
    if kind == "literal_error":
        choices = [
            choice.strip("'")
            for choice in str(context["expected"]).replace(" or ", ", ").split(", ")
        ]
        message = f"must be one of {', '.join(choices)}{got}"
        if isinstance(details["input"], str):
            message += near_misses(details["input"], choices)
    elif kind == "string_pattern_mismatch":
        message = f"must match {context['pattern']}{got}"
        message += _near_examples(model, names[-1], details["input"])
    else:
        text = details["msg"]
        message = f"{text[:1].lower()}{text[1:]}{got}"
    return Finding(path=path, code=WRONG_VALUE, severity="error", message=message)


def _walk(location: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel] | None]:
    """The config path of a pydantic location, and the model that has its last key.

    Pydantic puts the names of union members into locations; they are in no one's file.
    """
    names: list[str] = []
    candidates: list[Any] = [StackConfig]
    owner: type[BaseModel] | None = None
    for part in location:
        models = [
            item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)
        ]
        mappings = [item for item in candidates if get_origin(item) is dict]
        fields = next((model for model in models if part in model.model_fields), None)
        if fields is not None:
            owner = fields
            names.append(str(part))
            candidates = list(_members(fields.model_fields[str(part)].annotation))
        elif mappings and part != "[key]":
            names.append(str(part))
            candidates = list(_members(get_args(mappings[0])[1]))
        elif isinstance(part, int) and names and (items := _items(candidates)):
            names[-1] += f"[{part}]"
            candidates = list(_members(items[0]))
        elif chosen := [model for model in models if _is_member_name(str(part), model, models)]:
            candidates = list(chosen)
            owner = chosen[0]
        elif not _names_a_union_member(str(part), candidates):
            owner = models[0] if models else owner
            names.append(str(part) or "''")
            candidates = []
    return names, owner


def _members(annotation: Any) -> Iterator[Any]:
    """A type's alternatives, with Annotated and Optional taken off."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _items(candidates: list[Any]) -> list[Any]:
    return [get_args(item)[0] for item in candidates if get_origin(item) in {tuple, list}]


def _is_member_name(part: str, model: type[BaseModel], members: Sequence[type[BaseModel]]) -> bool:
    if part == model.__name__:
        return True
    # Once its member is chosen, a key may well be called like it: `scale.formula`.
    if len(members) == 1:
        return False
    tags = [model.model_fields[name] for name in ("mode", "type") if name in model.model_fields]
    return any(part in get_args(tag.annotation) for tag in tags)


def _names_a_union_member(part: str, candidates: list[Any]) -> bool:
    if part in {"[key]", KNOWN_IMAGE}:
        return True
    if part in {item.__name__ for item in candidates if isinstance(item, type)}:
        return True
    return part.startswith(("literal[", "constrained-", "function-"))


def _description(model: type[BaseModel] | None, key: str) -> str:
    field = model.model_fields.get(key) if model else None
    return f": {field.description}" if field is not None and field.description else ""


def _near_examples(model: type[BaseModel] | None, key: str, value: object) -> str:
    """`; did you mean …?` of a key whose field lists what may be written."""
    field = model.model_fields.get(key) if model else None
    examples = field.examples if field is not None else None
    return near_misses(str(value), map(str, examples)) if examples else ""
