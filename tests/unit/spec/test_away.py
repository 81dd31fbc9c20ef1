"""`x-bayplan.external.tls`: what is believed of a managed service."""

from __future__ import annotations

import pytest
from tests.certificates import authority

from bayplan.spec.render import render

MANAGED = "x-bayplan: {external: {address: db.example.com, port: 6380%s}}"


def test_without_tls_nothing_is_checked(folder) -> None:
    for written in ("", ", tls: false"):
        away = folder.web(MANAGED % written).external
        assert (away.tls, away.name, away.ca) == (False, "", "")


def test_the_name_is_the_address_unless_another_is_written(folder) -> None:
    away = folder.web(MANAGED % ", tls: true").external
    assert (away.tls, away.name, away.ca) == (True, "db.example.com", "")
    other = folder.web("x-bayplan: {external: {address: 10.0.0.9, port: 1, tls: {name: db.internal}}}").external
    assert (other.tls, other.name) == (True, "db.internal")


def test_a_release_has_the_certificates_themselves_and_no_comments(folder) -> None:
    ca = authority(folder.path).ca.read_text()
    folder.write("ca.pem", f"# of a provider\nsubject=x\n{ca}\n{ca}")
    away = folder.web(MANAGED % ", tls: {ca: ca.pem}").external
    assert away.ca == ca + ca


def test_config_prints_what_reads_as_the_same(folder) -> None:
    authority(folder.path)
    app = folder.app("services:\n  web: {" + MANAGED % ", tls: {ca: ./ca.pem, name: x.org}" + "}")
    folder.path.joinpath("ca.pem").unlink()
    assert folder.app(render(app)) == app


def test_an_included_file_has_its_own_directory(folder) -> None:
    folder.path.joinpath("db").mkdir()
    ca = authority(folder.path / "db").ca
    folder.write("db/compose.yaml", "services:\n  db: {" + MANAGED % ", tls: {ca: ./ca.pem}" + "}")
    assert folder.app("include: [db/compose.yaml]").services["db"].external.ca == ca.read_text()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{address: 10.0.0.9, port: 1, tls: true}", "name is not known, 10.0.0.9 is an address | write tls: {name: …}"),
        ("{address: a.b, port: 1, tls: {ca: none.pem}}", "tls.ca: there is no "),
        ("{address: a.b, port: 1, tls: {ca: compose.yaml}}", "has no certificates in PEM form"),
        ("{address: a.b, port: 1, tls: {ca: broken.pem}}", "has no certificates in PEM form"),
        ("{address: a.b, port: 1, tls: {ca: huge.pem}}", "of certificates, of at most 64"),
        ("{address: a.b, port: 1, tls: {cert: x}}", "cert"),
    ],
)
def test_what_cannot_be_believed_is_told(folder, written: str, told: str) -> None:
    folder.write("broken.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    folder.write("huge.pem", authority(folder.path).ca.read_text() * 150)
    [mistake] = folder.mistakes(lambda: folder.web(f"x-bayplan: {{external: {written}}}"))
    assert told in mistake
