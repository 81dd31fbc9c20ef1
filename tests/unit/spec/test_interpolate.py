from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayplan.spec.interpolate import Told, substitute

VARIABLES = {"SET": "value", "EMPTY": "", "OTHER": "o", "_x1": "under"}


def told(text: str) -> tuple[str, list[str]]:
    """The value, and what is wrong with it. What may be meant is told with a question mark before it."""
    problems: list[str] = []
    voice = Told(wrong=lambda what, _: problems.append(what), unset=lambda what, _: problems.append(f"? {what}"))
    return substitute(text, VARIABLES, voice), problems


# The Compose Specification, "Interpolation", each form with a set, an empty and an unset variable.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("$SET", "value"),
        ("${SET}", "value"),
        ("a${SET}b$SET-c", "avaluebvalue-c"),
        ("$_x1", "under"),
        ("$EMPTY", ""),
        ("$$SET $${SET} $$$SET", "$SET ${SET} $value"),
        ("${SET:-d}${EMPTY:-d}${NOT:-d}", "valuedd"),
        ("${SET-d}${EMPTY-d}${NOT-d}", "valued"),
        ("${SET:+a}${EMPTY:+a}${NOT:+a}", "a"),
        ("${SET+a}${EMPTY+a}${NOT+a}", "aa"),
        ("${SET:?e}${SET?e}${EMPTY?e}", "valuevalue"),
        ("${NOT:-}", ""),
        ("${NOT:-${EMPTY:-${OTHER}}}", "o"),
        ("${NOT:-a${SET}b$OTHER}c", "avaluebo" + "c"),
        ("${NOT:-http://x:80/?a=b}", "http://x:80/?a=b"),
        ("${SET:-${NOT}}", "value"),  # a default that is not needed is not looked at
        ("${SET:+${OTHER}}", "o"),
        ("${NOT:-$$}", "$"),
        ("100$ $5 ^a$|b $! $(date) $} $-SET", "100$ $5 ^a$|b $! $(date) $} $-SET"),
        ("$5 for $SET, $$5 for ${SET}", "$5 for value, $5 for value"),
        ("${NOT:-$1}", "$1"),
        ('${NOT:-{"a": {"b": "$OTHER"}}} and ${SET}', '{"a": {"b": "o"}} and value'),  # braces that pair are its own
        ("${NOT:-{{.Node.Hostname}}}${NOT:-{}}", "{{.Node.Hostname}}{}"),
        ("${SET:+{x}}{y}", "{x}{y}"),
        ("${NOT:-{} and {", "{ and {"),  # a brace without another is a character
    ],
)
def test_values(text: str, value: str) -> None:
    assert told(text) == (value, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("$NOT", "? the variable NOT is not set: it is empty here"),
        ("${NOT}", "? the variable NOT is not set: it is empty here"),
        ("${NOT:?say why}", "the variable NOT is not set: say why"),
        ("${EMPTY:?${SET}}", "the variable EMPTY is empty: value"),
        ("${NOT?}", "the variable NOT is not set"),
        ("${EMPTY:-$NOT}", "? the variable NOT is not set: it is empty here"),
        ("${NOT:-" * 900 + "}" * 900, "variables stand too deep in each other's defaults"),
        ("${NOT:-{}" * 900 + "}" * 900, "variables stand too deep in each other's defaults"),
        ("${SET", "${ is never closed in '${SET'"),
        ("${}", "${} is not a variable"),
        ("${1}", "${1} is not a variable"),
        ("${SET!x}", "${SET!x} is not a variable"),
    ],
)
def test_problems(text: str, problem: str) -> None:
    assert told(text)[1] == [problem]


def test_every_problem_of_a_text_is_told() -> None:
    assert len(told("$A ${B} $C")[1]) == 3


@given(st.text())
def test_doubled_dollar_signs_give_any_text_back(text: str) -> None:
    assert told(text.replace("$", "$$")) == (text, [])


@given(st.text(alphabet="${}:-+?AB "))
def test_no_text_breaks_it(text: str) -> None:
    value, problems = told(text)
    assert problems or isinstance(value, str)


@given(st.text().filter(lambda t: "$" not in t and "}" not in t))
def test_a_default_is_what_it_says(default: str) -> None:
    assert told(f"${{NOT:-{default}}}") == (default, [])
