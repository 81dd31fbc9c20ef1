"""`${VARIABLE}` in values, as in the Compose Specification, "Interpolation"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Node

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_BRACE = re.compile(r"\$\$|\$?\{|\}")
_DEEPEST = 50  # of defaults in defaults, which are gone through by recursion

SET = "set it in the environment or in .env"

Tell = Callable[[str, str], None]  # what, what to do


@dataclass(frozen=True, slots=True)
class Told:
    """To whom is told what is wrong, and what may be meant: a variable that is not set is empty. todo: to set one."""

    wrong: Tell
    unset: Tell = lambda *_: None
    todo: str = SET


def substitute(text: str, variables: Mapping[str, str], told: Told) -> str:
    """The text with its variables replaced. Each thing wrong with it is told."""
    if _depth(text) > _DEEPEST:
        told.wrong("variables stand too deep in each other's defaults", "is it a Compose file?")
        return ""
    return _substitute(text, variables, told)


def _depth(text: str) -> int:
    """How deep braces stand in each other, at most, from a `${` on."""
    depth = most = 0
    for found in _BRACE.finditer(text):
        step = {"${": 1, "{": 1 if depth else 0, "}": -1, "$$": 0}[found[0]]
        depth = max(depth + step, 0)
        most = max(most, depth)
    return most


def _substitute(text: str, variables: Mapping[str, str], told: Told) -> str:
    done: list[str] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        done.append(text[at:dollar])
        value, at = _expression(text, dollar + 1, variables, told)
        done.append(value)
    return "".join(done) + text[at:]


def _expression(text: str, at: int, variables: Mapping[str, str], told: Told) -> tuple[str, int]:
    """What stands after a dollar sign at `at`: its value, and where the text goes on.

    A lone dollar sign is one, as in docker compose (compose-go's `template`, docker/compose#12287): shells, prices and
    regular expressions are full of them.
    """
    if text.startswith("$", at):
        return "$", at + 1
    if text.startswith("{", at):
        end = _closing(text, at + 1)
        if end < 0:
            told.wrong(f"${{ is never closed in {text!r}", "close it with }, or write $$ for a dollar sign")
            return "", len(text)
        return _braced(text[at + 1 : end], variables, told), end + 1
    if name := _NAME.match(text, at):
        return _bare(name[0], variables, told), name.end()
    return "$", at


def _closing(text: str, at: int) -> int:
    """Where the brace closes that opened before `at`, or -1.

    A default may be JSON, whose braces pair (compose-go's `getFirstBraceClosingIndex`); where they do not, only those
    of variables count.
    """
    end = _paired(text, at, "{")
    return end if end >= 0 else _paired(text, at, "${")


def _paired(text: str, at: int, opening: str) -> int:
    depth = 1
    while at < len(text):
        if text.startswith(opening, at):
            depth, at = depth + 1, at + len(opening) - 1
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at
        at += 1
    return -1


def _bare(name: str, variables: Mapping[str, str], told: Told) -> str:
    if name not in variables:
        told.unset(
            f"the variable {name} is not set: it is empty here",
            f"{told.todo}, or give it a default: ${{{name}:-value}}",
        )
    return variables.get(name, "")


def _braced(inner: str, variables: Mapping[str, str], told: Told) -> str:
    match = _NAME.match(inner)
    name, rest = (match[0], inner[match.end() :]) if match else ("", inner)
    operator = _OPERATOR.match(rest)
    if not name or (rest and not operator):
        told.wrong(f"${{{inner}}} is not a variable", "write ${NAME} or ${NAME:-default}, or $$ for a dollar sign")
        return ""
    if not operator:
        return _bare(name, variables, told)
    return _operate(name, operator[0], rest[operator.end() :], variables, told)


def _operate(name: str, operator: str, word: str, variables: Mapping[str, str], told: Told) -> str:
    """`:` counts an empty value as unset. -: default, ?: must be set, +: the word if it is set."""
    there = bool(variables.get(name)) if operator[0] == ":" else name in variables
    if operator[-1] == "+":
        return _substitute(word, variables, told) if there else ""
    if there:
        return variables[name]
    if operator[-1] == "-":
        return _substitute(word, variables, told)
    said = _substitute(word, variables, told)
    state = "is empty" if name in variables else "is not set"
    told.wrong(f"the variable {name} {state}" + (f": {said}" if said else ""), told.todo)
    return ""


def interpolate(node: Node, variables: Mapping[str, str], mistakes: Mistakes, todo: str = SET) -> Node:
    """The tree with the variables of its values replaced. Others' `x-*` keys are left alone, and so are keys.

    todo: to set one that is not.
    """
    value = node.value
    if isinstance(value, str):
        return _text(node, value, variables, mistakes, todo) if "$" in value else node
    if isinstance(value, list):
        return replace(node, value=[interpolate(item, variables, mistakes, todo) for item in value])
    if isinstance(value, dict):
        kept = {
            key: child if _ignored(key) else interpolate(child, variables, mistakes, todo)
            for key, child in value.items()
        }
        return replace(node, value=kept)
    return node


def _ignored(key: str) -> bool:
    return key.startswith("x-") and key != "x-bayplan"


def _text(node: Node, text: str, variables: Mapping[str, str], mistakes: Mistakes, to_set: str) -> Node:
    found: list[tuple[str, str]] = []
    told = Told(
        wrong=lambda what, todo: found.append((what, todo)),
        unset=lambda what, todo: mistakes.warn(what, node.place, todo),
        todo=to_set,
    )
    value = substitute(text, variables, told)
    for what, todo in found:
        mistakes.add(what, node.place, todo)
    return replace(node, value=value, broken=bool(found))
