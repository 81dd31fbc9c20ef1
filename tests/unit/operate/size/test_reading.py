"""Bad input of `bayplan size`: each a sentence with file, line and column, all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bayplan.errors import SpecError
from bayplan.operate.size.reading import Asked, Files, read_problem

GOOD = {
    "services": "service,replicas,cpu,memory\nweb,3,1,2\ndb,1,2,8\n",
    "hosts": "type,count,price,cpu,memory\nsmall,,1,4,16\n",
    "usage": "service,resource,v0,v1\nweb,cpu,0.5,1\n",
    "apart": "service,other,limit\nweb,web,2\nweb,db,0\n",
}


def read(folder: Path, **changed: str) -> Asked:
    for name, text in {**GOOD, **changed}.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    files = Files(*(folder / f"{name}.csv" for name in GOOD))
    return read_problem(files, headroom=0.0, tolerate=0)


def mistakes(folder: Path, **changed: str) -> list[str]:
    with pytest.raises(SpecError) as raised:
        read(folder, **changed)
    return [f"{Path(m.file).name}:{m.line}: {m.what}" for m in raised.value.mistakes]


def test_good_files_are_read(tmp_path: Path) -> None:
    problem = read(tmp_path).problem
    assert [(s.name, s.replicas, dict(s.demand), s.limit) for s in problem.loads] == [
        ("web", 3, {"cpu": (0.5, 1.0), "memory": 2.0}, 2),
        ("db", 1, {"cpu": 2.0, "memory": 8.0}, None),
    ]
    assert [(t.name, t.count, t.price) for t in problem.types] == [("small", None, 1.0)]
    assert [(r.service, r.other, r.limit) for r in problem.apart] == [("web", "db", 0)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"services": "service,cpu\nweb,1\n"}, "services.csv:1: column replicas is missing"),
        ({"services": ""}, "services.csv:0: is empty"),
        ({"services": "service,replicas,cpu,memory\n"}, "services.csv:1: has no line after its first"),
        ({"services": "service,replicas,cpu,memory\nweb,3,fast,2\n"}, "services.csv:2: column cpu: 'fast' is not a number"),
        ({"services": "service,replicas,cpu,memory\nweb,-3,1,2\n"}, "services.csv:2: column replicas: -3 is negative"),
        ({"services": "service,replicas,cpu,memory\nweb,1.5,1,2\n"}, "services.csv:2: column replicas: 1.5 is not a whole number"),
        ({"services": "service,replicas,cpu,memory\nweb,3,inf,2\n"}, "services.csv:2: column cpu: inf is not a finite number"),
        ({"services": "service,replicas,cpu,memory\nweb,3,nan,2\n"}, "services.csv:2: column cpu: nan is not a finite number"),
        ({"services": "service,replicas,cpu,memory,gpu\nweb,3,1,2,1\n"}, "services.csv:1: column gpu: no host has it"),
        ({"services": "service,replicas,cpu,memory\nweb,3,1\n"}, "services.csv:2: column memory: is missing: the line has 3 of 4 fields"),
        ({"services": "service,replicas,cpu,memory\nweb,3,1,2\nweb,1,1,2\n"}, "services.csv:3: column service: web is in line 2 already"),
        (
            {"services": "service,replicas,cpu,memory\nweb,3,9,2\n", "usage": "service,resource,v0\nweb,memory,1\n", "apart": "service,other,limit\nweb,web,2\n"},
            "services.csv:2: column cpu: web fits on no host: needs 9, small has 4: short by 5",
        ),
        ({"hosts": "type,count,price,cpu,memory\nsmall,two,1,4,16\n"}, "hosts.csv:2: column count: 'two' is not a number"),
        ({"usage": "service,resource,v0,v1\nweb,cpu,0.5\n"}, "usage.csv:2: column v1: is missing: the line has 3 of 4 fields"),
        ({"usage": "service,resource,v0\nwww,cpu,1\n"}, "usage.csv:2: column service: there is no service www"),
        ({"usage": "service,resource,v0\nweb,gpu,1\n"}, "usage.csv:2: column resource: services have no gpu"),
        ({"apart": "service,other,limit\nweb,cache,1\n"}, "apart.csv:2: column other: there is no service cache"),
        ({"apart": "service,other,limit\nweb,db,1\nweb,db,2\n"}, "apart.csv:3: column limit: line 2 says 1, this one 2"),
        ({"apart": "service,other,limit\nweb,web,0\n"}, "apart.csv:2: column limit: web has 3 replicas and may stand nowhere"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    assert said in mistakes(tmp_path, **changed)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    told = mistakes(
        tmp_path,
        services="service,replicas,cpu,memory\nweb,x,1,2\ndb,1,-2,8\n",
        hosts="type,count,price,cpu,memory\nsmall,,free,4,16\n",
    )
    assert [line.split(": ")[1] for line in told] == ["column replicas", "column cpu", "column price"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    read(tmp_path)
    with pytest.raises(SpecError, match="there is no"):
        read_problem(Files(tmp_path / "none.csv", tmp_path / "hosts.csv"), headroom=0.0, tolerate=0)
