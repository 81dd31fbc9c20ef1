"""Networks that several apps are on: their services know each other by name, as in one app.

Networks are one where their own names are: what a file calls `name`, else APP_KEY. The gateways' tables tell on which
each app's services are, and what they are called there; so an app that comes or goes is known to the others, or no
longer, and nobody of them starts anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from bayplan.facts import Facts
from bayplan.routing import Names
from bayplan.spec.model import App, Service

_TOLD = 3  # names in a note


def networks_of(app: App, service: Service) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Its networks by their own names, and what it is called on each."""
    for key, aliases in service.networks.items():
        yield own_name(app, key), tuple(dict.fromkeys((service.name, *aliases)))


def own_name(app: App, key: str) -> str:
    """A network's, by which other apps know it."""
    return app.networks[key].name if key in app.networks else f"{app.name}_{key}"


def shares(app: App, joined: Collection[str]) -> bool:
    """Whether services of other apps may know its services. joined: as `networks_of_others`."""
    used = {key for service in app.services.values() for key in service.networks}
    meant = {own_name(app, key) for key in used if own_name(app, key) != f"{app.name}_{key}"}
    return bool(meant) or any(own_name(app, key) in joined for key in used)


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
    owners = _owners(met)
    own = {word for line in known.text.splitlines() for word in line.split()[1:]} if met else set()
    for other, words in sorted(met.items(), key=lambda found: (found[0].app, found[0].service)):
        free = (name for name in words if len(owners[name]) == 1 and name not in own)
        yield " ".join((other.address, f"{other.service}.{other.app}", *free))


def _owners(met: Mapping[Names, Iterable[str]]) -> Mapping[str, set[Names]]:
    found: dict[str, set[Names]] = defaultdict(set)
    for other, called in met.items():
        for name in called:
            found[name].add(other)
    return found


def notes(app: App, facts: Facts) -> Iterator[str]:
    """Of networks that are shared: where nobody else is to be reached, and names there that lead to nobody."""
    for key in dict.fromkeys((*app.networks, *(key for s in app.services.values() for key in s.networks))):
        network, external = own_name(app, key), key in app.networks and app.networks[key].external
        there = {n: dict(n.networks)[network] for n in _on(network, app, facts)}
        reached = {known: called for known, called in there.items() if known.address}
        here = [s for s in app.services.values() if key in s.networks and not s.is_job]
        mine = {name: f"{s.name}.{app.name}" for s in here for name in (s.name, *s.networks[key])}
        if external and not reached:
            yield from _nobody(key, network, there)
        elif external:
            yield from _shared_names(key, network, reached, mine)
        before = _known_before(network, app, facts)
        yield from _taken_names(key, network, there, {n: said for n, said in mine.items() if n not in before})


def _on(network: str, app: App, facts: Facts) -> Iterator[Names]:
    """Services of other apps that are on it."""
    for known in (n for table in facts.tables() for n in table.names if n.app != app.name):
        if any(of == network for of, _ in known.networks):
            yield known


def _nobody(key: str, network: str, there: Collection[Names]) -> Iterator[str]:
    if alone := ", ".join(sorted({known.app for known in there})):
        yield f"networks.{key}: {alone} was alone on {network}; its services are known here once it is brought up again"
    else:
        yield f"networks.{key}: no other app of the fleet is on {network} yet; who comes is known here then"


def _shared_names(key: str, network: str, there: Mapping[Names, Iterable[str]], mine: Collection[str]) -> Iterator[str]:
    """Names that two of the other apps have there, and this one has not."""
    owners = {name: who for name, who in sorted(_owners(there).items()) if name not in mine}
    for name in [name for name, who in owners.items() if len({o.app for o in who}) > 1][:_TOLD]:
        told = " and ".join(sorted({f"{o.service}.{o.app}" for o in owners[name]}))
        yield f"networks.{key}: {name} is in several apps on {network}, and leads to none of them: say {told}"


def _taken_names(key: str, network: str, there: Mapping[Names, Iterable[str]], new: Mapping[str, str]) -> Iterator[str]:
    """Names that led to another app there until this one came with them. new: each with its SERVICE.APP."""
    owners = {name: who for name, who in sorted(_owners(there).items()) if name in new and len(who) == 1}
    for name, (owner,) in [*owners.items()][:_TOLD]:
        if callers := sorted({known.app for known in there} - {owner.app}) if owner.address else []:
            yield (
                f"networks.{key}: {name} led {' and '.join(callers)} to {owner.app} on {network}, and with this to "
                f"nobody: they are to say {owner.service}.{owner.app} or {new[name]}"
            )


def _known_before(network: str, app: App, facts: Facts) -> frozenset[str]:
    """What the services of the app that stands are called there."""
    names = (n for table in facts.tables() for n in table.names if n.app == app.name and n.address)
    return frozenset(name for known in names for name in dict(known.networks).get(network, ()))
