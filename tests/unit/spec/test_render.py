"""`bayplan config`: what it prints is the same app when it is read again."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayplan.spec import load_app, local_fleet
from bayplan.spec.model import App, Healthcheck, Http, Placement, Port, Probe, Resources, Service, Update
from bayplan.spec.render import render

TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufeff"), max_size=12)
NAME = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,10}", fullmatch=True)
SECONDS = st.integers(0, 10**9).map(lambda n: n / 1000)
PAIRS = st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,8}", fullmatch=True), TEXT, max_size=3)
WORDS = st.none() | st.lists(TEXT, max_size=3).map(tuple)
PORT = st.integers(1, 19999)


@st.composite
def services(draw: st.DrawFn, name: str) -> Service:
    limit = draw(st.none() | st.integers(1, 1 << 40))
    return Service(
        name=name,
        image=draw(st.sampled_from(["x", "localhost:5000/a/b@sha256:" + "0" * 64])),
        command=draw(WORDS),
        entrypoint=draw(WORDS),
        environment=draw(PAIRS) | draw(st.just({}) | st.just({"GONE": None})),
        labels=draw(PAIRS),
        user=draw(TEXT),
        working_dir=draw(TEXT),
        init=draw(st.none() | st.booleans()),
        restart=draw(st.sampled_from(["no", "always", "on-failure:3", "unless-stopped"])),
        stop_signal=draw(st.sampled_from(["", "SIGINT", "SIGRTMIN+3"])),
        stop_grace_period=draw(SECONDS),
        healthcheck=draw(
            st.none()
            | st.just(Healthcheck(test=("NONE",)))
            | st.builds(
                Healthcheck,
                test=st.lists(TEXT, min_size=1, max_size=2).map(lambda w: ("CMD", *w)) | st.just(()),
                interval=st.none() | SECONDS,
                timeout=st.none() | SECONDS,
                start_period=st.none() | SECONDS,
                retries=st.none() | st.integers(0, 9),
            ).filter(lambda check: check != Healthcheck())
        ),
        ports=tuple(
            Port(target=t, published=t, app_protocol=p)
            for t, p in draw(st.dictionaries(PORT, st.sampled_from(["http", "tcp"]), min_size=1, max_size=2)).items()
        ),
        replicas=draw(st.integers(0, 99)),
        resources=Resources(
            reserved_memory=draw(st.integers(0, limit or 1 << 40)),
            reserved_cpus=draw(st.sampled_from([0.0, 0.05, 1.5])),
            limit_cpus=draw(st.sampled_from([None, 1.5, 2.0])),
            limit_memory=limit,
            limit_pids=draw(st.none() | st.integers(1, 999)),
        ),
        placement=draw(
            st.builds(
                Placement,
                constraints=st.sampled_from([(), ("node.labels.disk == ssd",)]),
                spread=st.sampled_from([(), ("node.zone", "node.labels.rack")]),
                max_per_host=st.none() | st.integers(1, 9),
            )
        ),
        update=draw(
            st.builds(Update, order=st.sampled_from(["start-first", "stop-first"]), parallelism=st.integers(0, 9))
        ),
        http=draw(
            st.none()
            | st.builds(
                Http,
                hosts=st.just(()) | st.just((f"{name.strip('-_')}.example",)),
                path=st.just(f"/{name}"),
                sticky=st.booleans(),
            )
        ),
        probe=draw(
            st.just(Probe())
            | st.builds(Probe, kind=st.just("http"), path=st.just("/h"), interval=SECONDS, timeout=SECONDS)
        ),
        drain=draw(SECONDS),
        proxy_protocol=draw(st.booleans()),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), NAME)
def test_what_is_printed_reads_as_the_same_app(data: st.DataObject, name: str) -> None:
    app = App(name=name, services={"web": data.draw(services("web"))})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resolved.yaml"
        path.write_text(render(app))
        again = load_app([path], project=None, environment={}, fleet=local_fleet({}))
    assert again.name == name
    assert again.services["web"].model_dump(exclude={"ports", "replicas"}) == app.services["web"].model_dump(
        exclude={"ports", "replicas"}
    )
    assert again.services["web"].ports == app.services["web"].ports


def test_builds_are_printed(folder) -> None:
    folder.write("site/Dockerfile", "FROM x")
    app = folder.app("services: {web: {build: {context: site, args: {A: $$1}}}}")
    again = folder.write("again.yaml", render(app))
    assert load_app([again], project=None, environment={}, fleet=local_fleet({})) == app


def test_options_of_a_named_volume_are_printed_as_they_were_written(folder) -> None:
    text = render(folder.app("services: {web: {image: x, volumes: ['d:/d:Z', 'd:/e:ro,z']}}\nvolumes: {d: {}}"))
    assert text.count("selinux: Z") == text.count("selinux: z") == 1
    again = folder.write("again.yaml", text)
    assert render(load_app([again], project=None, environment={}, fleet=local_fleet({}))) == text


def test_the_verb(folder, capsys) -> None:
    from bayplan.cli.config import SchemaOf, config

    folder.write("compose.yaml", "name: shop\nservices: {a: {image: x}, b: {image: x}, c: {image: z}}")
    config(services=True)
    assert capsys.readouterr().out == "a\nb\nc\n"
    config(images=True)
    assert capsys.readouterr().out == "x\nz\n"
    config(quiet=True)
    assert capsys.readouterr().out == ""
    config(json=True)
    assert json.loads(capsys.readouterr().out)["services"]["a"]["image"] == "x"
    config()
    assert capsys.readouterr().out.startswith("name: shop\nservices:\n  a:\n    image: x\n")
    config(schema=SchemaOf.fleet)
    assert json.loads(capsys.readouterr().out)["title"] == "fleet.yaml of bayplan"
