from __future__ import annotations

import pytest

from bayplan.spec.dotenv import raw_variables, read_dotenv
from bayplan.spec.mistakes import Mistakes


def read(text: str, **environment: str) -> dict[str, str]:
    mistakes = Mistakes()
    found = read_dotenv(text, ".env", environment, mistakes)
    mistakes.raise_any()
    return found


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("A = b ", "b"),
        ("export A=b", "b"),
        ("A=", ""),
        ("A=b # why", "b"),
        ("A=b#c", "b#c"),
        ('A="" # why', ""),
        ("A=#fff # why", "#fff"),
        ("A=b\t# c", "b\t# c"),
        ("A='b # c' # why", "b # c"),
        ("A='$B'", "$B"),
        (r"A='it\'s'", "it's"),
        ('A="b c"', "b c"),
        (r'A="b\nc\t\"d\" \\ \$e"', 'b\nc\t"d" \\ $e'),
        ('A="${X:-x}"', "x"),
        ("A=$$5", "$5"),
        ("A=b=c", "b=c"),
        ("A='one\ntwo'", "one\ntwo"),
        ('A="one\n# two"', "one\n# two"),
        ("A: b # why", "b"),
        ("A:b=c", "b=c"),
        ("A=b: c", "b: c"),
        ("export A : 'b'", "b"),
        ('A: "one\ntwo"', "one\ntwo"),
    ],
)
def test_values(line: str, value: str) -> None:
    assert read(f"# comment\n\n{line}\nZ=last\n") == {"A": value, "Z": "last"}


def test_a_comment_in_the_place_of_a_value_is_one_and_that_is_told() -> None:
    """compose-go takes away the spaces after = before it looks for a space and #."""
    mistakes = Mistakes()
    assert read_dotenv("A= # why\nB=#fff\n", ".env", {}, mistakes) == {"A": "# why", "B": "#fff"}
    assert [warning.what for warning in mistakes.warnings] == [
        "A is '# why', as in docker compose: after = there is no comment without a value"
    ]


def test_earlier_variables_and_the_environment_can_be_used() -> None:
    assert read("A=1\nB=$A-$C\n", C="3") == {"A": "1", "B": "1-3"}


def test_a_name_alone_is_the_environments() -> None:
    assert read("A\nB\n", A="1") == {"A": "1"}


def test_windows_files_are_read() -> None:
    assert read("\ufeffA=1\r\nB='2'\r\n") == {"A": "1", "B": "2"}


def test_mistakes_have_lines(folder) -> None:
    assert folder.mistakes(lambda: read("A=1\nnot a variable\nB=${NOT?}\nC='open\n")) == [
        "2: 'not a variable' is not NAME=value | a comment starts with #",
        "3: the variable NOT is not set | set it in the environment or in .env",
        "4: a quote is not closed | quote it all",
    ]


def test_names_are_as_composes_parser_takes_them() -> None:
    assert read("1A=1\nB[0]=2\nC.d-e=3\n") == {"1A": "1", "B[0]": "2", "C.d-e": "3"}


def raw(text: str, **environment: str) -> list[tuple[str, str, int]]:
    mistakes = Mistakes()
    found = raw_variables(text, "x.env", environment, mistakes)
    mistakes.raise_any()
    return [(v.name, v.value, v.place.line) for v in found]


def test_raw_values_are_as_written() -> None:
    assert raw("A='$x'\n# no\n\n  B= b \r\nC=a\x0cb\n") == [("A", "'$x'", 1), ("B", " b ", 4), ("C", "a\x0cb", 5)]


def test_a_raw_name_alone_is_the_environments() -> None:
    assert raw("A\nB\n", A="$x") == [("A", "$x", 1)]


def test_raw_names_have_no_spaces(folder) -> None:
    """As `docker run --env-file` says: a variable named `export C` would be nobody's wish."""
    todo = "format: raw has NAME=value, without export or spaces"
    assert folder.mistakes(lambda: raw("export C=1\nA = b\n=x\n")) == [
        f"1: the name 'export C' has a space | {todo}",
        f"2: the name 'A ' has a space | {todo}",
        "3: '=x' has no name | write NAME=value",
    ]
