"""An app of a test's own on a lab's fleet, seen from three sides: the command, the clients, and the hosts themselves.

What stands is read from the engines and from the gateways' sockets, not from bayplan: it is what is being tested.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from tests.lab.command import Command

from bayplan import labels
from bayplan.lab import Lab, machines
from bayplan.lab.process import wait_for

BAYPLAN = [sys.executable, "-m", "bayplan.cli.main"]
COMMAND_DEADLINE = 300.0  # seconds; the machine may be busy with other labs
PATIENCE = 60.0  # seconds for what is asked again until it is so
WHOLE = 3  # replicas of the plain site
PACE = 0.02  # seconds between a client's requests
_PORTS = itertools.count(18100)  # listeners: each app has its own

DOCKERFILE = """\
FROM debian:bookworm-slim
COPY web.pl /web.pl
CMD ["perl", "/web.pl"]
"""

# Says who answers: replica, host, version; /slow/N after N seconds. PORT: where it listens, 80; LATE: seconds until it
# does.
SERVER = r"""
use strict; use warnings; use IO::Socket::INET; use IO::Select;
$SIG{TERM} = sub { exit 0 }; $SIG{PIPE} = $SIG{CHLD} = 'IGNORE'; $| = 1;
select(undef, undef, undef, $ENV{LATE}) if $ENV{LATE};
my $door = IO::Socket::INET->new(LocalPort => $ENV{PORT} // 80, Listen => 256, ReuseAddr => 1) or die "cannot listen: $!\n";
my $body = join(' ', map { $ENV{$_} // '-' } qw(BAYPLAN_REPLICA BAYPLAN_HOST VERSION)) . "\n";
my $answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
my ($all, %asked) = (IO::Select->new($door));
print "listens\n";
while (my @ready = $all->can_read) {
    for my $one (@ready) {
        if ($one == $door) { my $new = $door->accept or next; $all->add($new); next }
        my $got = sysread($one, my $more, 65536);
        if (!$got) { $all->remove($one); delete $asked{$one}; close $one; next }
        $asked{$one} .= $more;
        while ($asked{$one} =~ s/^(.*?)\r\n\r\n//s) {
            my $late = $1 =~ m{^GET /slow/(\d+) } ? $1 : 0;
            next if $late && fork;
            sleep $late if $late;
            syswrite($one, $answer);
            exit 0 if $late;
        }
    }
}
"""


class Site:
    """One service, `web`. directory: its files; port: its listener's, at the first host."""

    def __init__(self, lab: Lab, directory: Path, name: str) -> None:
        self.lab, self.directory, self.name = lab, directory, name
        self.port = next(_PORTS)
        self.version = "one"
        self.address = lab.hosts[0].private_ip
        self.fleet = lab.fleet_file
        self.environment = operator(lab)
        (directory / "web").mkdir()
        (directory / "web" / "Dockerfile").write_text(DOCKERFILE)
        (directory / "web" / "web.pl").write_text(SERVER)

    # -- the operator -------------------------------------------------------------------------------------------------

    def write(self, *, replicas: int = WHOLE, port: int | None = None, **service: Any) -> None:
        """The Compose file. service: keys that replace, or (None) remove, the ones of the plain site."""
        web: dict[str, Any] = {
            "build": "./web",
            "environment": {"VERSION": self.version},
            "ports": [{"target": 80, "published": port or self.port, "app_protocol": "http"}],
            "stop_grace_period": "1s",
            "deploy": {"replicas": replicas, "update_config": {"parallelism": replicas or 1}},
            "x-bayplan": {"drain": "2s", "probe": {"path": "/", "interval": "300ms"}},
        } | service
        given = {"name": self.name, "services": {"web": {k: v for k, v in web.items() if v is not None}}}
        (self.directory / "compose.yaml").write_text(json.dumps(given, indent=2).replace("$", "$$"))

    def bayplan(self, *words: str, status: int = 0) -> str:
        """Run it to its end; all that it said. It must end with that status, and never with a traceback."""
        running = self.start(*words)
        said = running.ended(status)
        assert "Traceback" not in said, said
        return said

    def start(self, *words: str, home: Path | None = None) -> Running:
        """Begin it. home: of another operator, who shares no connection with this one."""
        own = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)} if home else {}
        return Running(words, self.directory, self.surroundings() | own)

    def piped(self, *words: str, given: str | None = None, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run it to its end, with standard streams of its own."""
        return bayplan(self.directory, self.surroundings(), *words, given=given, status=status)

    def surroundings(self) -> dict[str, str]:
        """The environment of a command of this app's."""
        return self.environment | {"BAYPLAN_FLEET": str(self.fleet)}

    def json(self, *words: str, status: int = 0) -> Any:
        said = self.bayplan(*words, "--json", status=status)
        return json.loads(said[said.index("{") :])

    def renew(self) -> None:
        """Another version in the file, of another image: one that is built, and pushed."""
        self.version = f"v{time.monotonic_ns()}"
        (self.directory / "web" / "version").write_text(self.version)
        self.write()

    def mend(self) -> None:
        """Three replicas of its version, one a host, whatever a test left."""
        self.write()
        if set(self.hosts()) != {h.name for h in self.lab.hosts}:
            self.bayplan("down")
        if not self.is_whole():
            self.bayplan("up")

    def is_whole(self) -> bool:
        """Whether three replicas of its version, each once, are all there is, and all of them answer."""
        if self.states() != {"running": WHOLE} or self.slots() != [1, 2, 3] or len(self.taking()) != WHOLE:
            return False
        try:
            seen = {self.ask() for _ in range(10 * WHOLE)}
        except (OSError, http.client.HTTPException):
            return False
        return len(seen) == WHOLE and {answer.split()[-1] for answer in seen} == {self.version}

    def nothing_is_left_to_do(self) -> bool:
        found = self.json("plan")
        return not (found["steps"] or found["unplaced"])

    # -- the clients --------------------------------------------------------------------------------------------------

    def ask(self, path: str = "/") -> str:
        """One request through the balancer: `web-1 h1 one`. Raises OSError, or HTTPException."""
        return Client(self.address, self.port).once(path)

    def load(self) -> Load:
        return Load(self.address, self.port)

    def answers_from(self, replicas: int) -> bool:
        """Whether that many replicas answer, in thirty requests."""
        return len({self.ask().split()[0] for _ in range(30)}) == replicas

    # -- the hosts ----------------------------------------------------------------------------------------------------

    def containers(self) -> dict[str, tuple[str, str, str]]:
        """Name and host of every container of the app: to its host, id and state."""
        wanted = quote(json.dumps({"label": [f"{labels.APP}={self.name}", f"{labels.FLEET}={self.lab.name}"]}))
        return {
            f"{entry['Names'][0].lstrip('/')} on {host.name}": (host.name, entry["Id"], entry["State"])
            for host in self.lab.hosts
            for entry in asked(self.lab, host.name, f"/containers/json?all=1&filters={wanted}")
        }

    def states(self) -> Counter[str]:
        return Counter(state for _, _, state in self.containers().values())

    def hosts(self) -> Counter[str]:
        """How many run on each."""
        return Counter(host for host, _, state in self.containers().values() if state == "running")

    def slots(self) -> list[int]:
        """The slots of what runs, sorted: one that is doubled is there twice."""
        found = (re.match(r".*-(\d+)-r\d+ on ", n) for n, c in self.containers().items() if c[2] == "running")
        return sorted(int(match[1]) for match in found if match)

    def pool(self, host: str = "h1") -> dict[str, tuple[str, bool]]:
        """The app's servers at a host's gateway: what stands behind each, and whether it takes traffic."""
        lines = runtime(self.lab, host, "show servers state").splitlines()[2:]
        words = [line.split() for line in lines if f" {self.name}." in line]
        return {w[3]: (f"{w[4]}:{w[18]}", int(w[6]) == 0 and int(w[7]) > 0) for w in words}

    def taking(self) -> dict[str, str]:
        """The servers that take traffic."""
        return {name: at for name, (at, takes) in self.pool().items() if takes}

    def stands(self) -> tuple[object, ...]:
        """All that a command that failed must not have changed."""
        return self.containers(), self.pool()

    def names(self) -> list[str]:
        """Of what runs."""
        return sorted(n.partition(" ")[0] for n, c in self.containers().items() if c[2] == "running")

    def started(self) -> dict[str, datetime]:
        """When each that runs was started, by name."""
        running = {n.partition(" ")[0]: c for n, c in self.containers().items() if c[2] == "running"}
        told = {n: asked(self.lab, h, f"/containers/{i}/json") for n, (h, i, _) in running.items()}
        return {n: datetime.fromisoformat(t["State"]["StartedAt"]) for n, t in told.items()}


def operator(lab: Lab) -> dict[str, str]:
    """The environment of a command of the lab's operator."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return inherited | {"BAYPLAN_FLEET": str(lab.fleet_file), "COLUMNS": "200"}


def bayplan(
    directory: Path, environment: Mapping[str, str], *words: str, given: str | None = None, status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, with standard streams of its own. It must end with that status, and never with a traceback."""
    with TemporaryDirectory() as place:
        streams = [Path(place) / name for name in ("given", "said", "errors")]
        for stream in streams:
            stream.write_text(given or "" if stream.name == "given" else "")
        from_, said, errors = streams
        command = Command(words, directory, environment, said, errors, from_)
        try:
            ended = command.wait(COMMAND_DEADLINE)
        finally:
            command.kill()
        done = subprocess.CompletedProcess(words, ended, said.read_text(), errors.read_text())
    return _expected(done, status)


def from_scratch(
    directory: Path, environment: Mapping[str, str], *words: str, status: int = 0
) -> subprocess.CompletedProcess[str]:
    """As `bayplan`, in a process that has nothing loaded: what a person types."""
    done = subprocess.run(
        [*BAYPLAN, *words], cwd=directory, env=environment, text=True, capture_output=True, check=False,
        stdin=subprocess.DEVNULL, timeout=COMMAND_DEADLINE,
    )  # fmt: skip
    return _expected(done, status)


def _expected(done: subprocess.CompletedProcess[str], status: int) -> subprocess.CompletedProcess[str]:
    assert done.returncode == status, f"status {done.returncode}: {done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done


def fleet_with(lab: Lab, directory: Path, ssh_config: str) -> Path:
    """The lab's fleet.yaml in another directory, beside another SSH configuration."""
    (directory / "ssh_config").write_text(ssh_config)
    fleet = directory / "fleet.yaml"
    fleet.write_text(lab.fleet_file.read_text())
    return fleet


class Running:
    """A bayplan that runs; what it has said so far."""

    def __init__(self, words: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
        self._said = NamedTemporaryFile("r", prefix="said-")  # noqa: SIM115  gone with this
        self.process = Command(words, directory, environment, Path(self._said.name))

    def said(self) -> str:
        return Path(self._said.name).read_text()

    def until(self, pattern: str) -> Self:
        """Until a line that it says matches; it may end there and then, but not before."""
        wait_for(
            lambda: re.search(pattern, self.said()) or self._too_early(pattern), f"a line with {pattern}",
            deadline=PATIENCE,
        )  # fmt: skip
        return self

    def _too_early(self, pattern: str) -> None:
        if self.process.poll() is not None:
            assert re.search(pattern, self.said()), f"ended without {pattern!r}: {self.said()}"

    def kill(self) -> None:
        """As `kill -9` does; the ssh connections that it shares with others stay."""
        self.process.kill()
        self.process.wait()

    def interrupt(self, status: int = 130, number: signal.Signals = signal.SIGINT) -> str:
        """As Ctrl-C does, or a terminal that closes."""
        self.process.send_signal(number)
        return self.ended(status)

    def ended(self, status: int | None = 0) -> str:
        """status None: any."""
        try:
            self.process.wait(COMMAND_DEADLINE)
        except TimeoutError:
            self.process.kill()
            raise AssertionError(f"still runs after {COMMAND_DEADLINE:g} s: {self.said()}") from None
        assert status in (None, self.process.returncode), f"status {self.process.returncode}: {self.said()}"
        return self.said()


class Client:
    """One client of a listener."""

    def __init__(self, address: str, port: int) -> None:
        self._connection = http.client.HTTPConnection(address, port, timeout=10)

    def close(self) -> None:
        self._connection.close()

    def once(self, path: str = "/") -> str:
        """A request on a connection of its own."""
        with closing(self._connection):
            return self.again(path)

    def again(self, path: str = "/") -> str:
        """A request on the connection that stands."""
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        body = response.read().decode().strip()
        if response.status != http.client.OK:
            raise http.client.HTTPException(f"status {response.status}: {body}")
        return body


class Load:
    """Steady requests while the body runs: one client keeps its connection, one makes a new one each time."""

    def __init__(self, address: str, port: int) -> None:
        self.in_order: list[str] = []
        self.failures: list[str] = []
        self._began = time.monotonic()
        self._stop = threading.Event()
        clients = [(Client(address, port), kept) for kept in (False, True)]
        self._threads = [threading.Thread(target=self._ask, args=how, daemon=True) for how in clients]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, client: Client, kept: bool) -> None:
        while not self._stop.wait(PACE):
            try:
                self.in_order.append(client.again() if kept else client.once())
            except (OSError, http.client.HTTPException) as error:
                client.close()
                when = time.monotonic() - self._began
                kind = "kept" if kept else "new"
                self.failures.append(f"{when:.2f} s, {kind} connection: {type(error).__name__} {error}")

    @property
    def answers(self) -> Counter[str]:
        return Counter(self.in_order)

    def versions(self) -> set[str]:
        return {answer.split()[-1] for answer in self.answers}

    def was_answered(self, *, but: int = 0) -> bool:
        """Every request, and there were some. but: at most so many that were with a server as it was killed. One that it
        had not read is reset, which HAProxy does not retry: it hangs up, or says 502 (http_ana.c,
        http_wait_for_response), and leaves that to the client.
        """
        assert len(self.failures) <= but, f"{len(self.failures)} of {self.answers.total()}: {self.failures[:5]}"
        return self.answers.total() > 0


def asked(lab: Lab, host: str, target: str) -> Any:
    """What a host's engine answers, asked on its own socket."""
    connection = http.client.HTTPConnection("engine", timeout=20)
    with closing(connection), closing(socket.socket(socket.AF_UNIX)) as connection.sock:
        connection.sock.connect(str(lab.socket(host)))
        connection.request("GET", target)
        return json.load(connection.getresponse())


def runtime(lab: Lab, host: str, command: str) -> str:
    """What a host's gateway answers, asked on its own socket; one that is just coming back is asked again."""
    path = str(lab.root(host) / f"run/bayplan/{lab.name}/admin.sock")
    return wait_for(lambda: _said(path, command), f"the gateway of {host} answers", deadline=PATIENCE)


def _said(path: str, command: str) -> str | None:
    try:
        with closing(socket.socket(socket.AF_UNIX)) as sock:
            sock.settimeout(20)
            sock.connect(path)
            sock.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: sock.recv(65536), b"")).decode() or None
    except OSError:
        return None


def on(lab: Lab, host: str, *argv: str) -> str:
    """A command at a host's console, which must succeed."""
    done = lab.on(host, argv)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@contextmanager
def held(lab: Lab, host: str, port: int) -> Iterator[None]:
    """Something that is no container listens on a port of all the host's addresses."""
    script = (
        "use IO::Socket::INET; my $d = IO::Socket::INET->new(LocalPort => $ARGV[0], Listen => 5) or die $!;"
        '$| = 1; print "$$\\n"; while (my $c = $d->accept) { print $c "not bayplan\\n" }'
    )
    argv = machines.on_console(lab.host(host), ["perl", "-e", script, str(port)])
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    inside = process.stdout.readline().strip()
    assert inside, f"port {port} of {host} cannot be held"
    try:
        yield
    finally:
        lab.on(host, ["kill", "-KILL", inside])
        process.wait()


@contextmanager
def cut(lab: Lab, host: str) -> Iterator[None]:
    """Its cable is pulled, until the body ends."""
    lab.fault("cut", host)
    try:
        yield
    finally:
        lab.fault("heal", host)


@contextmanager
def a_site(lab: Lab, directory: Path, name: str) -> Iterator[Site]:
    """Up in three replicas, then taken down."""
    site = Site(lab, directory, name)
    site.write()
    site.bayplan("up")
    yield site
    site.write()
    site.bayplan("down")
    assert site.containers() == {}
