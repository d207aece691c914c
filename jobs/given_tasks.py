"""Which tasks a selection means by what they were given, where a value may have commas itself.

`x=1,0` is the tasks with x=1 and the task at position 0, or those whose x is `1,0`: only what
tasks were given tells. What can be read in one way is taken, what can be read in two is
refused with both written out; a value in quotes is read in one way.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from jobs.errors import InputError
from jobs.selection import (
    Selection,
    is_given,
    parse_parts,
    parse_selection,
    written_positions,
)
from jobs.task_names import Given, TaskNames, Texts

_FEW = 2
_MOST_PARTS = 50
"""Between commas, in one value."""
_BARE = re.compile(r"(?:^| )(?P<word>[^ ]*)")
_QUOTED = re.compile(
    r"(?:^| )(?:(?P<name>[A-Za-z_]\w*)=(?P<quoted>\"[^\"]*\"|'[^']*')(?= |$)|(?P<word>[^ ]*))"
)


class _Span(NamedTuple):
    """Some parts that follow each other and have commas between: from `first` to before `end`."""

    first: int
    end: int


Reading = Sequence[_Span]
_Way = tuple[_Span, "_Way"] | None


def read_given(
    parts: Sequence[str], names: TaskNames, there: Callable[[Selection], Selection]
) -> Selection:
    """The tasks that a selection means from the first on that says what tasks were given.

    Args:
        parts: What stands there between commas; the first is such a one.
        names: What tasks were given.
        there: Finds positions, stages and ids in the job, and refuses what it does not have.

    Raises:
        InputError: It means nothing that the job has, or it can be read in several ways.
    """
    spans = [
        _Span(n, end)
        for n, part in enumerate(parts)
        if is_given(part)
        for end in range(n + 1, min(len(parts), n + _MOST_PARTS) + 1)
    ]
    meant = {span: _meanings(",".join(parts[span.first : span.end])) for span in spans}
    having = names.given([texts for texts_of in meant.values() for texts in texts_of])
    # a text in quotes is tried first: as it stands it is hardly ever a value
    found = {
        span: next(key for texts in meant[span] if (key := _key(texts)) in having)
        for span in spans
        if any(_key(texts) in having for texts in meant[span])
    }
    plain: dict[int, Selection] = {}
    refused: dict[int, InputError] = {}
    for n, part in enumerate(parts):
        if not is_given(part):
            try:
                plain[n] = there(parse_parts([part]))
            except InputError as error:
                refused[n] = error
    several = _readings(len(parts), found, plain)
    if not several:
        raise _nothing(parts, names, found, refused)
    if len(several) > 1:
        ways = " or ".join(shlex.quote(_written(reading, parts, found)) for reading in several)
        raise InputError(f"{','.join(parts)!r} can be read in several ways: write {ways}")
    numbers = {n for span in several[0] if span in found for n in having[found[span]]}
    others = [plain[span.first] for span in several[0] if span not in found]
    ranges = parse_selection(written_positions(numbers)).ranges or ()
    return Selection(
        ranges=(*ranges, *(span for other in others for span in other.ranges or ())),
        prefixes=tuple(prefix for other in others for prefix in other.prefixes),
    )


def _readings(
    end: int, found: Mapping[_Span, Given], plain: Mapping[int, Selection]
) -> list[Reading]:
    """The ways to read the first `end` parts, of which more than a few are not needed."""
    steps: dict[int, list[_Span]] = {n: [_Span(n, n + 1)] for n in plain}
    for span in found:
        steps.setdefault(span.first, []).append(span)
    ways: dict[int, list[_Way]] = {end: [None]}
    for n in range(end - 1, -1, -1):
        onward = ((step, rest) for step in steps.get(n, ()) for rest in ways[step.end])
        ways[n] = list(islice(onward, _FEW))
    return [list(_steps(way)) for way in ways[0]]


def _steps(way: _Way) -> Iterator[_Span]:
    while way is not None:
        step, way = way
        yield step


def _nothing(
    parts: Sequence[str],
    names: TaskNames,
    found: Mapping[_Span, Given],
    refused: Mapping[int, InputError],
) -> InputError:
    """Why there is no way to read the parts: what is wrong with the first that has no meaning."""
    at = 0
    ends = {span.first: span.end for span in sorted(found)}
    while at not in refused and (at in ends or not is_given(parts[at])):
        at = ends.get(at, at + 1)
    if at in refused:
        return refused[at]
    several = (_meanings(",".join(parts[at:end])) for end in range(at + 1, len(parts) + 1))
    quoted = next((texts for texts in several if len(texts) > 1), None)
    return names.not_given((quoted or _meanings(parts[at]))[0])


def _written(reading: Reading, parts: Sequence[str], found: Mapping[_Span, Given]) -> str:
    """A reading as a selection that can be read in no other way."""
    before = [parts[span.first] for span in reading if span not in found]
    given = [
        " ".join(f"{name}={_quoted(text)}" for name, text in sorted(found[span]))
        for span in reading
        if span in found
    ]
    return ",".join([*before, *given])


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'


def _key(texts: Texts) -> Given:
    return frozenset(texts.items())


def _meanings(text: str) -> list[Texts]:
    """What a text may say that tasks were given: with its quotes as quotes, and as it stands."""
    quoted, bare = _values(text, _QUOTED), _values(text, _BARE)
    return [bare] if quoted == bare else [quoted, bare]


def _values(text: str, words: re.Pattern[str]) -> Texts:
    """`x=7 word=two words` as values by name: a word without `=` goes on with the one before."""
    values: dict[str, str] = {}
    last = ""
    for match in words.finditer(text):
        told = match.groupdict()
        if told.get("quoted"):
            last = told["name"]
            values[last] = told["quoted"][1:-1]
            continue
        name, equals, value = told["word"].partition("=")
        if equals and name.isidentifier():
            last = name
            values[name] = value
        else:
            values[last] += f" {told['word']}"
    return values
