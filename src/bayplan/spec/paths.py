"""Relative paths of a tree that was read elsewhere, made to start from the project's directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bayplan.spec.mount_syntax import binds
from bayplan.spec.node import Node

Change = Callable[[str], str]


def relocated(root: Node, directory: Path, project: Path) -> Node:
    """The tree, its paths relative to `project` where they were relative to `directory`."""
    if directory == project:
        return root

    def move(path: str) -> str:
        if path.startswith(("/", "~", "git@")) or "://" in path:
            return path
        moved = os.path.relpath(directory / path, project)
        return moved if moved.startswith(".") else f"./{moved}"

    root = _in(root, ("services", "*"), lambda service: _service(service, move))
    for top in ("secrets", "configs"):
        root = _in(root, (top, "*", "file"), lambda node: _text(node, move))
    return _in(root, ("volumes", "*", "driver_opts"), lambda node: _device(node, move))


def _service(service: Node, move: Change) -> Node:
    service = _in(service, ("build",), lambda node: _text(node, move))
    service = _in(service, ("build", "context"), lambda node: _text(node, move))
    service = _in(service, ("build", "additional_contexts", "*"), lambda node: _text(node, _if_dotted(move)))
    for key in ("env_file", "label_file"):
        service = _in(service, (key,), lambda node: _text(node, move))
        service = _in(service, (key, "*"), lambda node: _text(node, move))
        service = _in(service, (key, "*", "path"), lambda node: _text(node, move))
    ca = ("x-bayplan", "external", "tls", "ca")
    service = _in(service, ca, lambda node: _text(node, lambda text: text if "\n" in text else move(text)))
    service = _in(service, ("security_opt", "*"), lambda node: _text(node, lambda text: _after("seccomp", text, move)))
    return _in(service, ("volumes", "*"), lambda node: _mount(node, move))


def _mount(node: Node, move: Change) -> Node:
    if isinstance(node.value, str):
        source, sign, rest = node.value.partition(":")
        return replace(node, value=_if_dotted(move)(source) + sign + rest) if sign else node
    is_bind = isinstance(node.value, dict) and "type" in node.value and node.value["type"].value == "bind"
    return _in(node, ("source",), lambda source: _text(source, move)) if is_bind else node


def _device(options: Node, move: Change) -> Node:
    """Of `driver_opts`: without a bind, it may be what another file system names so."""
    given = {key: str(node.value) for key, node in options.value.items()} if isinstance(options.value, dict) else {}
    how = move if binds(None, given) else _if_dotted(move)
    return _in(options, ("device",), lambda device: _text(device, how))


def _if_dotted(move: Change) -> Change:
    return lambda path: move(path) if path.startswith(".") else path


def _after(prefix: str, text: str, move: Change) -> str:
    """Of `seccomp:FILE`."""
    key, sign, path = text.replace("=", ":", 1).partition(":")
    return f"{key}:{_if_dotted(move)(path)}" if sign and key == prefix else text


def _text(node: Node, change: Change) -> Node:
    return replace(node, value=change(node.value)) if isinstance(node.value, str) else node


def _in(node: Node, path: tuple[str, ...], change: Callable[[Node], Node]) -> Node:
    """The tree with the nodes at a path changed; * is every entry of a map or a list."""
    if not path:
        return change(node)
    head, *rest = path
    value = node.value
    if isinstance(value, list) and head == "*":
        return replace(node, value=[_in(item, tuple(rest), change) for item in value])
    if isinstance(value, dict):
        return replace(
            node, value={k: _in(v, tuple(rest), change) if head in {k, "*"} else v for k, v in value.items()}
        )
    return node
