"""`bayplan size --svg`: hosts drawn to scale, services as coloured blocks in them, before beside after."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from bayplan.operate.size.answer import Answer
from bayplan.plan.packing.amount import peak
from bayplan.plan.packing.figures import Figures
from bayplan.plan.packing.problem import Load, Problem, Stowed

_PANEL, _GAP, _MARGIN, _TOP = 560, 60, 36, 150
_TALLEST = 900  # of a panel
_SIZES = ((84, 150), (66, 118), (52, 92), (40, 70), (30, 52), (22, 38), (16, 26), (11, 18), (8, 12), (6, 8), (4, 5))
_LABEL = 11  # height of a block that a name fits into
_LEGEND = 14
_FONT = "font-family='system-ui, Helvetica, Arial, sans-serif'"
_INK, _PALE, _LINE, _FREE = "#1c2733", "#66727f", "#9aa5b1", "#f3f5f7"


@dataclass(frozen=True, slots=True)
class _Scale:
    """How the picture is drawn. width, height: of the largest host, in pixels; resource: what heights are."""

    problem: Problem
    resource: str
    largest: float
    width: int
    height: int
    colour: Mapping[str, str]
    load: Mapping[str, Load]

    def host_height(self, host: Stowed) -> float:
        host_type = next(t for t in self.problem.types if t.name == host.type)
        return max(host_type.capacity.get(self.resource, 0.0) / self.largest * self.height, 3.0)


def picture(found: Answer) -> str:
    """An SVG document: what a manager is shown."""
    scale = _scale(found)
    before = sorted(found.alone, key=lambda h: (-scale.host_height(h), _first(h)))
    after = sorted(found.packing.hosts, key=lambda h: (-scale.host_height(h), -sum(h.replicas.values())))
    left, left_height = _panel(before, scale, _MARGIN)
    right, right_height = _panel(after, scale, _MARGIN + _PANEL + _GAP)
    bottom = _TOP + max(left_height, right_height) + 30
    legend, legend_height = _legend(found, scale, bottom)
    width, height = 2 * _MARGIN + 2 * _PANEL + _GAP, bottom + legend_height + 20
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height:.0f}' {_FONT}>",
        f"<rect width='{width}' height='{height:.0f}' fill='white'/>",
        _text(_MARGIN, 48, _headline(found), 28, weight=700),
        _heading(_MARGIN, "One service a host", found.before, scale.resource),
        _heading(_MARGIN + _PANEL + _GAP, "Packed", found.after, scale.resource),
        *left, *right, *legend, "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _scale(found: Answer) -> _Scale:
    problem, use = found.problem, found.after.use
    resource = max(use, key=lambda r: use[r]) if use else ""
    largest = max((t.capacity.get(resource, 0.0) for t in problem.types), default=1.0) or 1.0
    most = max(found.before.hosts, found.after.hosts)
    width, height = next(((w, h) for w, h in _SIZES if _rows(most, w) * (h + _between(w)) <= _TALLEST), _SIZES[-1])
    by_weight = sorted(problem.loads, key=lambda load: -load.replicas * peak(load.demand.get(resource, 0.0)))
    colour = {load.name: _colour(i) for i, load in enumerate(by_weight)}
    return _Scale(problem, resource, largest, width, height, colour, {load.name: load for load in problem.loads})


def _rows(hosts: int, width: int) -> int:
    return -(-hosts // _columns(width))


def _columns(width: int) -> int:
    return max(_PANEL // (width + _between(width)), 1)


def _between(width: int) -> int:
    return max(width // 8, 1)


def _colour(index: int) -> str:
    """Hues a golden angle apart, so that neighbours differ however many there are."""
    light = (0.58, 0.70, 0.48)[index % 3]
    red, green, blue = colorsys.hls_to_rgb((0.58 + index * 0.381966) % 1.0, light, 0.55)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _first(host: Stowed) -> str:
    return next(iter(host.replicas), "")


def _headline(found: Answer) -> str:
    before, after = found.before, found.after
    saved = 1 - after.cost / before.cost if before.cost else 0.0
    less = f": {saved:.0%} less to pay" if saved > 0 else ""
    return f"{after.hosts:,} hosts instead of {before.hosts:,}{less}"


def _heading(x: float, title: str, figures: Figures, resource: str) -> str:
    kinds = " + ".join(f"{count:,} {name}" for name, count in figures.by_type.items())
    use = f"{figures.use.get(resource, 0.0):.0%} of their {resource} in use" if resource else ""
    return _text(x, 96, title, 19, weight=600) + _text(x, 120, f"{kinds} · {use}", 14, fill=_PALE)


def _text(x: float, y: float, text: str, size: float, weight: int = 400, fill: str = _INK) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size:g}' font-weight='{weight}' fill='{fill}'>{escape(text)}</text>"
    )


def _panel(hosts: Sequence[Stowed], scale: _Scale, x: float) -> tuple[list[str], float]:
    """The hosts in rows, as many as there is room for; and how high that is."""
    across, gap = _columns(scale.width), _between(scale.width)
    room = max(int(_TALLEST // (scale.height + gap)), 1) * across
    parts: list[str] = []
    top = float(_TOP)
    shown = hosts[:room]
    for start in range(0, len(shown), across):
        row = shown[start : start + across]
        tallest = max(scale.host_height(h) for h in row)
        for i, host in enumerate(row):
            parts += _host(host, scale, x + i * (scale.width + gap), top + tallest)
        top += tallest + gap
    if len(hosts) > room:
        parts.append(_text(x, top + 14, f"and {len(hosts) - room:,} more", 14, fill=_PALE))
        top += 20
    return parts, top - _TOP


def _host(host: Stowed, scale: _Scale, x: float, floor: float) -> Iterator[str]:
    """Its blocks from the floor up, as high as they are in the slot of the day when it is fullest."""
    height = scale.host_height(host)
    yield f"<g><title>{escape(_told(host))}</title>"
    yield _box(x, floor - height, scale.width, height, _FREE)
    at = floor
    if not host.replicas and scale.width >= 40:  # noqa: PLR2004  as below
        yield _text(x + 4, floor - height / 2 + 4, "stands by", _LABEL, fill=_PALE)
    for service, count, tall in _blocks(host, scale):
        for _ in range(count):
            at -= tall
            yield _box(x, at, scale.width, tall, scale.colour[service])
            if tall >= _LABEL and scale.width >= 40:  # noqa: PLR2004  narrower, a name is not read
                size = min(_LABEL, tall * 0.7)
                yield _text(x + 4, at + tall / 2 + size * 0.35, service[: int(scale.width / size * 1.7)], size)
    yield f"<rect x='{x:.1f}' y='{floor - height:.1f}' width='{scale.width}' height='{height:.1f}' fill='none' "
    yield f"stroke='{_LINE}' stroke-width='{1 if scale.width > 10 else 0.4}'/></g>"  # noqa: PLR2004


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    edge = " stroke='white' stroke-width='0.6'" if height > 4 and fill != _FREE else ""  # noqa: PLR2004
    return f"<rect x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}' fill='{fill}'{edge}/>"


def _blocks(host: Stowed, scale: _Scale) -> list[tuple[str, int, float]]:
    """(service, replicas, height of one) of a host, at its fullest slot."""
    demand = {s: scale.load[s].demand.get(scale.resource, 0.0) for s in host.replicas}
    slots = max((len(d) for d in demand.values() if isinstance(d, tuple)), default=1)
    each = {s: d if isinstance(d, tuple) else (d,) * slots for s, d in demand.items()}
    fullest = max(range(slots), key=lambda t: sum(each[s][t] * n for s, n in host.replicas.items()))
    tall = [(s, n, each[s][fullest] / scale.largest * scale.height) for s, n in host.replicas.items()]
    return sorted(tall, key=lambda b: (-b[2], b[0]))


def _told(host: Stowed) -> str:
    return f"{host.type}: " + (", ".join(f"{n} x {s}" for s, n in host.replicas.items()) or "stands by")


def _legend(found: Answer, scale: _Scale, top: float) -> tuple[list[str], float]:
    """The services that weigh most, what is drawn, and what is proven."""
    parts: list[str] = []
    heaviest = list(scale.colour)[:_LEGEND]
    across = 7
    step = (2 * _PANEL + _GAP) / across
    for i, name in enumerate(heaviest):
        x, y = _MARGIN + (i % across) * step, top + (i // across) * 22
        parts.append(_box(x, y, 13, 13, scale.colour[name]))
        parts.append(_text(x + 19, y + 11, f"{name[:16]} x {scale.load[name].replicas}", 12, fill=_PALE))
    y = top + (-(-len(heaviest) // across)) * 22 + 22
    parts.append(_text(_MARGIN, y, _note(found, scale), 13, fill=_PALE))
    return parts, y - top + 10


def _note(found: Answer, scale: _Scale) -> str:
    bound = found.packing.cheapest.value
    told = [f"A box is a host, its height its {scale.resource}; a block is one replica."]
    if found.gap:
        told.append(f"At most {found.gap:.1%} above the least cost possible ({bound:,.10g}).")
    else:
        told.append("Proven: it cannot be done for less.")
    if found.problem.tolerate:
        told.append(f"With any {found.problem.tolerate} lost, all of it still fits on the rest.")
    return " ".join(told)
