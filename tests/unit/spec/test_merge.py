"""Several files (Compose Specification, "Merge and override"): what is under `web` in the first, and in the second."""

from __future__ import annotations

from bayplan.spec.model import Port


def test_maps_merge_and_scalars_are_replaced(folder) -> None:
    web = folder.web("user: a\ndeploy: {replicas: 2, resources: {limits: {cpus: 1}}}", "user: b\ndeploy: {replicas: 3}")
    assert (web.user, web.replicas, web.resources.limit_cpus) == ("b", 3, 1)


def test_commands_are_replaced(folder) -> None:
    web = folder.web(
        "command: [a, b]\nhealthcheck: {test: [CMD, a], retries: 9}", "command: [c]\nhealthcheck: {test: b}"
    )
    assert web.command == ("c",)
    assert web.healthcheck.test == ("CMD-SHELL", "b")
    assert web.healthcheck.retries == 9


def test_environment_merges_in_either_form(folder) -> None:
    for one, two in (("{A: 1, B: 1}", "[B=2, C=2]"), ("[A=1, B=1]", "{B: 2, C: 2}"), ("[A=1, B=1]", "[B=2, C=2]")):
        assert folder.web(f"environment: {one}", f"environment: {two}").environment == {"A": "1", "B": "2", "C": "2"}


def test_lists_are_appended(folder) -> None:
    folder.write("a.env", "A=a")
    folder.write("b.env", "B=b\nA=b")
    assert folder.web("env_file: a.env", "env_file: [b.env]").environment == {"A": "b", "B": "b"}


def test_ports_are_unique(folder) -> None:
    web = folder.web("ports: ['80:80', '81:81']", "ports: [{target: 81, published: 81, app_protocol: http}, '82:82']")
    assert list(web.ports) == [
        Port(published=80, target=80, app_protocol="http"),
        Port(published=81, target=81, app_protocol="http"),
        Port(published=82, target=82),
    ]


def test_secrets_and_configs_are_one_at_a_place(folder) -> None:
    """Also where only one of the two says which place that is."""
    folder.environment = {"A": "a"}
    app = folder.app(
        "services: {web: {image: x, configs: [nginx.conf], secrets: [key, {source: key, target: other}]}}\n"
        "configs: {nginx.conf: {content: a}, dev: {content: b}}\nsecrets: {key: {environment: A}}",
        "services: {web: {configs: [{source: dev, target: /nginx.conf}], "
        "secrets: [{source: key, target: /run/secrets/key, mode: 0400}, {source: key, target: other, uid: 7}]}}",
    )
    web = app.services["web"]
    assert [(c.source, c.target) for c in web.configs] == [("dev", "/nginx.conf")]
    assert [(s.target, s.mode, s.uid) for s in web.secrets] == [
        ("/run/secrets/key", 0o400, 0),
        ("/run/secrets/other", 0o444, 7),
    ]


def test_build_merges_in_either_form(folder) -> None:
    folder.write("site/Dockerfile", "FROM x")
    build = folder.web("build: site", "build: {args: [A=1]}").build
    assert (build.context, build.args) == (str(folder.path / "site"), {"A": "1"})


def test_reset_takes_away(folder) -> None:
    web = folder.web(
        "ports: ['80:80']\nenvironment: {A: 1, B: 2}\nuser: x",
        "ports: !reset []\nenvironment: {A: !reset null}\nuser: !reset",
    )
    assert (web.ports, web.environment, web.user) == ((), {"B": "2"}, "")


def test_override_replaces(folder) -> None:
    web = folder.web(
        "ports: ['80:80']\nenvironment: {A: 1}", "ports: !override ['81:81']\nenvironment: !override {B: 2}"
    )
    assert (list(web.ports), web.environment) == ([Port(published=81, target=81)], {"B": "2"})


def test_relative_paths_start_from_the_first_file(folder) -> None:
    folder.write("Dockerfile", "FROM x")
    folder.write("more/over.yaml", "services: {web: {build: .}}")
    from bayplan.spec import load_app, local_fleet

    first = folder.write("compose.yaml", "services: {web: {image: x}}")
    app = load_app([first, folder.path / "more/over.yaml"], project=None, environment={}, fleet=local_fleet({}))
    assert app.services["web"].build.context == str(folder.path)


def test_a_later_file_is_interpolated_by_itself(folder) -> None:
    folder.environment = {"A": "a"}
    assert folder.web("user: $A", "working_dir: /$A").working_dir == "/a"


def test_mistakes_name_the_file_that_has_them(folder) -> None:
    from bayplan.errors import SpecError

    try:
        folder.web("user: a", "usr: b")
    except SpecError as error:
        (mistake,) = error.mistakes
        assert (mistake.file, mistake.line) == ("1.yaml", 3)
    else:
        raise AssertionError
