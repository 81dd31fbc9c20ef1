"""Ports that are listed twice, and those whose number is only implied."""

from __future__ import annotations

import pytest

from bayplan.spec import load_app, local_fleet
from bayplan.spec.model import App
from bayplan.spec.render import render


def read(folder, text: str) -> tuple[App, list[str]]:
    """The app, and what is warned of: `line: what | what to do`."""
    warned: list[str] = []
    path = folder.write("compose.yaml", text)
    app = load_app(
        [path],
        project=None,
        environment={},
        fleet=local_fleet({}),
        warn=lambda w: warned.append(f"{w.line}: {w.what}" + (f" | {w.todo}" if w.todo else "")),
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


def test_a_port_that_a_later_file_was_to_change_is_told_how(folder) -> None:
    over = 'ports:\n  - "81:82"'
    [told] = folder.mistakes(lambda: folder.web('ports: ["81:80"]', over))
    assert told == (
        "4: services.web: port 81 is listed twice | files add up their ports: "
        "in 1.yaml, ports: !override [...] takes the place of those in compose.yaml"
    )
    web = folder.web('ports: ["81:80"]', over.replace("ports:", "ports: !override"))
    assert [(port.published, port.target) for port in web.ports] == [(81, 82)]


def two(first: str, second: str) -> str:
    return f"services:\n  a:\n    image: x\n    ports: [{first}]\n  b:\n    image: x\n    ports: [{second}]\n"


@pytest.mark.parametrize(
    ("first", "second", "left", "line", "what"),
    [
        ('"9200"', '"9200"', {"a": ["9200:9200/tcp"], "b": []}, 7, "services.b: port 9200 is a's already"),
        ('"9200"', '"9200:80"', {"a": [], "b": ["9200:80/tcp"]}, 4, "services.a: port 9200 is b's already"),
        ('"80"', '"80"', {"a": ["80:80/tcp"], "b": []}, 7, "services.b: port 80 is a's already"),
        ('"53/udp"', '"53/udp"', {"a": ["53:53/udp"], "b": []}, 7, "services.b: port 53 is a's already"),
        ('"81:80", "81"', "82", {"a": ["81:80/tcp"], "b": ["82:82/tcp"]}, 4, "services.a: port 81 is listed here already"),
        ('"9200-9201"', '"9201"', {"a": ["9200:9200/tcp", "9201:9201/tcp"], "b": []}, 7, "services.b: port 9201 is a's already"),
    ],
)  # fmt: skip
def test_a_number_that_is_only_implied_gives_way(
    folder, first: str, second: str, left: dict[str, list[str]], line: int, what: str
) -> None:
    """Compose would take any free port for it; other services find it by its name all the same."""
    app, warned = read(folder, two(first, second))
    assert published(app) == left
    number = what.split(" port ")[1].split(maxsplit=1)[0]
    target = f"{number}/udp" if "udp" in first else number
    [told] = warned
    assert told == (
        f"{line}: {what}, and is not published for this one: "
        f'write "HOSTPORT:{target}" to publish it, or expose: ["{target}"] if only other services reach it'
    )
    loser = what.removeprefix("services.")[0]
    assert [str(e.port) for e in app.services[loser].expose] == [number]
    text = render(app)
    assert (render(read(folder, text)[0]), read(folder, text)[1]) == (text, [])


def test_a_number_that_is_implied_and_free_is_published(folder) -> None:
    app, warned = read(folder, two('"9200", "127.0.0.1:80:80"', '"9201", "9200/udp"'))
    assert published(app) == {"a": ["9200:9200/tcp", "80:80/tcp"], "b": ["9201:9201/tcp", "9200:9200/udp"]}
    assert warned == []


def test_numbers_that_are_written_clash_still(folder) -> None:
    assert folder.mistakes(lambda: read(folder, two('"9200:1"', '"9200:2"'))) == [
        "7: services.b: port 9200 is a's too | publish another port"
    ]


def test_a_listener_that_is_shared_by_host_name_or_path_is_not_given_up(folder) -> None:
    text = two('"80"', '"80"') + "    x-bayplan: {http: {path: /b}}\n"
    app, warned = read(folder, text)
    assert (published(app), warned) == ({"a": ["80:80/tcp"], "b": ["80:80/tcp"]}, [])
    app, warned = read(folder, text.replace("/b", "/"))
    assert published(app) == {"a": [], "b": ["80:80/tcp"]}
    both = text.replace("/b", "/").replace("  b:\n", "    x-bayplan: {http: {path: /}}\n  b:\n")
    assert folder.mistakes(lambda: read(folder, both)) == [
        (
            "8: services.b: port 80 is a's too, for the same requests | "
            "tell them apart with x-bayplan: {http: {host: NAME, path: /PATH}}"
        )
    ]
