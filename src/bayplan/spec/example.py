"""What projects publish in the place of a file that each operator writes: `.env.example` for `.env`."""

from __future__ import annotations

import re
from pathlib import Path

_WORDS = re.compile(r"(?<![a-z])(?:examples?|samples?|dist|templates?|tmpl|tpl|defaults?)(?![a-z])", re.IGNORECASE)
_SEPARATORS = re.compile(r"[._-]+")


def example_of(path: Path) -> Path | None:
    """The example beside a file that is not there, if there is one; of `.env.production` that of `.env` will do."""
    examples = sorted(_files_named_examples(path.parent))
    wanted = [_stem(path.name), *(["env"] if path.name.startswith(".env") else [])]
    return next((example for stem in wanted for example in examples if _stem(example.name) == stem), None)


def _files_named_examples(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if _WORDS.search(path.name) and path.is_file()]
    except (OSError, ValueError):  # there is no such folder, or it cannot be looked into
        return []


def _stem(name: str) -> str:
    """A name without what says that it is an example."""
    return _SEPARATORS.sub(".", _WORDS.sub(".", name)).strip(".")
