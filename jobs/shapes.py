"""What pydantic says of a value, in the words of the file that holds it.

Its own messages speak of Python: of tuples, dictionaries and validation. A person has written
lists and mappings, text and numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_SHOULD = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "int_parsing": "a whole number",
    "float_parsing": "a number",
    "bool_parsing": "true or false",
    "string_type": "text",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "list_type": "a list",
    "time_delta_type": "a length of time, such as 45s, 10m or 1h30m",
}
_LENGTHS = {
    "too_short": ("min_length", "should have at least {} {}", "entry", "entries"),
    "too_long": ("max_length", "should have at most {} {}", "entry", "entries"),
    "string_too_short": ("min_length", "should be at least {} {} long", "character", "characters"),
    "string_too_long": ("max_length", "should be at most {} {} long", "character", "characters"),
}


def said(error: Mapping[str, Any], *, kind: str = "") -> str:
    """One error, as a person should read it.

    Args:
        error: As `ValidationError.errors` has it.
        kind: What is wanted there, in place of what the type's name says: `text or a list`.
    """
    name, context, value = error["type"], error.get("ctx", {}), error["input"]
    if name == "missing":
        return "is missing"
    if name == "value_error":
        return str(context["error"])
    if name == "string_pattern_mismatch":
        return f"must match {context['pattern']}"
    if wanted := kind or _SHOULD.get(name):
        return f"should be {wanted}, not {_brief(value)}"
    if name in _LENGTHS:
        return _length(name, context, value)
    text = str(error["msg"]).removeprefix("Input ").removeprefix("Value ")
    return text[0].lower() + text[1:]


def _length(name: str, context: Mapping[str, Any], value: object) -> str:
    limit, text, one, several = _LENGTHS[name]
    number = context[limit]
    has = len(value) if hasattr(value, "__len__") else context.get("actual_length", 0)
    if not has:
        return "is empty"
    return f"{text.format(number, one if number == 1 else several)}, not {has}"


def _brief(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004 - half a line
