"""A command that is one text, as the words that docker compose makes of it.

No shell reads it: what docker compose's splitter (mattn/go-shellwords) says is meant. Unlike in a shell, a backslash
takes the meaning of whatever follows it also within double quotes, what is between back quotes or in `$( )` stays one
word, and the command ends where a shell would pipe, redirect or begin another one.
"""

from __future__ import annotations

from typing import Final

_SPACES: Final = " \t\r\n"
_ENDS: Final = ";&|<>"
_CLOSES: Final = {"'": "'", '"': '"', "`": "`", "(": ")"}
_KEPT: Final = "`)"  # these quotes are part of the word


def split(text: str) -> tuple[list[str], str]:
    """The words, and what stands behind the command and is none of it. Raises ValueError."""
    words: list[str] = []
    word: str | None = None  # None: between words; one of quotes alone is empty
    closing = ""
    read = iter(enumerate(text))
    for at, character in read:
        kept = character
        if character == "\\" and closing != "'":
            _, kept = next(read, (0, ""))
            if not kept:
                raise ValueError("a backslash at the end has nothing to stand before")
        elif closing:
            if character == closing:
                kept, closing = character if closing in _KEPT else "", ""
        elif character in _SPACES:
            words, word = (words if word is None else [*words, word]), None
            continue
        elif character in _ENDS:
            is_number = character == ">" and word is not None and word[:1].isdecimal()  # of 2>
            return words if word is None or is_number else [*words, word], text[at:].strip()
        elif character in _CLOSES and (character != "(" or (word or "").endswith("$")):
            closing = _CLOSES[character]
            kept = character if closing in _KEPT else ""
        word = (word or "") + kept
    if closing:
        raise ValueError(f"there is no closing {closing}")
    return words if word is None else [*words, word], ""
