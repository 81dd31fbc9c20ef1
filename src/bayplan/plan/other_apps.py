"""Networks that several apps are on: their services know each other by name, as in one app.

Networks are one where their own names are: what a file calls `name`, else APP_KEY. The gateways' tables tell on which
each app's services are, and what they are called there; so an app that comes or goes is known to the others, or no
longer, and nobody of them starts anew. A name that one app has there stays its own: another's service of that name is
known to others as SERVICE.APP alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from bayplan.facts import Facts
from bayplan.routing import Names
from bayplan.spec.model import App, Service

Claimed = Mapping[str, Mapping[str, str]]  # by network and name: SERVICE.APP of whom it leads to

_TOLD = 3  # names in a note


def networks_of(app: App, service: Service, claimed: Claimed) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Its networks by their own names, and what other apps call it on each: what none of them has there."""
    for key, aliases in service.networks.items():
        network = own_name(app, key)
        theirs = claimed.get(network, {})
        yield network, tuple(name for name in dict.fromkeys((service.name, *aliases)) if name not in theirs)


def claimed_by_others(facts: Facts, app: App) -> Claimed:
    """What services of the fleet's other apps are called on the networks that the app is on."""
    mine, found = frozenset(_networks(app).values()), defaultdict[str, dict[str, str]](dict)
    for known in (n for table in facts.tables() for n in table.names if n.app != app.name and n.address):
        for network, called in known.networks:
            if network in mine:
                found[network] |= dict.fromkeys(called, f"{known.service}.{known.app}")
    return found


def own_name(app: App, key: str) -> str:
    """A network's, by which other apps know it."""
    return app.networks[key].name if key in app.networks else f"{app.name}_{key}"


def _networks(app: App) -> dict[str, str]:
    """The own names of those that its services are on, by their keys."""
    return {key: own_name(app, key) for service in app.services.values() for key in service.networks}


def shares(app: App, joined: Collection[str]) -> bool:
    """Whether services of other apps may know its services. joined: as `networks_of_others`."""
    return any(name != f"{app.name}_{key}" or name in joined for key, name in _networks(app).items())


def networks_of_others(facts: Facts, app: str) -> frozenset[str]:
    """Networks, by their own names, that services of the fleet's other apps are on."""
    names = (n for table in facts.tables() for n in table.names if n.app != app)
    return frozenset(network for known in names for network, _ in known.networks)


def is_known_by(known: Names, others: Iterable[Names]) -> bool:
    """Whether any of those, of other apps, has it in its /etc/hosts."""
    mine = {network for network, _ in known.networks}
    return bool(known.address) and any(network in mine for other in others for network, _ in other.networks)


def hosts_files(names: Iterable[Names]) -> Iterator[tuple[Names, str]]:
    """The whole /etc/hosts of each: its text, then the services of other apps on the same networks."""
    everybody = tuple(names)
    there: dict[str, list[tuple[Names, tuple[str, ...]]]] = defaultdict(list)
    for known in everybody:
        for network, called in known.networks if known.address else ():
            there[network].append((known, called))
    for known in everybody:
        yield known, known.text + "".join(f"{line}\n" for line in _others(known, there))


def _others(known: Names, there: Mapping[str, Iterable[tuple[Names, tuple[str, ...]]]]) -> Iterator[str]:
    """Each by SERVICE.APP, and by those of its names there that are no other's."""
    met: dict[Names, dict[str, None]] = defaultdict(dict)
    for network, _ in known.networks:
        for other, called in there.get(network, ()):
            if other.app != known.app:
                met[other] |= dict.fromkeys(called)
    owners = Counter(name for called in met.values() for name in called)
    own = {word for line in known.text.splitlines() for word in line.split()[1:]} if met else set()
    for other, words in sorted(met.items(), key=lambda found: (found[0].app, found[0].service)):
        free = (name for name in words if owners[name] == 1 and name not in own)
        yield " ".join((other.address, f"{other.service}.{other.app}", *free))


def notes(app: App, facts: Facts) -> Iterator[str]:
    """Of networks that are shared: where nobody else is to be reached, and names there that others have already."""
    claimed = claimed_by_others(facts, app)
    stand = {n.service for table in facts.tables() for n in table.names if n.app == app.name and n.address}
    for key, network in _networks(app).items():
        if key in app.networks and app.networks[key].external and network not in claimed:
            yield from _nobody(key, network, app, facts)
        new = [s for s in app.services.values() if key in s.networks and not s.is_job and s.name not in stand]
        mine = {name: f"{s.name}.{app.name}" for s in new for name in (s.name, *s.networks[key])}
        theirs = claimed.get(network, {})
        for name in [name for name in mine if name in theirs][:_TOLD]:
            yield (
                f"networks.{key}: other apps on {network} reach {theirs[name]} by the name {name}, as before, "
                f"and this one's by {mine[name]}"
            )


def _nobody(key: str, network: str, app: App, facts: Facts) -> Iterator[str]:
    names = (n for table in facts.tables() for n in table.names if n.app != app.name)
    if alone := ", ".join(sorted({n.app for n in names if any(of == network for of, _ in n.networks)})):
        yield f"networks.{key}: {alone} was alone on {network}; its services are known here once it is brought up again"
    else:
        yield f"networks.{key}: no other app of the fleet is on {network} yet; who comes is known here then"
