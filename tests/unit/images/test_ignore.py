""".dockerignore, by the examples of its documentation and of moby/patternmatcher's own tests."""

from __future__ import annotations

import pytest

from bayplan.images.ignore import read_ignore


@pytest.mark.parametrize(
    ("lines", "path", "ignored"),
    [
        ("*/temp*", "somedir/temporary.txt", True),
        ("*/temp*", "temporary.txt", False),
        ("*/*/temp*", "somedir/subdir/temporary.txt", True),
        ("temp?", "tempa", True),
        ("temp?", "temp", False),
        ("temp?", "tempab", False),
        ("*.md\n!README.md", "README.md", False),
        ("*.md\n!README.md", "CHANGES.md", True),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
        ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", False),
        ("**/*.go", "a/b/c.go", True),
        ("**/*.go", "c.go", True),
        ("**", "anything/at/all", True),
        ("a/**", "a/b/c", True),
        ("a/**", "a", False),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/b/c", True),
        ("a**b", "ab", True),
        ("a**b", "ax/b", True),
        ("a**b", "axb", False),
        ("x/**b", "x/ab", False),
        ("x/**b", "x/a/b", True),
        ("**b", "ab", True),
        ("**b", "a/xb", True),
        ("**b?", "abc", False),
        ("**b?", "a/bc", True),
        ("a**", "abc/d", True),
        ("a*b**", "axb/c", True),
        ("node_modules", "node_modules/x/y", True),
        ("node_modules", "web/node_modules/x", False),
        ("/from-root", "from-root", True),
        ("./dir/../dir2/", "dir2/file", True),
        ("# comment", "# comment", False),
        ("  spaced  ", "spaced", True),
        ("! spaced", "spaced", False),
        ("*\n!src/keep", "src/keep/deep", False),
        ("*\n!src/keep", "src/other", True),
        ("[a-c]x", "bx", True),
        ("[^a]x", "ax", False),
        (r"\*x", "*x", True),
        (r"\*x", "ax", False),
        ("a.b", "aXb", False),
        ("a$b(c)+", "a$b(c)+", True),
        ("\ufefffirst", "first", True),
        (".", "x", False),
        ("", "x", False),
        ("é", "é", True),
        ("*", "a\nb", True),
    ],
)
def test_matches(lines: str, path: str, ignored: bool) -> None:
    assert read_ignore(lines).matches(path) is ignored


def test_a_pattern_that_is_none_names_its_line() -> None:
    with pytest.raises(ValueError, match=r"line 2: '\[a'"):
        read_ignore("fine\n[a\n")
