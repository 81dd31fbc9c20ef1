"""The examples, as they are, on real hosts."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

from tests.lab import site

from bayplan.lab import Lab

EXAMPLES = Path(__file__).parents[2] / "examples"


def bayplan(lab: Lab, example: str, *words: str, **variables: str) -> str:
    return site.from_scratch(EXAMPLES / example, site.operator(lab) | variables, *words).stdout


def ask(lab: Lab, host: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(lab.hosts[0].private_ip, 80, timeout=10)
    connection.request("GET", "/", headers={"Host": host})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    return json.loads(answer.read())


def test_six_services_call_each_other_by_name(lab: Lab) -> None:
    try:
        bayplan(lab, "03-many", "up")
        hosts = set()
        for _ in range(8):
            shop = ask(lab, "shop.example.com")
            assert shop["service"] == "shop"
            cart, price = shop["asked"]
            assert (cart["service"], price["service"]) == ("cart", "price")
            assert [cart["asked"][0]["service"], price["asked"][0]["service"]] == ["stock", "stock"]
            hosts |= {shop["host"], cart["host"], price["host"]}
        assert len(hosts) >= 2, "calls go from host to host"
        assert ask(lab, "blog.example.com")["asked"][0]["service"] == "likes"
        told = json.loads(bayplan(lab, "03-many", "ps", "--json"))
        counts = {s["service"]: s["replicas"]["ready"] for s in told["services"]}
        assert counts == {"shop": 2, "blog": 2, "cart": 2, "stock": 2, "price": 2, "likes": 1}
    finally:
        bayplan(lab, "03-many", "down")


# 02's database and cache as somebody else's: each at that very port of a host, under no name of the site's.
MANAGED = f"""\
name: managed
services:
  db:
    extends: {{file: {EXAMPLES}/02-lamp/compose.yaml, service: db}}
    ports: [{{target: 3306, published: 3306, mode: host}}]
  cache:
    extends: {{file: {EXAMPLES}/02-lamp/compose.yaml, service: cache}}
    ports: [{{target: 11211, published: 11211, mode: host}}]
volumes: {{data: {{}}}}
secrets: {{db_password: {{file: {EXAMPLES}/02-lamp/secrets/db_password.txt}}}}
"""


def test_a_site_stores_in_its_database_and_its_cache_wherever_they_are(lab: Lab, tmp_path: Path) -> None:
    """02-lamp; then, as 04-external has it, the same with both outside; and back."""
    managed = str(tmp_path / "managed.yaml")
    Path(managed).write_text(MANAGED)
    try:
        bayplan(lab, "02-lamp", "up")
        answers = [ask(lab, "lamp.example.com") for _ in range(9)]
        assert len({a["replica"] for a in answers}) == 3
        assert [a["visits"] for a in answers] == list(range(1, 10))
        assert [a["seen"] for a in answers] == list(range(1, 10))
        assert "visits are summed up" in bayplan(lab, "02-lamp", "exec", "nightly", "php", "/app/bin/nightly.php")
        told = json.loads(bayplan(lab, "02-lamp", "ps", "--json"))
        jobs = {s["service"]: s["instances"][0]["job"] for s in told["services"]}
        assert jobs == {"web": "", "migrate": "done", "nightly": "", "db": "", "cache": ""}
        [volume] = json.loads(bayplan(lab, "02-lamp", "volume", "ls", "--json"))["volumes"]
        to = next(h.name for h in lab.hosts if h.name != volume["host"])
        bayplan(lab, "02-lamp", "volume", "move", "data", "--to", to)
        assert ask(lab, "lamp.example.com")["visits"] == 10
        before = instances(lab, "02-lamp", "web")
        bayplan(lab, "02-lamp", "up", "-f", managed)
        away = {f"{name.upper()}_ADDRESS": address_of(lab, managed, name) for name in ("db", "cache")}
        bayplan(lab, "04-external", "up", **away)
        bayplan(lab, "04-external", "exec", "web", "php", "/app/bin/migrate.php", **away)
        assert [ask(lab, "lamp.example.com")["visits"] for _ in range(3)] == [1, 2, 3]
        assert [instances(lab, "04-external", name) for name in ("web", "db", "cache")] == [before, [], []]
        bayplan(lab, "02-lamp", "up")
        back = ask(lab, "lamp.example.com")
        assert (back["visits"], back["seen"]) == (11, 1)
        assert instances(lab, "02-lamp", "web") == before
    finally:
        bayplan(lab, "02-lamp", "down")
        bayplan(lab, "02-lamp", "down", "-f", managed)


def service(lab: Lab, example: str, name: str, *words: str) -> dict[str, Any]:
    told = json.loads(bayplan(lab, example, "ps", "--json", *words))
    return next(s for s in told["services"] if s["service"] == name)


def instances(lab: Lab, example: str, name: str) -> list[str]:
    return sorted(i["name"] for i in service(lab, example, name)["instances"])


def address_of(lab: Lab, file: str, name: str) -> str:
    [instance] = service(lab, "02-lamp", name, "-f", file)["instances"]
    return next(h.private_ip for h in lab.hosts if h.name == instance["host"])
