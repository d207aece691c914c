import contextlib
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from jobs.document import MAX_VALUES, parse_document, read_document, written
from jobs.errors import WorkloadError

FILE = Path("job.yaml")

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cn", "Zl", "Zp"]))
)
trees = st.dictionaries(
    st.text("abcxyz_", min_size=1),
    st.recursive(
        scalars,
        lambda inner: st.lists(inner) | st.dictionaries(st.text("klm", min_size=1), inner),
        max_leaves=12,
    ),
)


@given(trees)
def test_what_json_writes_is_read_back(tree: dict[str, object]) -> None:
    assert parse_document(json.dumps(tree, ensure_ascii=False), FILE).values == tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("010", 10),
        ("1e5", 1e5),
        ("0x1F", 31),
        ("0o17", 15),
        ("2026-01-02", "2026-01-02"),
        ("'7'", "7"),
        ("", None),
        ("9" * 60, "9" * 60),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    read = parse_document(f"key: {text}", FILE).values["key"]
    assert read == value
    assert type(read) is type(value)


def test_each_value_knows_its_line() -> None:
    document = parse_document("a: 1\nb:\n  - x\n  - c: 2\n", FILE)
    assert document.lines["a",] == 1
    assert document.lines["b", 1, "c"] == 4
    assert document.finding(("b", 1, "c", "gone"), "what").line == 4


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\na: 2\n", 2, "given twice"),
        ("a: [1,\n", 2, "is not YAML"),
        ("- 1\n", 1, "not a mapping"),
        ("", 1, "not a mapping"),
        ("a: !!binary aGk=\n", 1, "means nothing"),
        ("? [1]\n: 2\n", 1, "a key must be text"),
        ("a: *nowhere\n", 1, "is not YAML"),
        ("a: !!python/name:os.system ''\n", 1, "means nothing"),
        ("a: " + "[" * 100 + "]" * 100, 1, "nested deeper"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_its_line(
    text: str, line: int, what: str
) -> None:
    with pytest.raises(WorkloadError, match=what) as caught:
        parse_document(text, FILE)
    assert caught.value.findings[0].line in {line, None} or text == ""


def test_no_tag_makes_an_object() -> None:
    text = "a: !!python/object/apply:os.system ['x']"
    assert parse_document(text, FILE).values == {"a": ["x"]}


def test_a_bomb_of_aliases_is_refused_before_it_expands() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    with pytest.raises(WorkloadError, match=f"more than {MAX_VALUES} values"):
        parse_document(bomb, FILE)


def test_a_recursive_alias_is_refused() -> None:
    with pytest.raises(WorkloadError):
        parse_document("a: &a [*a]\n", FILE)


def test_aliases_are_values() -> None:
    assert parse_document("a: &x {k: 1}\nb: *x\n", FILE).values == {"a": {"k": 1}, "b": {"k": 1}}


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(WorkloadError):
        assert isinstance(parse_document(text, FILE).values, dict)


def test_the_parser_in_use_is_the_fast_one() -> None:
    assert yaml.__with_libyaml__


def test_a_missing_file_and_one_that_is_no_text_are_told(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match=r"cannot be read: No such file"):
        read_document(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(WorkloadError, match=r"bad\.yaml:2: is not UTF-8"):
        read_document(bad)
    bad.write_bytes(b"#" * (5 << 20))
    with pytest.raises(WorkloadError, match="larger than 4 MiB"):
        read_document(bad)


def test_locations_are_written_as_people_point() -> None:
    assert written(("tasks", 0, "sweep", "x", 2)) == "tasks[0].sweep.x[2]"
    assert not written(())
