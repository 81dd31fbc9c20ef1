"""YAML as Compose reads it, and texts that no reader should fall over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayplan.spec.document import documents_of
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import plain, written
from bayplan.spec.yaml_writing import write


def read(text: str):
    mistakes = Mistakes()
    root = next(iter(documents_of(text, "f", mistakes)), None)
    return (plain(root) if root else None), mistakes


# Go's yaml.v3, which Compose reads files with: YAML 1.2 and the octals of 1.1.
@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("true", True), ("FALSE", False), ("tRue", "tRue"),
        ("0440", 0o440), ("0o440", 0o440), ("0x1F", 31), ("0b11", 3), ("1_000", 1000), ("+5", 5), ("-5", -5),
        ("08", 8.0), ("22:22", "22:22"), ("1.10", 1.1), (".5", 0.5), ("1e3", 1000.0), ("1.2.3", "1.2.3"),
        ("~", None), ("", None), ("null", None), ("'null'", "null"), ('"5"', "5"), ("!!str 5", "5"),
        ("2001-01-01", "2001-01-01"), ("-", "-"), ("=", "="),
    ],
)  # fmt: skip
def test_scalars(scalar: str, value: object) -> None:
    if scalar == "-":
        scalar = "'-'"
    found, mistakes = read(f"a: {scalar}\n")
    assert (found["a"], len(mistakes)) == (value, 0)
    assert type(found["a"]).__bases__[0] is type(value) or type(found["a"]) is type(value)


def test_numbers_are_kept_as_written() -> None:
    found, _ = read("a: 0440\nb: 1.10\nc: 1_000\n")
    assert [written(v) for v in found.values()] == ["0440", "1.10", "1_000"]


def test_a_value_of_a_megabyte() -> None:
    big = "x" * (1 << 20)
    found, mistakes = read(f"a: {big}\nb: |\n  {big}\nc: '{big}'\n")
    assert (found["a"], found["b"], found["c"], len(mistakes)) == (big, f"{big}\n", big, 0)


def test_windows_line_ends_are_one_line_each() -> None:
    found, mistakes = read("\ufeffa: 1\r\nb: |\r\n  one\r\n  two\r\nc: [1\r\n")
    assert found is None
    assert [m.line for m in mistakes._found] == [5]
    assert read("a: |\r\n  one\r\n  two\r\n")[0] == {"a": "one\ntwo\n"}


@pytest.mark.parametrize("key", ["<<", "!!merge <<", "!<tag:yaml.org,2002:merge> <<"])
def test_a_merge_key_may_carry_its_tag(key: str) -> None:
    found, mistakes = read(f"base: &base {{a: 1, b: 2}}\nover:\n  {key}: *base\n  b: 3\n")
    assert (found["over"], len(mistakes)) == ({"b": 3, "a": 1}, 0)


@pytest.mark.parametrize("key", ["'<<'", "!!str <<"])
def test_a_merge_key_that_says_it_is_a_text_is_one(key: str) -> None:
    found, _ = read(f"base: &base {{a: 1}}\nover:\n  {key}: *base\n")
    assert found["over"] == {"<<": {"a": 1}}


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "a: " + "{a: " * 50_000, "? " * 100_000])
def test_depth_is_refused_and_breaks_nothing(text: str) -> None:
    found, mistakes = read(text)
    assert found is None
    assert "too deep" in mistakes._found[0].what or "not YAML" in mistakes._found[0].what


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`\t\n ,?\\~<0.=\ufeff\u2028é", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    found, mistakes = read(text)
    assert found is not None or len(mistakes)


@given(
    st.dictionaries(
        st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1),
        st.recursive(
            st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufeff\ufffe\uffff")),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
        min_size=1,
    )
)
def test_what_is_written_is_read_as_the_same(value: dict) -> None:
    value = {key.replace("\ufeff", "x").replace("\ufffe", "x").replace("\uffff", "x"): v for key, v in value.items()}
    assert read(write(value))[0] == value
