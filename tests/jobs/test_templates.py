import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.templates import parse_template


def render(text: str, **values: bool | float | str) -> str:
    return parse_template(text).render(values)


def test_placeholders_take_values_and_formats() -> None:
    assert render("a {x:04d} {y:.2f} {s}", x=7, y=0.126, s="q") == "a 0007 0.13 q"
    assert render("{b}", b=True) == "true"


def test_shell_variables_and_doubled_braces_stay() -> None:
    assert render("${HOME} {{x}} }}") == "${HOME} {x} }"


@given(st.text())
def test_doubled_braces_write_any_text(text: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    if "$" not in text:
        assert render(escaped) == text


@given(st.text())
def test_a_value_is_never_a_template(value: str) -> None:
    assert render("<{v}>", v=value) == f"<{value}>"


@given(st.text())
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        template = parse_template(text)
    except ValueError:
        return
    assert all(name.isidentifier() for name in template.names)


@pytest.mark.parametrize(
    "text",
    ["{", "}", "{a.b}", "{a[0]}", "{0}", "{}", "{a!r}", "{x:>1000}", "{x:.9999f}", "{x:{y}}"],
)
def test_nothing_but_names_and_formats_is_looked_up(text: str) -> None:
    with pytest.raises(ValueError, match=r"stray|wider|format"):
        parse_template(text)


def test_a_format_that_does_not_fit_names_the_placeholder() -> None:
    with pytest.raises(ValueError, match=r"\{x:04d\} cannot show 'a'"):
        render("{x:04d}", x="a")


def test_a_shell_keeps_its_braces() -> None:
    text = "f() { awk '{print $1}' {a,b} ${x:-{{1}} ; }; f {n}"
    assert parse_template(text, shell_text=True).render({"n": 3}) == text.replace("{n}", "3")
