"""Commands that were written for a shell, where none reads them.

A `command` is split into arguments as a shell would split it, and then the program is
started itself: what else a shell does (`&&`, `>`, `$NAME`, `*`) reaches the program as it
stands, and often it ignores that and succeeds. A list of arguments was split by a person,
who knows. Quoted, escaped and in a placeholder, a character means itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from jobs.advice import SHELL, Advice
from jobs.document import Location
from jobs.loading import LoadedWorkload
from jobs.stack import Pool
from jobs.stages import StageView

_PIECE = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<single>'[^']*')"
    r'|"(?P<double>(?:[^"\\]|\\.)*)"'
    r"|(?P<escaped>\\.)"
    r"|(?P<variable>\$\{[^}]*\})"
    r"|(?P<placeholder>\{[A-Za-z_]\w*(?::[^{}]*)?\})"
    r"|(?P<bare>.)",
    re.DOTALL,
)
_OPERATOR = r"&&|\|\||[|;&]|(?:\d|&)?(?:>>?|<{1,3})(?:&\d)?"
# Within a word an operator is more often a part of an address (`?a=1&b=2`) or a comparison.
_OPERATORS = re.compile(rf"^(?:{_OPERATOR})|(?:{_OPERATOR})$|&&|\|\|")
_EXPANSION = re.compile(r"\$\{?[A-Za-z_]\w*\}?|\$\(|`")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_WINDOWS_SHELLS = frozenset({"cmd", "cmd.exe", "powershell", "powershell.exe", "pwsh"})
_INTERPRETERS = re.compile(
    r"(?:.*/)?(?:(?:ba|da|z|k)?sh|python[\d.]*|perl|ruby|node|Rscript|R|julia)"
)
_CODE = re.compile(r"-[A-Za-z]*[ce]")
"""The option of these after which a program stands, in their own language."""
_ITSELF = "\0"
"""Stands for what means itself."""


def shell_words(text: str, *, windows: bool = False) -> list[str]:
    """What of a command's text only a shell would understand, each once.

    Args:
        text: The command, as it stands in the file.
        windows: Whether the shell that it may be meant for is that of Windows.
    """
    words = _words(text)
    if windows and words and words[0][0].lower() in _WINDOWS_SHELLS:
        return []
    found: dict[str, None] = {}
    takes_code = bool(words) and _INTERPRETERS.fullmatch(words[0][0]) is not None
    for number, (bare, read) in enumerate(words):
        if takes_code and number and _CODE.fullmatch(words[number - 1][0]):
            takes_code = False
            continue
        found.update((match[0], None) for match in _OPERATORS.finditer(bare))
        if windows:
            continue
        if number == 0 and (given := _ASSIGNMENT.match(bare)):
            found[given[0]] = None
        found.update((match[0], None) for match in _EXPANSION.finditer(read))
        if "*" in bare:
            found["*"] = None
    return list(found)


def _words(text: str) -> list[tuple[str, str]]:
    """Words: what stands unquoted in each, and what a shell expands, in double quotes too."""
    words: list[tuple[str, str]] = []
    bare = read = ""
    for piece in _PIECE.finditer(text):
        if piece["space"]:
            words.append((bare, read))
            bare = read = ""
        elif piece["double"] is not None:
            bare += _ITSELF
            read += re.sub(r"\\.", _ITSELF, piece["double"])
        elif piece["variable"] or piece["bare"]:
            bare += piece[0]
            read += piece[0]
        else:
            bare += _ITSELF
            read += _ITSELF
    return [word for word in (*words, (bare, read)) if word[1] or word[0]]


def shell_warnings(
    workload: LoadedWorkload, stages: Sequence[StageView], pool: Pool
) -> Iterator[Advice]:
    """Of each command of a workload that seems to be meant for a shell."""
    on_windows = pool.os == "windows"
    seen: set[Location] = set()
    for what, location, remedy, windows in _commands(stages, on_windows=on_windows):
        text = _written(workload, location)
        if text is None or location in seen:
            continue
        seen.add(location)
        words = shell_words(text, windows=windows)
        if words:
            stand, reach = ("stands", "reaches") if len(words) == 1 else ("stand", "reach")
            message = (
                f"{what}: no shell reads it, so that {_listed(words)} {reach} the program as "
                f"{'it' if len(words) == 1 else 'they'} {stand}: {remedy}, or quote what is meant "
                "so"
            )
            yield Advice(code=SHELL, message=message)


def _commands(
    stages: Sequence[StageView], *, on_windows: bool
) -> Iterator[tuple[str, Location, str, bool]]:
    """Each place of a command: its name, where it stands, the remedy, whether it is Windows'."""
    by_hand = "write [sh, -c, '…'] around it"
    script = "write cmd /c before it" if on_windows else "write `script` in place of `command`"
    for stage in stages:
        title = f"{stage.title}: " if stage.title else ""
        yield f"{title}command", stage.place("command"), script, on_windows
        coordination = stage.place("multi_instance", "coordination")
        yield f"{title}coordination", coordination, by_hand, on_windows
        yield f"{title}build", stage.place("program", "build", "command"), by_hand, False
    for key in ("preparation", "release"):
        yield key, (key,), f"write {key}: {{script: …}}", on_windows
        yield key, (key, "command"), script, on_windows
    for key in ("merge", "check"):
        yield key, (key,), by_hand, False


def _written(workload: LoadedWorkload, location: Location) -> str | None:
    """The text at a place of the file, if it is one."""
    value: Any = workload.document.values
    for part in location:
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value if isinstance(value, str) else None


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
