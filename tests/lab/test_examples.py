"""The examples, as they are, on real hosts."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bayplan.lab import Lab

EXAMPLES = Path(__file__).parents[2] / "examples"


def bayplan(lab: Lab, example: str, *words: str) -> str:
    argv = [sys.executable, "-m", "bayplan.cli.main", *words]
    environment = {**os.environ, "BAYPLAN_FLEET": str(lab.fleet_file)}
    done = subprocess.run(
        argv, cwd=EXAMPLES / example, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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


def test_a_site_stores_in_its_database_and_its_cache(lab: Lab) -> None:
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
    finally:
        bayplan(lab, "02-lamp", "down")
