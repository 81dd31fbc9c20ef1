from __future__ import annotations

from bayplan.image_config import ImageConfig, read_config
from bayplan.spec.model import Healthcheck


def test_what_an_image_says_of_itself() -> None:
    check = {
        "Test": ["CMD", "true"],
        "Interval": 300_000_000_000,
        "Timeout": 500_000_000,
        "Retries": 2,
        "StartPeriod": 0,
    }
    said = read_config({"ExposedPorts": {"443/tcp": {}, "80": {}, "53/udp": {}, "x": {}}, "Healthcheck": check})
    assert said == ImageConfig((80, 443), Healthcheck(test=("CMD", "true"), interval=300, timeout=0.5, retries=2))


def test_one_that_says_nothing() -> None:
    assert read_config({}) == read_config({"ExposedPorts": None, "Healthcheck": None}) == ImageConfig()
    assert read_config({"Healthcheck": {"Test": ["NONE"]}}).healthcheck == Healthcheck(test=("NONE",))
