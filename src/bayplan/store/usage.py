"""What replicas used, sample by sample, in a database: SQLite, unless the fleet names another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import BigInteger, Column, Float, Index, MetaData, String, Table, create_engine, delete, insert, select
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from bayplan.errors import BayplanError
from bayplan.ports import Sample

KEPT = 8 * 86_400.0  # seconds: a week and a day

_METADATA = MetaData()
_USAGE = Table(
    "usage",
    _METADATA,
    Column("time", Float, nullable=False),
    Column("fleet", String(255), nullable=False),
    Column("app", String(255), nullable=False),
    Column("service", String(255), nullable=False),
    Column("replica", String(255), nullable=False),
    Column("host", String(255), nullable=False),
    Column("cpus", Float, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Index("usage_of_app", "fleet", "app", "time"),
)
_DRIVERS = {"postgresql": "'psycopg[binary]'", "mysql": "mysqlclient"}


class SqlUsage:
    """The samples of one fleet. url: as SQLAlchemy has it; the table is made when it is first written to."""

    def __init__(self, url: str, fleet: str) -> None:
        self._url, self._fleet = url, fleet
        self._engine: Engine | None = None

    async def add(self, samples: Sequence[Sample]) -> None:
        """Keep them; what is older than a week and a day goes. Raises BayplanError."""
        await asyncio.to_thread(self._add, samples)

    async def since(self, app: str, start: float) -> tuple[Sample, ...]:
        """The app's, from that time on (seconds since 1970), the oldest first. Raises BayplanError."""
        return await asyncio.to_thread(self._since, app, start)

    def _add(self, samples: Sequence[Sample]) -> None:
        if not samples:
            return
        with self._speaking() as engine, engine.begin() as connection:
            connection.execute(insert(_USAGE), [asdict(s) | {"fleet": self._fleet} for s in samples])
            old = max(s.time for s in samples) - KEPT
            connection.execute(delete(_USAGE).where(_USAGE.c.fleet == self._fleet, _USAGE.c.time < old))

    def _since(self, app: str, start: float) -> tuple[Sample, ...]:
        columns = [c for c in _USAGE.c if c.name != "fleet"]
        mine = (_USAGE.c.fleet == self._fleet, _USAGE.c.app == app, _USAGE.c.time >= start)
        wanted = select(*columns).where(*mine).order_by(_USAGE.c.time, _USAGE.c.replica)
        with self._speaking() as engine, engine.begin() as connection:
            return tuple(Sample(**row) for row in connection.execute(wanted).mappings())

    @contextmanager
    def _speaking(self) -> Iterator[Engine]:
        """Everything that the database, or its driver, may say, in our words; no password in them."""
        try:
            if self._engine is None:
                self._engine = _opened(self._url)
            yield self._engine
        except ModuleNotFoundError as error:
            kind = make_url(self._url).get_backend_name()
            package = _DRIVERS.get(kind, "its driver")
            todo = f"install it beside bayplan: pip install {package}"
            raise BayplanError(
                f"the driver {error.name} of {kind} is not installed", where="store", todo=todo
            ) from error
        except (ArgumentError, NoSuchModuleError) as error:
            todo = "write store: sqlite:///state.db, or postgresql://user:password@host/database"
            raise BayplanError(
                "is not the URL of a database that SQLAlchemy knows", where="store", todo=todo
            ) from error
        except SQLAlchemyError as error:
            shown = make_url(self._url).render_as_string(hide_password=True)
            why = str(error.__cause__ or error).strip().splitlines()[0]
            raise BayplanError(f"{shown}: {why}", where="store") from error


def _opened(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed)
    _METADATA.create_all(engine)
    return engine
