"""Text with `{placeholders}`: command arguments, environment, file names.

A placeholder is `{name}` or `{name:format}`, where the format is Python's own for the
value's type (`{index:04d}`, `{x:.3f}`). `{{` and `}}` are literal braces, and `${name}`
is left alone, so that shell text can use its own variables. Nothing else is looked up:
no attributes, no indexing, no calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Scalar = bool | int | float | str

_PIECE = re.compile(
    r"(?P<shell>\$\{[^}]*\})|(?P<open>\{\{)|(?P<close>\}\})"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<format>[^{}]{0,32}))?\}"
    r"|(?P<stray>[{}])"
)
_FORMAT = re.compile(
    r"[^{}]?[<>=^]?[-+ ]?#?0?(?P<width>\d*)[,_]?(?:\.(?P<precision>\d+))?[a-zA-Z%]?"
)
_WIDEST = 999


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A `{name:format}` in a template."""

    name: str
    format: str


@dataclass(frozen=True, slots=True)
class Template:
    """Parsed text: literals and placeholders in order."""

    source: str
    pieces: tuple[str | Placeholder, ...]

    @property
    def constant(self) -> bool:
        """Whether it has no placeholder."""
        return not any(isinstance(piece, Placeholder) for piece in self.pieces)

    @property
    def names(self) -> frozenset[str]:
        """The placeholders' names."""
        return frozenset(piece.name for piece in self.pieces if isinstance(piece, Placeholder))

    def render(self, values: Mapping[str, Scalar], quote: Callable[[str], str] = str) -> str:
        """The text with each placeholder's value, each passed through `quote`.

        Raises:
            ValueError: A value does not fit its placeholder's format.
            KeyError: A placeholder has no value.
        """
        if len(self.pieces) == 1 and isinstance(only := self.pieces[0], str):
            return only
        return "".join(
            [
                piece if isinstance(piece, str) else quote(_formatted(values[piece.name], piece))
                for piece in self.pieces
            ]
        )


def parse_template(text: str, *, shell_text: bool = False) -> Template:
    """Parses text.

    Args:
        text: Text with placeholders.
        shell_text: Whether it is a shell's: then braces that are no placeholder are the
            shell's own (functions, groups, `awk '{print $1}'`), doubled ones too.

    Raises:
        ValueError: A brace stands alone, or a format is none.
    """
    pieces: list[str | Placeholder] = []
    literal = ""
    at = 0
    for match in _PIECE.finditer(text):
        literal += text[at : match.start()]
        at = match.end()
        if match["name"] is not None:
            spec = match["format"] or ""
            _check_format(spec, match[0])
            if literal:
                pieces.append(literal)
            pieces.append(Placeholder(match["name"], spec))
            literal = ""
        elif match["stray"] and not shell_text:
            raise ValueError(
                f"stray {match['stray']!r} in {text!r}: a placeholder is {{name}}, "
                "a literal brace is written twice"
            )
        else:
            literal += match[0] if shell_text or match["shell"] else match[0][0]
    literal += text[at:]
    if literal:
        pieces.append(literal)
    return Template(text, tuple(pieces))


def shown_value(value: Scalar) -> str:
    """A value as text: `true` and `false` as YAML writes them, numbers as Python does."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _formatted(value: Scalar, piece: Placeholder) -> str:
    if not piece.format:
        return shown_value(value)
    try:
        return format(value, piece.format)
    except ValueError as error:
        raise ValueError(
            f"{{{piece.name}:{piece.format}}} cannot show {value!r}: {error}"
        ) from error


def _check_format(spec: str, written: str) -> None:
    match = _FORMAT.fullmatch(spec)
    if match is None:
        raise ValueError(f"{written} has no format of Python's: {spec!r}")
    if any(int(match[part] or 0) > _WIDEST for part in ("width", "precision")):
        raise ValueError(f"{written} is wider than {_WIDEST}")
