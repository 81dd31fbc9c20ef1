"""Samples of usage in a database."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bayplan.errors import BayplanError
from bayplan.ports import Sample
from bayplan.store.usage import KEPT, SqlUsage


def sample(time: float, app: str = "shop", cpus: float = 0.25) -> Sample:
    return Sample(time, app, "web", "shop-web-1-r1", "h1", cpus, 64 * 1024**2)


def test_what_was_kept_is_found_again_by_another_run(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new/state.db"
    kept = [sample(1.0), sample(2.0, cpus=0.5)]
    asyncio.run(SqlUsage(url, "t").add([*kept, sample(2.0, app="other")]))
    again = SqlUsage(url, "t")
    assert asyncio.run(again.since("shop", 0.0)) == tuple(kept)
    assert asyncio.run(again.since("shop", 1.5)) == (kept[1],)


def test_fleets_in_one_database_are_told_apart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    asyncio.run(SqlUsage(url, "t").add([sample(1.0)]))
    assert asyncio.run(SqlUsage(url, "u").since("shop", 0.0)) == ()


def test_what_is_older_than_a_week_goes(tmp_path: Path) -> None:
    store = SqlUsage(f"sqlite:///{tmp_path}/state.db", "t")
    asyncio.run(store.add([sample(1.0)]))
    asyncio.run(store.add([sample(KEPT + 2.0)]))
    assert [s.time for s in asyncio.run(store.since("shop", 0.0))] == [KEPT + 2.0]


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("nonsense", "is not the URL of a database"),
        ("nosuch://x/y", "is not the URL of a database"),
        ("mysql+aiomysql9://u:secret@h/d", "is not the URL of a database"),
    ],
)
def test_a_store_that_cannot_be_is_told(url: str, what: str) -> None:
    with pytest.raises(BayplanError, match=what) as caught:
        asyncio.run(SqlUsage(url, "t").since("shop", 0.0))
    assert "secret" not in str(caught.value)


def test_a_driver_that_is_missing_is_named() -> None:
    with pytest.raises(BayplanError, match="driver psycopg of postgresql is not installed") as caught:
        asyncio.run(SqlUsage("postgresql://u:secret@h/d", "t").since("shop", 0.0))
    assert "pip install 'psycopg[binary]'" in caught.value.todo


def test_a_database_that_does_not_open_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("no database, and longer than a header of one would have to be")
    with pytest.raises(BayplanError, match="not a database"):
        asyncio.run(SqlUsage(f"sqlite:///{tmp_path}/state.db", "t").since("shop", 0.0))
