"""Files that bring others in: include, extends, profiles, and how forms merge."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from bayplan.spec import load_app, local_fleet
from bayplan.spec.model import App
from bayplan.spec.render import resolved


def test_include_has_its_own_folder_and_variables(folder) -> None:
    folder.write(
        "db/compose.yaml",
        "services: {db: {image: 'x:$TAG', env_file: db.env, volumes: ['data:/d', './c:/c']}}\nvolumes: {data: }\n",
    )
    folder.write("db/.env", "TAG=1\nOURS=no\n")
    folder.write("db/db.env", "A=$OURS\n")
    folder.environment = {"OURS": "yes"}
    app = _read(folder, "include: [db/compose.yaml]\nservices: {web: {image: x, depends_on: [db]}}")
    db = app.services["db"]
    assert (db.image, db.environment) == ("x:1", {"A": "yes"})
    assert [m.source for m in db.mounts] == ["data", str(folder.path / "db" / "c")]
    assert set(app.volumes) == {"data"}


def test_include_long_form_merges_its_paths(folder) -> None:
    folder.write("db/one.yaml", "services: {db: {image: 'x:$TAG', user: a}}\n")
    folder.write("db/two.yaml", "services: {db: {user: b}}\n")
    folder.write("some.env", "TAG=2\n")
    text = "include: [{path: [db/one.yaml, db/two.yaml], project_directory: ., env_file: some.env}]\nservices: {}\n"
    db = _read(folder, text).services["db"]
    assert (db.image, db.user) == ("x:2", "b")


def test_documents_of_a_file_are_laid_over_each_other(folder) -> None:
    """As docker compose does (compose-go's `loadYamlFile`); what is nothing but a line of dashes is none."""
    folder.write("db.yaml", "services: {db: {image: a, user: a}}\n---\nservices: {db: {image: b}}\n")
    text = (
        "name: one\nservices:\n  web: {image: a, environment: &some {A: 1}}\n  db: {extends: {file: db.yaml, service: db}}\n"
        "---\nname: two\nservices:\n  web: {image: b, environment: {B: 2}}\n---\n"
    )
    app = _read(folder, text)
    web, db = app.services["web"], app.services["db"]
    assert (app.name, web.image, web.environment) == ("two", "b", {"A": "1", "B": "2"})
    assert (db.image, db.user) == ("b", "a")


def test_mistakes_of_a_later_document_have_its_lines(folder) -> None:
    text = "services: {web: {image: a, environment: &some {A: 1}}}\n---\n- a\n"
    assert folder.mistakes(lambda: _read(folder, text)) == [
        "2: the file does not hold a map | it starts with lines such as 'services:'"
    ]
    assert folder.mistakes(lambda: _read(folder, f"{text[:-4]}services: {{web: {{environment: *some}}}}\n")) == [
        (
            "3: this is not YAML: found undefined alias 'some' | "
            "an anchor (&name) must stand before the alias (*name) that uses it"
        )
    ]
    assert folder.mistakes(lambda: folder.fleet("name: a\n---\nname: b\n"))[0] == (
        "2: a second YAML document starts here | keep one document a file; remove the --- line"
    )


def test_what_two_files_define_differently_is_told(folder) -> None:
    folder.write("a.yaml", "services: {db: {image: a}}\n")
    assert folder.mistakes(lambda: _read(folder, "include: [a.yaml]\nservices:\n  db: {image: b}\n")) == [
        "3: services.db: is in an included file too | the other is in a.yaml:1; rename one, or change it in a file of its own with -f"
    ]
    assert _read(folder, "include: [a.yaml]\nservices:\n  db: {image: a}\n").services["db"].image == "a"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("none.yaml", "1: there is no none.yaml | check the name"),
        (
            "https://example.com/a.yaml",
            "1: https://example.com/a.yaml is not on this machine, and is not fetched | fetch it, and name the file",
        ),
        ("{pth: a}", "1: include.0: unknown key 'pth' | did you mean 'path'?"),
        ("a.yaml", "1: a.yaml includes itself, by way of others | break the circle"),
    ],
)
def test_includes_that_cannot_be_had(folder, entry: str, told: str) -> None:
    folder.write("a.yaml", "include: [a.yaml]\nservices: {db: {image: a}}\n")
    assert folder.mistakes(lambda: _read(folder, f"include: [{entry}]\nservices: {{web: {{image: x}}}}\n")) == [told]


def test_a_volumes_directory_starts_from_the_file_that_is_included(folder) -> None:
    folder.write(
        "db/compose.yaml",
        "services: {db: {image: x, volumes: ['a:/a', 'b:/b']}}\n"
        "volumes: {a: {driver_opts: {o: bind, device: a}}, b: {driver_opts: {type: nfs, device: ':/b'}}}\n",
    )
    volumes = _read(folder, "include: [db/compose.yaml]\nservices: {web: {image: x}}\n").volumes
    assert volumes["a"].driver_opts["device"] == str(folder.path / "db/a")
    assert volumes["b"].driver_opts["device"] == ":/b"


def test_extends_of_the_same_file_and_of_another(folder) -> None:
    folder.write(
        "base/common.yaml",
        "services:\n"
        "  base: {image: x, environment: [A=1, B=1], volumes: ['./conf:/conf'], env_file: base.env}\n"
        "  more: {extends: base, cap_add: [NET_ADMIN]}\n",
    )
    folder.write("base/base.env", "C=3\n")
    text = """
services:
  one: {extends: {file: base/common.yaml, service: more}, environment: {B: 2}, cap_add: [SYS_TIME]}
  two: {extends: one, image: y, cap_add: !reset []}
"""
    app = _read(folder, text)
    one, two = app.services["one"], app.services["two"]
    assert one.environment == {"A": "1", "B": "2", "C": "3"}
    assert (one.options.cap_add, two.options.cap_add) == (("NET_ADMIN", "SYS_TIME"), ())
    assert (two.image, two.mounts[0].source) == ("y", str(folder.path / "base" / "conf"))


def test_extends_in_a_circle_and_of_nothing(folder) -> None:
    text = "services:\n  a: {extends: b, image: x}\n  b: {extends: a, image: x}\n  c: {extends: d, image: x}\n"
    told = folder.mistakes(lambda: _read(folder, text))
    assert "2: services.a.extends: a -> b -> a is a circle | remove one of these" in told
    assert "4: services.c.extends: there is no service 'd' | services there: a, b, c" in told


def test_an_extends_that_leads_nowhere_is_told_and_not_what_it_lacks_then(folder) -> None:
    told = folder.mistakes(
        lambda: _read(folder, "services:\n  a: {extends: b}\n  c: {extends: {file: no.yaml, service: c}}")
    )
    assert len(told) == 2
    assert not any("neither image nor build" in one for one in told)


def test_chains_are_as_long_as_they_are(folder) -> None:
    """Neither is gone through by recursion without an end."""
    chain = "".join(f"  s{n}: {{extends: s{n + 1}}}\n" for n in range(900))
    told = folder.mistakes(lambda: _read(folder, f"services:\n{chain}  s900: {{image: x}}\n"))
    assert any("more than 50 services extend each other down to here" in one for one in told)
    needs = "".join(f"  s{n}: {{image: x, depends_on: [s{n + 1}]}}\n" for n in range(1500))
    assert len(_read(folder, f"services:\n{needs}  s1500: {{image: x}}\n").services) == 1501


def test_profiles(folder) -> None:
    text = "services: {web: {image: x}, debug: {image: x, profiles: [debug, all]}}"
    assert set(_read(folder, text).services) == {"web"}
    for asked in ("debug", "other,all", "*"):
        folder.environment = {"COMPOSE_PROFILES": asked}
        assert set(_read(folder, text).services) == {"web", "debug"}
    folder.environment = {}
    folder.write(".env", "COMPOSE_PROFILES=debug\n")
    assert set(_read(folder, text).services) == {"web", "debug"}


def test_of_a_service_that_nobody_asks_for_only_the_form_is_checked(folder) -> None:
    """compose-go drops it before it looks closer; a typo in it is worth telling all the same."""
    text = """
services:
  web: {image: x, ports: ["80"]}
  other:
    image: "${UNSET}"
    profiles: [other]
    build: ./not-there
    env_file: [not-there.env]
    ports: ["${UNSET}:80", "81:80/sctp"]
    network_mode: "service:web"
    networks: [nowhere]
    external_links: [a]
    deploy: {replicas: "${UNSET}"}
    pull_policy: ${UNSET}
"""
    assert set(_read(folder, text).services) == {"web"}
    folder.environment = {"COMPOSE_PROFILES": "other"}
    assert len(folder.mistakes(lambda: _read(folder, text))) > 5
    folder.environment = {}
    bad = "services: {web: {image: x}, o: {imag: x, command: {}, user: 5, profiles: [o]}}"
    assert folder.mistakes(lambda: _read(folder, bad)) == [
        "1: services.o: unknown key 'imag' | did you mean 'image'?",
        "1: services.o.command: must be a string or a list, not a map",
        '1: services.o.user: must be a string, not the number 5 | put it in quotes: "5"',
    ]


def test_of_a_network_that_no_service_is_on_only_the_form_is_checked(folder) -> None:
    """compose-go drops it before it looks closer (WithoutUnnecessaryResources)."""
    text = """
services:
  web: {image: x}
  far: {image: x, networks: [off], profiles: [far]}
  host: {image: x, network_mode: none}
networks:
  off: {internal: true, enable_ipv4: false, driver: macvlan, ipam: {config: [{subnet: 10.9.0.0/16}]}}
  empty:
"""
    assert set(_read(folder, text).networks) == {"default"}
    folder.environment = {"COMPOSE_PROFILES": "far"}
    assert len(folder.mistakes(lambda: _read(folder, text))) == 2
    folder.environment = {}
    ours = "services: {web: {image: x%s}}\nnetworks: {default: {driver: macvlan}, other: {internl: true}}"
    typo = "2: networks.other: unknown key 'internl' | did you mean 'internal'?"
    found = folder.mistakes(lambda: _read(folder, ours % ""))
    assert [one.partition(":")[2].split(":")[0] for one in found] == [" networks.default.driver", " networks.other"]
    assert folder.mistakes(lambda: _read(folder, ours % ", network_mode: host")) == [typo]


def test_a_profile_or_a_service_that_is_named_on_the_command_line_is_asked_for(folder) -> None:
    folder.write(
        "compose.yaml", "services: {web: {image: x}, debug: {image: x, profiles: [d]}, e: {image: x, profiles: [e]}}"
    )

    def asked(**how: Any) -> set[str]:
        return set(load_app(None, project=None, environment={}, fleet=None, **how).services)

    assert asked() == {"web"}
    assert asked(profiles=["d"]) == asked(named=["debug"]) == {"web", "debug"}
    assert asked(profiles=["*"]) == asked(profiles=["d", "e"]) == {"web", "debug", "e"}


def test_dotenv_may_name_the_files(folder) -> None:
    folder.write("one.yaml", "services: {web: {image: x}}")
    folder.write(".env", "COMPOSE_FILE=one.yaml\n")
    assert load_app(None, project=None, environment={}, fleet=None).services["web"].image == "x"


@pytest.mark.parametrize(
    ("base", "over", "field", "value"),
    [
        ("cap_add: [A, B]", "cap_add: [B, C]", "cap_add", ("A", "B", "C")),
        ("dns: 1.1.1.1", "dns: [8.8.8.8]", "dns", ("1.1.1.1", "8.8.8.8")),
        ("tmpfs: /run", "tmpfs: [/tmp]", "tmpfs", ("/run", "/tmp")),
        ("sysctls: {a: 1}", "sysctls: [b=2]", "sysctls", {"a": "1", "b": "2"}),
        ("extra_hosts: {a: 10.0.0.1}", "extra_hosts: ['b:10.0.0.2']", "extra_hosts", ("a=10.0.0.1", "b=10.0.0.2")),
        ("devices: [/dev/a:/dev/x]", "devices: [/dev/b:/dev/x]", "devices", "/dev/b"),
        ("ulimits: {n: 1}", "ulimits: {n: {soft: 2, hard: 3}}", "ulimits", 3),
        ("logging: {driver: a, options: {x: 1}}", "logging: {driver: b}", "logging", {}),
        ("logging: {driver: a, options: {x: 1}}", "logging: {options: {y: 2}}", "logging", {"x": "1", "y": "2"}),
    ],
)
def test_options_merge(folder, base: str, over: str, field: str, value: object) -> None:
    found = getattr(folder.web(base, over).options, field)
    if field == "devices":
        found = found[0].source if len(found) == 1 else found
    elif field == "ulimits":
        found = found["n"].hard
    elif field == "logging":
        found = found.options
    assert found == value


def test_volumes_and_grants_are_unique_by_their_place(folder) -> None:
    base = "services: {web: {image: x, volumes: [a:/data, b:/more], configs: [{source: c, target: /c}], depends_on: [db], networks: [n]}, db: {image: x}}\n"
    top = "volumes: {a: , b: , d: }\nconfigs: {c: {content: c}, e: {content: e}}\nnetworks: {n: {}}\n"
    over = "services: {web: {volumes: [{type: volume, source: d, target: /data/}], configs: [{source: e, target: /c}], depends_on: {db: {condition: service_healthy}}, networks: {n: {aliases: [w]}}}}"
    web = _read(folder, base + top, over).services["web"]
    assert [m.source for m in web.mounts] == ["b", "d"]
    assert [g.source for g in web.configs] == ["e"]
    assert web.depends_on["db"].condition == "service_healthy"
    assert web.networks == {"n": ("w",)}


@pytest.mark.parametrize(
    ("base", "over", "what"),
    [
        ("ports: ['80:80']", "ports: {a: b}", "a map cannot be laid over a list"),
        ("environment: DEBUG", "environment: {A: 1}", "a map cannot be laid over a single value"),
        (
            "deploy: {resources: {limits: {cpus: 1}}}",
            "deploy: {resources: [limits]}",
            "a list cannot be laid over a map",
        ),
    ],
)
def test_an_override_of_another_type_is_told_with_both_places(folder, base: str, over: str, what: str) -> None:
    (told,) = folder.mistakes(lambda: folder.web(base, over))
    assert told.startswith("3: services.web.")
    assert what in told
    assert "compose.yaml:4 has the other" in told


def test_unset_variables_are_warned_of(folder) -> None:
    warned = []
    path = folder.write("compose.yaml", "services:\n  web:\n    image: x\n    environment: {A: $NOT}\n")
    app = load_app([path], project=None, environment={}, fleet=None, warn=warned.append)
    assert app.services["web"].environment == {"A": ""}
    assert [(w.line, w.what) for w in warned] == [(4, "the variable NOT is not set: it is empty here")]


def test_one_variable_is_warned_of_once_a_file_with_its_lines(folder) -> None:
    warned = []
    text = "services:\n  web:\n    image: x\n    environment:\n      A: $NOT $NOT\n      B: $NOT\n      C: $NO\n      D: $NOT\n"
    path = folder.write("compose.yaml", text)
    load_app([path], project=None, environment={}, fleet=None, warn=warned.append)
    assert [(w.line, w.what) for w in warned] == [
        (5, "the variable NOT is not set: it is empty here (also lines 6, 8)"),
        (7, "the variable NO is not set: it is empty here"),
    ]


def test_one_variable_that_makes_mistakes_is_told_once_with_its_lines(folder) -> None:
    """Also of one that must be set; the lines of both kinds, where only one leads to a mistake."""
    text = (
        "services:\n  a:\n    image: x:$TAG\n  b:\n    image: y:$TAG\n"
        "  c:\n    image: z\n    environment:\n      A: $TAG\n      B: ${KEY:?}\n      C: ${KEY:?}\n"
    )
    path = folder.write("compose.yaml", text)
    warned: list[str] = []
    read = lambda: load_app([path], project=None, environment={}, fleet=None, warn=lambda m: warned.append(m.what))  # noqa: E731
    assert [told.partition(" | ")[0] for told in folder.mistakes(read)] == [
        "3: the variable TAG is not set: it is empty here (also lines 5, 9)",
        "3: services.a.image: 'x:': '' is not a tag",
        "5: services.b.image: 'y:': '' is not a tag",
        "10: the variable KEY is not set (also line 11)",
    ]
    assert warned == []


@pytest.mark.parametrize(
    ("service", "told"),
    [
        ("pull_policy: always", "2: services.web: has neither image nor build"),
        ("image: x\n    depends_on: [db]", "4: services.web: depends_on names 'db', and there is no such service"),
        ("image: x\n    networks: [back]", "4: services.web: there is no network 'back' at the top of the file"),
    ],
)
def test_a_file_that_is_laid_over_another_says_how_to_name_both(
    folder, monkeypatch: pytest.MonkeyPatch, service: str, told: str
) -> None:
    over = folder.write("compose.prod.yaml", f"services:\n  web:\n    {service}\n")

    def read(*files: Path) -> App:
        return load_app(files, project="a", environment={}, fleet=None)

    assert folder.mistakes(lambda: read(over))[0].startswith(told)
    assert "-f" not in folder.mistakes(lambda: read(over))[0]
    below = folder.write("compose.yaml", "services: {web: {image: x}, db: {image: x}}\nnetworks: {back: }\n")
    [found] = folder.mistakes(lambda: read(over))
    assert found.startswith(told)
    assert found.endswith("; or name both files: -f compose.yaml -f compose.prod.yaml")
    assert list(read(below, over).services) == ["web", "db"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(over.read_bytes())))
    assert "-f" not in folder.mistakes(lambda: read(Path("-")))[0]


def test_who_only_reads_an_app_sees_what_cannot_be_kept(folder) -> None:
    """What `config` prints of it is refused by `up` as the file is, where there is a word for it."""
    warned: list[str] = []
    text = (
        "services:\n  web: {image: x, networks: {back: {ipv4_address: 10.0.0.2}}}\n"
        "  api: {image: x, networks: {back: {ipv4_address: 10.0.0.3}}, command: [x, --web=10.0.0.2]}\nnetworks: {back: }\n"
    )
    path = folder.write("compose.yaml", text)
    app = load_app(
        [path], project=None, environment={}, fleet=None, only_read=True, warn=lambda m: warned.append(m.what)
    )
    assert "back" in resolved(app)["networks"]
    assert warned == [
        (
            "services.web.networks.back: ipv4_address cannot be had, and services.api.command counts on it: "
            "addresses are each engine's own; up refuses it"
        ),
        "services.api.networks.back: ipv4_address changes nothing: addresses are each engine's own",
    ]


@pytest.mark.parametrize(
    ("counting", "told", "todo"),
    [
        ("environment: {DB: '10.0.0.2:5432'}", "services.api.environment.DB", "write the service's name there, web"),
        ("env_file: [api.env]", "DB of services.api.env_file", "write the service's name there, web"),
        ("extra_hosts: ['db:10.0.0.2']", "services.api.extra_hosts", "remove both: web is known by its name"),
        ("environment: {DB: 10.0.0.20}", "", ""),
        ("environment: {DB: 10.0.0.2.7}", "", ""),
    ],
)
def test_what_counts_on_an_address_is_found_wherever_it_is_written(folder, counting, told, todo) -> None:
    folder.write("api.env", "DB=10.0.0.2\n")
    services = f"  web: {{image: x, networks: {{back: {{ipv4_address: 10.0.0.2}}}}}}\n  api: {{image: x, {counting}}}\n"
    path = folder.write("compose.yaml", f"services:\n{services}networks: {{back: }}\n")
    found = folder.mistakes(lambda: load_app([path], project=None, environment={}, fleet=None)) if told else []
    assert [f"{told} counts on it" in one and todo in one for one in found] == [True] * bool(told)
    if not told:
        load_app([path], project=None, environment={}, fleet=None)


def test_who_only_reads_an_app_is_warned_of_what_up_refuses(folder) -> None:
    warned = []
    text = "services:\n  web:\n    build: {context: ., additional_contexts: {a: .}}\n    configs: [key]\nconfigs:\n  key: {external: true}\n"
    path = folder.write("compose.yaml", text)
    load_app([path], project=None, environment={}, fleet=None, only_read=True, warn=warned.append)
    assert [(w.line, w.what) for w in warned] == [
        (3, "services.web.build: there is no Dockerfile; up refuses it"),
        (3, "services.web: build.additional_contexts is not supported yet; up refuses it"),
        (6, "configs.key: nothing here keeps configs of others; up refuses it"),
    ]


def _read(folder, *texts: str):
    files = [folder.write(f"{i}.yaml" if i else "compose.yaml", t) for i, t in enumerate(texts)]
    return load_app(files, project=None, environment=folder.environment, fleet=local_fleet({}), only_read=True)
