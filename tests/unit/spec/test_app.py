"""What a good Compose file resolves to."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bayplan.errors import SpecError
from bayplan.spec import app_name, load_app, local_fleet
from bayplan.spec.model import Healthcheck, Http, Placement, Port, Probe, Resources, Service, Update
from bayplan.spec.options import Options


def test_defaults(folder) -> None:
    assert folder.web("") == Service(name="web", image="x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sh -c 'echo \"$HOME\"'", ["sh", "-c", 'echo "$HOME"']),
        (r'sh -c "echo \$HOME \"a b\""', ["sh", "-c", 'echo $HOME "a b"']),
        (r'sh -c "a\nb" \x "\`c\`"', ["sh", "-c", "anb", "x", "`c`"]),
        ("'a\\nb' c\\ d --x=\"e f\"'g'", [r"a\nb", "c d", "--x=e fg"]),
        ("a '' b\tc\nd\r\ne", ["a", "", "b", "c", "d", "e"]),
        ("`date +%s` $(x y) $z ${z} #", ["`date +%s`", "$(x y)", "$z", "${z}", "#"]),
        (r"find . \( -name 'x|y' \) -exec z \;", ["find", ".", "(", "-name", "x|y", ")", "-exec", "z", ";"]),
        ("", []),
    ],
)
def test_a_command_is_split_as_docker_compose_splits_it(folder, text: str, words: list[str]) -> None:
    """The words are those that docker compose 2.40 makes of these texts."""
    web = folder.web(f"command: {json.dumps(text.replace('$', '$$'))}\nentrypoint: [/run, --now]")
    assert web.command == tuple(words)
    assert web.entrypoint == ("/run", "--now")


@pytest.mark.parametrize("text", ['a "b', "it's", "a \\", "a `b", "a $(b"])
def test_a_command_that_does_not_end_is_told(folder, text: str) -> None:
    [mistake] = folder.mistakes(lambda: folder.web(f"command: {json.dumps(text.replace('$', '$$'))}"))
    assert "services.web.command: cannot be split into words: " in mistake


@pytest.mark.parametrize(
    ("text", "words", "rest"),
    [
        ("./api & ./web", ("./api",), "& ./web"),
        ("a;b", ("a",), ";b"),
        ("a 2>&1", ("a",), ">&1"),
        ("a2>x", ("a2",), ">x"),
        ("a | b", ("a",), "| b"),
    ],
)
def test_what_a_shell_would_do_besides_is_left_out_with_a_warning(folder, text: str, words, rest: str) -> None:
    file = folder.write(
        "compose.yaml",
        f"services: {{web: {{image: x, command: '{text}', entrypoint: '{text}', post_start: [{{command: '{text}'}}]}}}}",
    )
    told: list[str] = []
    web = load_app(
        [file], project=None, environment={}, fleet=local_fleet({}), warn=lambda w: told.append(w.what)
    ).services["web"]
    assert (web.command, web.entrypoint, web.post_start[0].command) == (words, words, words)
    assert [what.partition(":")[2].split(": no shell")[0] for what in told] == [
        f" {key} ends before {rest!r}" for key in ("command", "entrypoint", "post_start")
    ]


def test_with_its_hosts_names_it_has_none_of_its_own(folder) -> None:
    assert folder.web("uts: host").options.uts == "host"
    [mistake] = folder.mistakes(lambda: folder.web("uts: host\nhostname: me"))
    assert "with uts: host it has its host's name, and hostname says another | remove one" in mistake


@pytest.mark.parametrize("written", ["deploy: {mode: global, replicas: 2}", "deploy: {mode: global-job}\nscale: 2"])
def test_what_is_on_each_host_has_no_number(folder, written: str) -> None:
    [mistake] = folder.mistakes(lambda: folder.web(written))
    assert "and has a number of replicas | remove it: each host" in mistake


def test_what_a_variable_left_empty_is_as_if_it_was_not_written(folder) -> None:
    keys = ("stop_signal", "mac_address", "restart", "platform", "network_mode", "hostname", "user", "pull_policy")
    web = folder.web("\n".join(f"{key}: ${{UNSET-}}" for key in keys))
    assert web == folder.web("attach: true")


def test_an_empty_command_is_one_and_no_command_is_none(folder) -> None:
    assert (folder.web("command: []").command, folder.web("command: ${UNSET-}").command) == ((), ())
    assert folder.web("command:").command is None


def test_environment_keeps_what_is_written(folder) -> None:
    folder.environment = {"FROM_HERE": "here"}
    as_map = folder.web("environment: {A: 1.10, B: true, C: '', D: 0x1F, FROM_HERE: , NOT_SET: }")
    assert as_map.environment == {"A": "1.10", "B": "true", "C": "", "D": "0x1F", "FROM_HERE": "here", "NOT_SET": None}
    as_list = folder.web("environment: [A=1.10, 'B=a=b', C=, FROM_HERE, NOT_SET]")
    assert as_list.environment == {"A": "1.10", "B": "a=b", "C": "", "FROM_HERE": "here", "NOT_SET": None}


_NUL = "has a NUL character, with which variables end | encode it (base64), or give it as a file"
_LONG = "is 131,072 bytes long, its name counted, and Linux takes 131,071 | give it as a file, with configs or secrets"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("environment:\n  A: b\n  '': c", "6: services.web.environment: a variable has no name | write NAME: value"),
        ("environment:\n  A: b\n  'A=B': c", "6: services.web.environment: a name ends at the first =, and 'A=B' has"),
        ('environment:\n  - A=b\n  - "B=a\\0b"', f"6: services.web.environment: 'B' {_NUL}"),
        ('environment:\n  "A\\0": b', rf"5: services.web.environment: 'A\x00' {_NUL}"),
        ("env_file: a.env", f"2: services.web.env_file: 'B' {_NUL}"),
        (f"environment: {{A: {'x' * 131_070}}}", f"4: services.web.environment: A {_LONG}"),
        (
            "pre_stop: [{command: ls, environment: {'': c}}]",
            "4: services.web.pre_stop.0.environment: a variable has no",
        ),
    ],
)
def test_a_variable_with_which_nothing_starts(folder, written: str, told: str) -> None:
    folder.write("a.env", "A=1\nB=a\0b\n")
    [mistake] = folder.mistakes(lambda: folder.web(written))
    assert mistake.startswith(told)


def test_the_longest_variable_and_longer_labels(folder) -> None:
    """A program starts with 131,071 bytes; what is no variable has no such limit."""
    longest = "ü" * 65_534 + "x"
    web = folder.web(f"environment: {{A: {longest}}}\nlabels: {{A: {'x' * 2**20}, 'b=c': d}}")
    assert web.environment == {"A": longest}
    assert (len(web.labels["A"]), web.labels["b=c"]) == (2**20, "d")


def test_env_files_may_use_what_is_before_them(folder) -> None:
    folder.write("a.env", "A=1\nB=$A\n")
    folder.write("b.env", "C=$A-$OWN\nA=2\nD=$A\n")
    web = folder.web("env_file: [a.env, b.env]", "environment: {OWN: own}")
    assert web.environment == {"A": "2", "B": "1", "C": "1-own", "D": "2", "OWN": "own"}
    folder.environment = {"A": "mine"}
    assert folder.web("env_file: b.env").environment == {"A": "2", "C": "mine-", "D": "mine"}


def test_env_files_are_under_environment(folder) -> None:
    folder.write("a.env", "A=a\nB=a\nC=a\n")
    folder.write("b.env", "B=b\nC=b\n")
    folder.write("raw.env", "D='d'\n")
    web = folder.web(
        "env_file: [a.env, {path: b.env}, {path: none.env, required: false}, {path: raw.env, format: raw}]\n"
        "environment: {C: c}"
    )
    assert web.environment == {"A": "a", "B": "b", "C": "c", "D": "'d'"}
    assert folder.web("env_file: a.env").environment == {"A": "a", "B": "a", "C": "a"}
    assert folder.web("env_file: a.env\nenvironment: [B]").environment == {"A": "a", "B": None, "C": "a"}


@pytest.mark.parametrize(
    ("written", "ports"),
    [
        ("'80:8080'", [Port(published=80, target=8080, app_protocol="http")]),
        ("8080", [Port(published=8080, target=8080, app_protocol="http")]),
        ("'6379'", [Port(published=6379, target=6379)]),
        ("443:8443", [Port(published=443, target=8443)]),
        ("'9000-9001:90-91'", [Port(published=9000, target=90), Port(published=9001, target=91)]),
        ("'192.0.2.1:81:80'", [Port(published=81, target=80, address="192.0.2.1", app_protocol="http")]),
        ("'0.0.0.0:81:81'", [Port(published=81, target=81)]),
        ("'81:81/tcp'", [Port(published=81, target=81)]),
        ("{target: 80, published: '8000'}", [Port(published=8000, target=80, app_protocol="http")]),
        ("{target: 80, app_protocol: tcp}", [Port(published=80, target=80)]),
        (
            "{target: 9, published: 9, app_protocol: http, name: web}",
            [Port(published=9, target=9, app_protocol="http")],
        ),
        (
            "{target: 22, published: 20022, mode: host, host_ip: 127.0.0.1}",
            [Port(published=20022, target=22, mode="host", address="127.0.0.1")],
        ),
        ("{target: 53, mode: host, protocol: udp}", [Port(published=53, target=53, mode="host", protocol="udp")]),
    ],
)
def test_ports(folder, written: str, ports: list[Port]) -> None:
    assert list(folder.web(f"ports: [{written}]").ports) == ports


def test_a_service_with_http_routes_speaks_http_on_every_port(folder) -> None:
    web = folder.web(
        "ports: ['9000:9000']\nx-bayplan: {http: {host: [A.example.com, b.example.com], path: /x, sticky: true}}"
    )
    assert web.ports[0].app_protocol == "http"
    assert web.http == Http(hosts=("a.example.com", "b.example.com"), path="/x", sticky=True)


def test_healthcheck(folder) -> None:
    assert folder.web("healthcheck: {test: curl localhost, interval: 1m30s, retries: 5}").healthcheck == Healthcheck(
        test=("CMD-SHELL", "curl localhost"), interval=90, retries=5
    )
    assert folder.web("healthcheck: {test: [CMD, x], timeout: 500ms, start_period: 2s}").healthcheck == Healthcheck(
        test=("CMD", "x"), timeout=0.5, start_period=2
    )
    assert folder.web("healthcheck: {}").healthcheck is None
    off = Healthcheck(test=("NONE",))
    assert folder.web("healthcheck: {disable: true}").healthcheck == off
    assert folder.web("healthcheck: {test: NONE}").healthcheck == off
    assert folder.web("healthcheck: {test: [NONE]}").healthcheck == off


def test_deploy(folder) -> None:
    web = folder.web(
        """
deploy:
  mode: replicated
  replicas: "3"
  update_config: {order: stop-first, parallelism: 2}
  resources:
    limits: {cpus: "0.5", memory: 512M, pids: 100}
    reservations: {cpus: 0.25, memory: 64m}
  placement:
    constraints: [node.labels.disk == ssd, "node.hostname!=h1"]
    preferences: [{spread: node.labels.rack}, {spread: node.zone}]
    max_replicas_per_node: 2
"""
    )
    assert web.replicas == 3
    assert web.update == Update(order="stop-first", parallelism=2)
    assert web.resources == Resources(
        reserved_cpus=0.25, reserved_memory=64 << 20, limit_cpus=0.5, limit_memory=512 << 20, limit_pids=100
    )
    assert web.placement == Placement(
        constraints=("node.labels.disk == ssd", "node.hostname!=h1"),
        spread=("node.labels.rack", "node.zone"),
        max_per_host=2,
    )


def test_a_swarms_node_id_is_each_host(folder) -> None:
    web = folder.web("deploy: {placement: {preferences: [{spread: node.id}, {spread: node.hostname}]}}")
    assert web.placement.spread == ("node.hostname", "node.hostname")


def test_short_forms_of_resources(folder) -> None:
    web = folder.web("scale: 2\ncpus: 0.5\nmem_limit: 1g\nmem_reservation: 512m\npids_limit: -1")
    assert web.replicas == 2
    assert web.resources == Resources(limit_cpus=0.5, limit_memory=1 << 30, reserved_memory=512 << 20)


def test_our_own_keys(folder) -> None:
    web = folder.web(
        "ports: ['80:80']\nx-bayplan: {drain: 5s, proxy_protocol: true, probe: {path: /ok, interval: 1s, timeout: 500ms}}"
    )
    assert (web.drain, web.proxy_protocol) == (5, True)
    assert web.probe == Probe(kind="http", path="/ok", interval=1, timeout=0.5)
    assert folder.web("ports: [80]\nx-bayplan: {probe: {tcp: true}}").probe == Probe()


def test_build_forms(folder) -> None:
    folder.write("site/Dockerfile", "FROM x")
    folder.write("site/other.Dockerfile", "FROM x")
    folder.environment = {"HERE": "1"}
    here = str(folder.path / "site")
    short = folder.app("services: {web: {build: ./site}}").services["web"].build
    assert (short.context, short.dockerfile) == (here, "Dockerfile")
    long = (
        folder.app(
            "services: {web: {build: {context: site, dockerfile: other.Dockerfile, target: t, no_cache: true, pull: true,"
            " args: {HERE: , GONE: , A: 1}, labels: [a=b]}}}"
        )
        .services["web"]
        .build
    )
    assert long.model_dump(exclude_defaults=True) == {
        "context": here,
        "dockerfile": "other.Dockerfile",
        "args": {"HERE": "1", "A": "1"},
        "target": "t",
        "labels": {"a": "b"},
        "no_cache": True,
        "pull": True,
    }
    inline = folder.app("services: {web: {build: {dockerfile_inline: FROM x}}}").services["web"].build
    assert (inline.context, inline.dockerfile_inline) == (str(folder.path), "FROM x")


def test_a_dockerfile_is_named_from_its_context(folder) -> None:
    folder.write("site/docker/Dockerfile", "FROM x")
    folder.write("Dockerfile", "FROM x")
    inside = folder.path / "site" / "docker" / "Dockerfile"
    app = folder.app(f"services: {{web: {{build: {{context: site/, dockerfile: {inside}}}}}}}")
    assert app.services["web"].build.dockerfile == "docker/Dockerfile"
    outside = folder.app("services: {web: {build: {context: site, dockerfile: ../Dockerfile}}}").services["web"].build
    assert outside.dockerfile == "../Dockerfile"
    assert folder.mistakes(lambda: folder.app("services: {web: {build: {context: site, dockerfile: ../other}}}")) == [
        "1: services.web.build: there is no other | write it, or name another with dockerfile"
    ]


@pytest.mark.parametrize(
    ("written", "platform"),
    [
        ("arm64", "linux/arm64"),
        ("x86_64", "linux/amd64"),
        ("armhf", "linux/arm/v7"),
        ("linux", "linux"),
        ("", ""),
        ("linux/x86_64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64/v8"),
    ],
)
def test_an_architecture_alone_is_linuxs_and_has_images_name(folder, written: str, platform: str) -> None:
    assert folder.app(f"services: {{web: {{image: x, platform: '{written}'}}}}").services["web"].platform == platform


@pytest.mark.parametrize(
    ("platform", "platforms", "built_for"),
    [
        ("linux/arm64", "", ("linux/arm64",)),
        ("arm64", "platforms: [linux/amd64, linux/arm64/v8]", ("linux/arm64/v8",)),
        ("linux/x86_64", "platforms: [linux/amd64]", ("linux/amd64",)),
        ("linux", "", ()),
        ("", "platforms: [linux/arm64]", ("linux/arm64",)),
    ],
)
def test_an_image_is_built_for_the_platform_it_runs_on(
    folder, platform: str, platforms: str, built_for: tuple[str, ...]
) -> None:
    text = f"services: {{web: {{build: {{dockerfile_inline: FROM x, {platforms}}}, platform: '{platform}'}}}}"
    assert folder.app(text).services["web"].build.platforms == built_for


def test_a_platform_that_is_not_built_for(folder) -> None:
    text = "services: {web: {build: {dockerfile_inline: FROM x, platforms: [linux/amd64]}, platform: linux/arm64}}"
    assert folder.mistakes(lambda: folder.app(text)) == [
        (
            "1: services.web: its platform is linux/arm64, and build.platforms does not name it"
            " | write it there too, or remove build.platforms"
        )
    ]


def test_what_a_variable_without_a_value_leaves_is_as_if_it_were_not_written(folder) -> None:
    web = folder.app(
        'services: {web: {image: x, restart: "${NO}", platform: "${NO}", pull_policy: "${NO}", isolation: "${NO}",'
        ' ports: [{target: 81, published: "${NO}"}]}}'
    ).services["web"]
    assert (web.restart, web.platform, web.pull_policy) == ("always", "", "")
    assert [(port.target, port.published) for port in web.ports] == [(81, 81)]


def test_what_is_built_here_is_never_pulled(folder) -> None:
    folder.write("Dockerfile", "FROM x")
    folder.app("services: {web: {build: ., image: web:local, pull_policy: never, stop_signal: sigint}}")
    (told,) = folder.mistakes(lambda: folder.app("services: {web: {image: x, pull_policy: never}}"))
    assert told.startswith(
        "1: services.web.pull_policy: 'never' cannot be meant: hosts have the image from a registry | "
    )


@pytest.mark.parametrize(
    ("condition", "restart"),
    [("none", "no"), ("any", "always"), ("always", "always"), ("unless-stopped", "unless-stopped"), ("no", "no")],
)
def test_conditions_of_a_restart_policy(folder, condition: str, restart: str) -> None:
    """Those of the Specification, and what Compose's `mapRestartPolicyCondition` knows besides."""
    web = folder.app(f"services: {{web: {{image: x, deploy: {{restart_policy: {{condition: {condition}}}}}}}}}")
    assert web.services["web"].restart == restart


def test_what_has_a_mac_address_is_replaced_stop_first(folder) -> None:
    web = folder.app("services: {web: {image: x, mac_address: 02:42:ac:11:65:43}}").services["web"]
    assert web.update.order == "stop-first"
    written = (
        "services: {web: {image: x, mac_address: 02:42:ac:11:65:43, deploy: {update_config: {order: start-first}}}}"
    )
    assert len(folder.mistakes(lambda: folder.app(written))) == 1


def test_protocols_in_capitals(folder) -> None:
    web = folder.app('services: {web: {image: x, ports: ["53:53/UDP", "80:80/TCP"], expose: ["54/UDP"]}}').services[
        "web"
    ]
    assert [port.protocol for port in web.ports] == ["udp", "tcp"]
    assert [port.protocol for port in web.expose] == ["udp"]


@pytest.mark.parametrize("name", ["~nobody/here", '"a\\0b"', "a" * 300], ids=["home", "NUL", "long"])
@pytest.mark.parametrize(
    "keys",
    [
        "env_file: %s", "env_file: [{path: %s, required: false}]", "label_file: %s", "build: %s",
        "build: {context: ., dockerfile: %s}", "extends: {file: %s, service: x}", "volumes: [{type: bind, source: %s, target: /x}]",
        "security_opt: ['seccomp:%s']", "build: {context: ., ssh: ['a=%s']}",
    ],
)  # fmt: skip
def test_a_name_that_no_file_has_is_told_as_every_other(folder, keys: str, name: str) -> None:
    """It is read, or refused; it was a traceback."""
    with contextlib.suppress(SpecError):
        folder.web(keys % name)
    for top in ("secrets", "configs"):
        with contextlib.suppress(SpecError):
            folder.app(f"services: {{web: {{image: x, {top}: [s]}}}}\n{top}: {{s: {{file: {name}}}}}\n")
    for entry in (name, f"{{path: x.yaml, env_file: {name}}}"):
        with pytest.raises(SpecError):
            folder.app(f"include: [{entry}]\nservices: {{web: {{image: x}}}}\n")


def test_a_tilde_is_the_operators_home(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody else's, as in docker compose."""
    monkeypatch.setenv("HOME", "/home/me")
    mounts = folder.web("volumes: ['~/a:/a', '~b/c:/b', '~:/c']").mounts
    assert [mount.source for mount in mounts] == ["/home/me/a", "/home/me/b/c", "/home/me"]


def test_anchors_merge_keys_and_extensions(folder) -> None:
    app = folder.app(
        """
x-common: &common
  image: x
  environment: &env {A: a, B: a}
services:
  one:
    <<: *common
    environment: {<<: *env, B: b}
  two: {<<: [*common], image: y}
"""
    )
    assert app.services["one"].environment == {"A": "a", "B": "b"}
    assert (app.services["two"].image, app.services["two"].environment) == ("y", {"A": "a", "B": "a"})


def test_obsolete_version_changes_nothing(folder) -> None:
    assert folder.app("version: '3.9'\nservices: {web: {image: x}}").services == {"web": Service(name="web", image="x")}


def test_windows_line_ends_and_a_byte_order_mark(folder) -> None:
    path = folder.write(
        "compose.yaml", b"\xef\xbb\xbfservices:\r\n  web:\r\n    image: x\r\n    command: |\r\n      a\r\n"
    )
    assert path.exists()
    assert folder.app().services["web"].command == ("a",)


# Names: -p, COMPOSE_PROJECT_NAME, name:, the folder's (Compose's order).
def test_names(folder) -> None:
    text = "name: ${N:-written}\nservices: {web: {image: x, command: 'echo $COMPOSE_PROJECT_NAME'}}"
    assert folder.app(text).services["web"].command == ("echo", "written")
    assert folder.app(text, project="given").name == "given"
    folder.environment = {"COMPOSE_PROJECT_NAME": "environment"}
    assert folder.app(text).name == "environment"
    assert app_name(None, project=None, environment={}) == "written"
    assert app_name(None, project="p", environment={}) == "p"


def test_the_folders_name_is_made_fit(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = folder.path / "_My Shop.2"
    odd.mkdir()
    monkeypatch.chdir(odd)
    (odd / "docker-compose.yml").write_text("services: {web: {image: x}}")
    assert folder.app().name == "myshop2"


def test_files_are_found_in_parents_with_their_override(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("compose.yaml", "services: {web: {image: x}}")
    folder.write("compose.override.yaml", "services: {web: {image: y}}")
    below = folder.path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert folder.app().services["web"].image == "y"
    assert folder.app().name == "shop"


def test_dotenv_is_under_the_environment(folder) -> None:
    folder.write(".env", "A=file\nB=file\n")
    folder.environment = {"B": "environment"}
    assert folder.app("services: {web: {image: '$A-$B'}}").services["web"].image == "file-environment"


def test_no_file_at_all(folder) -> None:
    assert folder.mistakes(folder.app) == [
        "0: there is no compose.yaml here or in a parent directory | write one (bayplan init helps), or name it with -f"
    ]


def test_without_the_default_files_those_that_are_here_are_named(folder) -> None:
    for name in ("docker-compose.prod.yml", "compose.prod.yaml", "values.yaml"):
        folder.write(name, "services: {web: {image: x}}\n")
    [told] = folder.mistakes(lambda: load_app(None, project=None, environment={}, fleet=None))
    assert told.endswith(" | name one with -f: compose.prod.yaml, docker-compose.prod.yml")


def test_a_binary_file(folder) -> None:
    folder.write("compose.yaml", b"\xff\xfe\x00\x01")
    assert folder.mistakes(folder.app) == ["0: compose.yaml is not UTF-8 text | save it as UTF-8"]


def test_mistakes_of_several_files_are_in_the_files_order(folder) -> None:
    found = folder.mistakes(
        lambda: folder.app("services:\n  web: {image: '${A?}'}\n", "services:\n\n\n  web: {imge: x}\n")
    )
    assert [m.split(":")[0] for m in found] == ["2", "4"]


def test_mistakes_of_both_files_are_told_at_once(folder) -> None:
    from bayplan.spec import load_both

    folder.write("fleet.yaml", "name: A\nhosts: {h: ssh://10.0.0.1}\n")
    folder.write("compose.yaml", "services:\n  web: {image: x, ports: ['53:53/udp', '20080:80']}\n")
    assert folder.mistakes(lambda: load_both(None, project=None, fleet=None, environment={})) == [
        "1: name: 'A' cannot be a name here | use lower-case letters, digits and -, 63 at most",
        "2: services.web: UDP cannot be balanced | publish it with mode: host",
    ]


def test_an_alias_bomb_is_refused(folder) -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 12))
    (told,) = folder.mistakes(lambda: folder.app(f"l0: &l0 [x]\n{levels}services: {{web: {{image: x}}}}\n"))
    assert "aliases make" in told


def test_the_example_site(monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.chdir(Path(__file__).parents[3] / "examples" / "01-site")
    web = load_app(None, project=None, environment={}, fleet=local_fleet({})).services["web"]
    assert (web.replicas, web.ports, web.probe.path) == (
        3,
        (Port(target=80, published=80, app_protocol="http"),),
        "/health",
    )


def test_udp_is_the_hosts_own_where_there_is_one_and_refused_where_there_are_more(folder) -> None:
    text = "services:\n  dns: {image: x, ports: ['53:53/udp']}\n"
    assert folder.app(text).services["dns"].ports == (Port(target=53, published=53, mode="host", protocol="udp"),)
    again = f"{text}  too: {{image: x, ports: ['53:5353/udp']}}\n"
    assert folder.mistakes(lambda: folder.app(again)) == [
        "3: services.too: port 53 is dns's too, and there is one host | publish another port"
    ]
    two = folder.fleet("name: f\nprivate_net: 10.0.0.0/24\nhosts: {a: ssh://10.0.0.1, b: ssh://10.0.0.2}")
    assert folder.mistakes(lambda: folder.app(text, fleet=two)) == [
        "2: services.dns: UDP cannot be balanced | publish it with mode: host"
    ]


@pytest.mark.parametrize(
    ("port", "told"),
    [
        ("27017:27017", "2: services.db: port 27017 lies in the range from which hosts' ports are taken"),
        (
            "20000-20195:80-275",
            "2: services.db: port 20000 (and 195 more) lies in the range from which hosts' ports are taken",
        ),
        ("10.0.0.1:27017:27017", "2: services.db: port 27017 lies in the range from which hosts' ports are taken"),
        ("127.0.0.1:27017:27017", ""),
        ("203.0.113.10:27017:27017", ""),
        ("5000:80", ""),
        ("127.0.0.1:5000:80", "2: services.db: port 5000 is where engines find the fleet's registry"),
        ("203.0.113.10:5000:80", ""),
    ],
)
def test_a_listener_may_not_meet_what_hosts_listen_on_themselves(port, told, folder) -> None:
    text = f"services:\n  db: {{image: x, ports: ['{port}']}}\n"
    hosts = "hosts: {a: ssh://10.0.0.1, b: ssh://10.0.0.2}\nregistry: {host: a}"
    two = folder.fleet(f"name: f\nprivate_net: 10.0.0.0/24\n{hosts}")
    if not told:
        assert folder.app(text, fleet=two).services["db"].ports[0].published == int(port.split(":")[-2])
        return
    assert [mistake.split(" | ")[0] for mistake in folder.mistakes(lambda: folder.app(text, fleet=two))] == [told]


def test_the_hosts_own_network_is_for_this_machine(folder) -> None:
    text = "services:\n  web: {image: x, network_mode: host}\n"
    web = folder.app(text, fleet=local_fleet({})).services["web"]
    assert (web.options.network_mode, web.networks) == ("host", {})
    one = folder.fleet("name: f\nprivate_net: 10.0.0.0/24\nhosts: {a: ssh://10.0.0.1}")
    assert folder.mistakes(lambda: folder.app(text, fleet=one)) == [
        (
            "2: services.web.network_mode: 'host': a replica on its host's own network answers on the host's public address"
            " too | publish with ports, mode: host for a port of the host itself"
        )
    ]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            "network_mode: shop_back",
            (
                "'shop_back' is a network of one engine's own, and services find each other on those of the app"
                " | remove it, or write networks: [NAME]"
            ),
        ),
        (
            "network_mode: 'service:vpn'",
            (
                "'service:vpn' joins two containers, which a fleet may run on different hosts"
                " | remove it: the service has a network of its own then, and its own way out; it finds vpn by that name,"
                " not at localhost, and what vpn publishes for it, publish here"
            ),
        ),
        (
            "network_mode: 'container:vpn'",
            (
                "'container:vpn' joins a container of one engine, and none of this app's"
                " | remove it: the service has a network of its own then, and its own way out; to find vpn by its name,"
                " write that as a service too"
            ),
        ),
        ("pid: hosts", "must be host, not 'hosts' | remove it: each replica has its own"),
        ("ipc: shared", "must be host, private, shareable or none, not 'shared'"),
    ],
)
def test_a_namespace_that_cannot_be_had_is_no_namespace_that_is_left_out(folder, written: str, told: str) -> None:
    [found] = folder.mistakes(lambda: folder.app(f"services:\n  web: {{image: x, {written}}}\n"))
    assert found == f"2: services.web.{written.partition(':')[0]}: {told}"
    key = written.partition(":")[0]
    assert folder.web(f'{key}: ""').options == Options()


def test_services_may_have_capitals_and_dots(folder) -> None:
    services = folder.app("services:\n  Web.Front: {image: x, depends_on: [db]}\n  db: {image: x}\n").services
    assert list(services) == ["Web.Front", "db"]


def test_relative_binds_are_for_this_machine(folder) -> None:
    text = "services:\n  web:\n    image: x\n    volumes:\n      - ./site:/site\n"
    two = folder.fleet("name: f\nprivate_net: 10.0.0.0/24\nhosts: {a: ssh://10.0.0.1, b: ssh://10.0.0.2}")
    told = folder.mistakes(lambda: folder.app(text, fleet=two))
    assert told[-1].startswith("5: services.web: ./site is a path of this machine, and hosts do not have it")


def test_a_volume_that_is_a_directory_starts_from_the_projects_one(folder) -> None:
    """compose-go's `Normalize`: an engine knows no directory that a relative path would start from."""
    text = (
        "services: {web: {image: x, volumes: ['a:/a', 'b:/b', 'c:/c', 'd:/d']}}\n"
        "volumes:\n"
        "  a: {driver: local, driver_opts: {type: none, o: bind, device: ./data/../a}}\n"
        "  b: {driver_opts: {o: 'ro,rbind', device: b}}\n"
        "  c: {driver_opts: {type: nfs, o: 'addr=10.0.0.9', device: ':/exports'}}\n"
        "  d: {driver_opts: {type: none, o: bind, device: /srv/d}}\n"
    )
    volumes = folder.app(text).volumes
    assert [volumes[key].driver_opts["device"] for key in "abcd"] == [
        str(folder.path / "a"), str(folder.path / "b"), ":/exports", "/srv/d",
    ]  # fmt: skip
    two = folder.fleet("name: f\nprivate_net: 10.0.0.0/24\nhosts: {a: ssh://10.0.0.1, b: ssh://10.0.0.2}")
    told = [one for one in folder.mistakes(lambda: folder.app(text, fleet=two)) if "volumes." in one]
    assert [one.partition(" | ")[0] for one in told] == [
        "3: volumes.a: ./data/../a is a path of this machine, and hosts do not have it",
        "4: volumes.b: b is a path of this machine, and hosts do not have it",
    ]


def test_a_swarms_roles_are_every_hosts(folder) -> None:
    warned = []
    path = folder.write(
        "compose.yaml",
        "services:\n  web:\n    image: x\n    deploy: {placement: {constraints: [node.role == manager]}}\n  db:\n    image: x\n    deploy:\n",
    )
    app = load_app([path], project=None, environment={}, fleet=None, warn=warned.append)
    assert app.services["web"].placement == Placement()
    assert "have no roles" in warned[0].what


def test_replicas_that_write_one_volume_are_for_this_machine_alone(folder) -> None:
    """docker compose runs them on one host, with the one volume."""
    warned = []
    path = folder.write(
        "compose.yaml",
        "services:\n  db:\n    image: x\n    volumes: [data:/data]\n    deploy:\n      replicas: 2\nvolumes: {data: {}}\n",
    )
    app = load_app([path], project=None, environment={}, fleet=local_fleet({}), warn=warned.append)
    assert app.services["db"].replicas == 2
    what = "services.db: 2 replicas would write to the one volume shop_data"
    assert [(w.line, w.what) for w in warned] == [(6, what)]
    fleet = local_fleet({}).model_copy(update={"local": False})
    [told] = folder.mistakes(lambda: load_app([path], project=None, environment={}, fleet=fleet))
    assert told.startswith(f"6: {what} | write replicas: 1, mount it read_only, or give it")


def test_mistakes_of_a_service_hide_none_of_those_between_services_and_what_stands_beside_them(folder) -> None:
    text = """
services:
  a: {image: x, imag: y, networks: {n: {aliases: [lb]}}}
  b: {image: x, ports: ["99999"], networks: {n: {aliases: [lb]}}}
  c: {image: x, secrets: [none]}
networks: {n: {}}
"""
    told = folder.mistakes(lambda: folder.app(text))
    assert [one.partition(" | ")[0] for one in told] == [
        "3: services.a: unknown key 'imag'",
        "4: services.b.ports[0].target: '99999' is not a port",
        "4: services.b: 'lb' is a's name too on the network n",
        "5: services.c: there is no secret 'none' at the top of the file",
    ]


def test_a_volume_without_a_name_is_told_to_go_with_its_replica(folder) -> None:
    """With Compose the next container has it, too."""
    text = "services:\n  db:\n    image: x\n    volumes:\n      - data:/d\n      - /var/lib/mysql/\n      - .:/src\n"
    warned = []
    path = folder.write("compose.yaml", f"{text}volumes: {{data: }}\n")
    load_app([path], project=None, environment={}, fleet=local_fleet({}), warn=warned.append)
    what = "services.db: what is in /var/lib/mysql goes with each replica, as this volume has no name"
    assert [(w.line, w.what) for w in warned] == [(6, what)]


def test_an_option_of_a_volume_that_is_none_is_left_out_with_a_warning(folder) -> None:
    warned = []
    path = folder.write("compose.yaml", "services:\n  db:\n    image: x\n    volumes:\n    - /data:/d:roz,nocopy\n")
    app = load_app([path], project=None, environment={}, fleet=local_fleet({}), warn=warned.append)
    assert (app.services["db"].mounts[0].read_only, app.services["db"].mounts[0].nocopy) == (False, True)
    told = "services.db: the option 'roz' of this volume is none, and changes nothing"
    assert [(w.line, w.what) for w in warned] == [(5, told)]


# Asks pydantic for the schema of what only services have, as a command does that reads a file.
COUNTED = """
import sys
from pathlib import Path
from bayplan.spec import load_app
from bayplan.spec.written.build import BuildFile

made = []
BuildFile.__get_pydantic_core_schema__ = classmethod(lambda cls, source, handler: made.append(cls) or handler(source))
load_app([Path(sys.argv[1])], project="shop", environment={}, fleet=None)
print(len(made))
"""


def test_a_service_s_schema_is_made_once_for_itself_and_for_the_file(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services: {web: {image: x}}")
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, str(file)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "1"
