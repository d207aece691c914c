"""The tokenizer: one pass, one regular expression, no text is refused without a reason.

What is not a token becomes a problem with advice, and the pass goes on behind it, so that
one look at the findings shows all of them. Numbers have no sign and no exponent, strings
have no escapes, comments run to the end of their line (language reference, section 1).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum, auto

from autoscale.errors import Problem
from autoscale.source import Span, printable, quoted


class Kind(Enum):
    """What a token is."""

    NUMBER = auto()
    STRING = auto()
    NAME = auto()
    OPERATOR = auto()
    STRANGE = auto()  # has its problem already
    END = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token and where it stands; `text` of a string is without its quotes."""

    kind: Kind
    text: str
    span: Span


_TOKEN = re.compile(
    r"""
      (?P<blank>    [\ \t\r\n]+ | //[^\r\n]* )
    | (?P<comment>  /\* )
    | (?P<number>   (?: [0-9]+ (?: \.[0-9]* )? | \.[0-9]+ ) )
    | (?P<name>     \$?[A-Za-z_][A-Za-z0-9_]* )
    | (?P<operator> && | \|\| | [=!<>]= | [-+*/<>!?:=.,;()] )
    | "(?P<string>  [^"\\\r\n]* )"
    | (?P<template> <%[^\r\n%]*%> | \$?\{{1,3} [^{}\r\n]* \}{1,3} )
    | (?P<quote>    "[^\r\n]* | '[^'\r\n]*' )
    """,
    re.VERBOSE,
)
_NUMBER_TAIL = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")

_ADVICE = {
    "%": "a - b * floor(a / b): there is no remainder",
    "^": "a multiplication: there is no power",
    "&": "'&&'",
    "|": "'||'",
    "\\": 'a plain quote: strings have no escapes, write time("...")',
    "#": "'//' for a comment",
    "[": "the values as arguments, as in max(1, 2): there are no vector literals",
    "{": "a name or number",
    "'": "double quotes",
    "\N{LEFT DOUBLE QUOTATION MARK}": "a plain double quote",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "a plain double quote",
    "\N{EN DASH}": "'-'",
    "\N{EM DASH}": "'-'",
    "\N{MINUS SIGN}": "'-'",
    "\N{MULTIPLICATION SIGN}": "'*'",
    "\N{LESS-THAN OR EQUAL TO}": "'<='",
    "\N{GREATER-THAN OR EQUAL TO}": "'>='",
    "\N{NOT EQUAL TO}": "'!='",
    "\N{NO-BREAK SPACE}": "a plain blank",
    "\N{ZERO WIDTH NO-BREAK SPACE}": "the file saved without a byte order mark",
}
_LIKE_BLANKS = {"\N{NO-BREAK SPACE}", "\N{ZERO WIDTH NO-BREAK SPACE}"}


def tokenize(text: str) -> tuple[list[Token], list[Problem]]:  # noqa: C901 - a case a group
    """The tokens of a text, with an END behind the last, and what is not a token."""
    tokens: list[Token] = []
    problems: list[Problem] = []
    offset = 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            problems.append(_strange(text, offset))
            if text[offset] not in _LIKE_BLANKS:
                tokens.append(_token(Kind.STRANGE, text[offset], offset, offset + 1))
            offset += 1
            continue
        group, end = match.lastgroup, match.end()
        if group == "number":
            tail = _NUMBER_TAIL.match(text, end)
            if tail:
                end = tail.end()
                problems.append(_bad_number(text, Span(start=offset, end=end)))
            tokens.append(_token(Kind.NUMBER, match.group(), offset, end))
        elif group == "name":
            tokens.append(_token(Kind.NAME, match.group(), offset, end))
        elif group == "operator":
            tokens.append(_token(Kind.OPERATOR, match.group(), offset, end))
        elif group == "string":
            tokens.append(_token(Kind.STRING, match.group("string"), offset, end))
        elif group == "template":
            problems.append(_template(text, Span(start=offset, end=end)))
            tokens.append(_token(Kind.NUMBER, "0", offset, end))
        elif group == "comment":
            close = text.find("*/", end)
            end = close + 2 if close >= 0 else len(text)
            problems.append(_block_comment(Span(start=offset, end=offset + 2)))
        elif group == "quote":
            problems.append(_bad_string(text, Span(start=offset, end=end)))
            tokens.append(_token(Kind.STRING, "", offset, end))
        offset = end
    tokens.append(_token(Kind.END, "", len(text), len(text)))
    return tokens, problems


def _token(kind: Kind, text: str, start: int, end: int) -> Token:
    return Token(kind=kind, text=text, span=Span(start=start, end=end))


def _strange(text: str, offset: int) -> Problem:
    character = text[offset]
    if character.isascii() and character.isprintable():
        name = f"character '{character}'"
    else:
        name = f"character U+{ord(character):04X} ({unicodedata.name(character, 'no name')})"
    if character == "$":
        advice: str | None = "a name behind '$'"
    else:
        advice = _ADVICE.get(character)
    return Problem(
        rule="AS001",
        span=Span(start=offset, end=offset + 1),
        message=f"{name} is not part of the language",
        expected=advice,
    )


def _bad_number(text: str, span: Span) -> Problem:
    return Problem(
        rule="AS001",
        span=span,
        message=f"{quoted(text[span.start : span.end])} is not a number",
        expected="digits with at most one point; there are no exponents and no hexadecimals",
    )


def _template(text: str, span: Span) -> Problem:
    return Problem(
        rule="AS002",
        span=span,
        message=f"{quoted(text[span.start : span.end])} is a placeholder that nobody replaced",
        expected="the text after the template was rendered",
    )


def _block_comment(span: Span) -> Problem:
    return Problem(
        rule="AS001",
        span=span,
        message="'/*' does not begin a comment",
        expected="'//', which comments to the end of the line",
    )


def _bad_string(text: str, span: Span) -> Problem:
    piece = text[span.start : span.end]
    if piece.startswith("'"):
        message, expected = "strings stand in double quotes", f'"{printable(piece[1:-1])}"'
    elif "\\" in piece:
        message, expected = "a string has no escapes", "the string without backslashes"
    else:
        message, expected = "the string does not end on its line", "a closing double quote"
    return Problem(rule="AS001", span=span, message=message, expected=expected)
