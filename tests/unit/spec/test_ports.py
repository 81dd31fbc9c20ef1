"""Ports that are listed twice, and those whose number is only implied."""

from __future__ import annotations

import pytest

from bayplan.spec import load_app, local_fleet
from bayplan.spec.model import App


def read(folder, text: str) -> tuple[App, list[str]]:
    """The app, and what is warned of: `line: what | what to do`."""
    warned: list[str] = []
    path = folder.write("compose.yaml", text)
    app = load_app(
        [path],
        project=None,
        environment={},
        fleet=local_fleet({}),
        warn=lambda w: warned.append(f"{w.line}: {w.what} | {w.todo}"),
    )
    return app, warned


def published(app: App) -> dict[str, list[str]]:
    return {name: [f"{p.published}:{p.target}/{p.protocol}" for p in s.ports] for name, s in app.services.items()}


@pytest.mark.parametrize("again", ['"81:80"', "{target: 80, published: 81}", '"0.0.0.0:81:80/tcp"'])
def test_a_port_that_is_listed_twice_is_one(folder, again: str) -> None:
    text = f'services:\n  web:\n    image: x\n    ports:\n      - "81:80"\n      - "82:80"\n      - {again}\n'
    app, warned = read(folder, text)
    assert published(app) == {"web": ["81:80/tcp", "82:80/tcp"]}
    assert warned == ["7: services.web: port 81 is listed twice | remove one"]


def test_two_ports_of_a_container_at_one_number_are_a_mistake_still(folder) -> None:
    text = 'services:\n  web:\n    image: x\n    ports:\n      - "81:80"\n      - "81:82"\n'
    assert folder.mistakes(lambda: read(folder, text)) == ["6: services.web: port 81 is listed twice | remove one"]
