"""Connections to sockets and ports of a host, all of them over one stream with one small program there.

Frames go both ways (`_HEAD`, then so many bytes): a kind, the number of a connection, and what is told. Of what is said
in a connection no more is under way than `WINDOW`, until who it was for has taken some of it: one that stands still
holds up no other, and is kept in no more memory than that.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from contextlib import suppress
from typing import Final

from bayplan.errors import BayplanError, HostUnreachableError
from bayplan.ports import ExecStream

WINDOW: Final = 256 * 1024  # bytes
_PIECE: Final = 32 * 1024  # bytes of a frame
_QUIET: Final = 2.0  # seconds since the program was heard, after which it is asked whether it is there
_ANSWER: Final = 3.0  # seconds for it to answer

_HEAD: Final = struct.Struct(">cLL")
_OPEN, _DATA, _END, _HANG_UP, _TAKEN, _ASK = b"O", b"D", b"E", b"X", b"T", b"A"
_COUNT: Final = struct.Struct(">L")

# For `perl -e`: it says _ASK as it begins, and ends with its input. Nothing but what perl-base has.
PROGRAM: Final = r"""
use strict; use Socket; use Fcntl; use Errno qw(EAGAIN EINTR EINPROGRESS EWOULDBLOCK);
$SIG{PIPE} = 'IGNORE';
my ($window, $piece, $in, $out, %all) = (262144, 32768, '', '');
sub quiet { my $f = fcntl($_[0], F_GETFL, 0); fcntl($_[0], F_SETFL, $f | O_NONBLOCK) }
sub later { $!{EAGAIN} || $!{EWOULDBLOCK} || $!{EINTR} }
sub frame { my ($kind, $n, $what) = @_; $out .= pack('a1NN', $kind, $n, length $what) . $what }
sub gone { my ($n, $why) = @_; frame('X', $n, $why); delete $all{$n} }
sub begin {
    my ($n, $c) = @_;
    if (!$c->{s}) {
        my $path = $c->{to} =~ m{^/};
        my ($host, $port) = $c->{to} =~ /^(.*):(\d+)$/ or $path or return gone($n, 'no such address');
        socket($c->{s}, $path ? PF_UNIX : PF_INET, SOCK_STREAM, 0) or return gone($n, "$!");
        quiet($c->{s});
        $c->{at} = eval { $path ? pack_sockaddr_un($c->{to}) : pack_sockaddr_in($port, inet_aton($host)) }
            or return gone($n, 'no such address');
    }
    $c->{waits} = '';
    return if connect($c->{s}, $c->{at});
    return $c->{waits} = 'far' if $!{EINPROGRESS};
    return $c->{waits} = 'full' if later();
    gone($n, "$!");
}
sub heard {
    my ($kind, $n, $what) = @_;
    return frame('A', 0, '') if $kind eq 'A';
    return begin($n, $all{$n} = {to => $what, o => '', may => $window, fin => 0, eof => 0}) if $kind eq 'O';
    my $c = $all{$n} or return;
    if ($kind eq 'D') { $c->{o} .= $what }
    elsif ($kind eq 'E') { $c->{fin} = 1 }
    elsif ($kind eq 'T') { $c->{may} += unpack('N', $what) }
    elsif ($kind eq 'X') { delete $all{$n} }
}
sub say_on {
    my ($n, $c) = @_;
    if (length $c->{o}) {
        my $done = syswrite($c->{s}, $c->{o}, $piece);
        if (!defined $done) { return later() ? undef : gone($n, "$!") }
        substr($c->{o}, 0, $done, '');
        frame('T', $n, pack('N', $done));
    }
    if ($c->{fin} == 1 && !length $c->{o}) {
        shutdown($c->{s}, 1);
        $c->{fin} = 2;
        delete $all{$n} if $c->{eof};
    }
}
sub hear_on {
    my ($n, $c) = @_;
    my $got = sysread($c->{s}, my $data, $c->{may} < $piece ? $c->{may} : $piece);
    if (!defined $got) { return later() ? undef : gone($n, "$!") }
    if ($got) { $c->{may} -= $got; return frame('D', $n, $data) }
    $c->{eof} = 1;
    frame('E', $n, '');
    delete $all{$n} if $c->{fin} == 2;
}
quiet(\*STDOUT);
frame('A', 0, '');
while (1) {
    my ($r, $w, $full) = ('', '', 0);
    vec($r, 0, 1) = 1;
    vec($w, 1, 1) = 1 if length $out;
    for my $c (values %all) {
        my $f = fileno $c->{s};
        if ($c->{waits} eq 'full') { $full = 1; next }
        if ($c->{waits} eq 'far') { vec($w, $f, 1) = 1; next }
        vec($r, $f, 1) = 1 if !$c->{eof} && $c->{may} > 0;
        vec($w, $f, 1) = 1 if length $c->{o} || $c->{fin} == 1;
    }
    next if select($r, $w, undef, $full ? 0.05 : undef) < 0;
    if (vec($w, 1, 1)) {
        my $done = syswrite(STDOUT, $out, 65536);
        if (defined $done) { substr($out, 0, $done, '') } elsif (!later()) { exit 0 }
    }
    if (vec($r, 0, 1)) {
        my $got = sysread(STDIN, $in, 65536, length $in);
        exit 0 if defined $got ? !$got : !later();
        while (length $in >= 9) {
            my ($kind, $n, $size) = unpack('a1NN', $in);
            last if length $in < 9 + $size;
            heard($kind, $n, substr($in, 9, $size));
            substr($in, 0, 9 + $size, '');
        }
    }
    for my $n (keys %all) {
        my $c = $all{$n};
        my $f = fileno $c->{s};
        if ($c->{waits} eq 'full') { begin($n, $c) }
        elsif ($c->{waits} eq 'far') {
            next if !vec($w, $f, 1);
            my $wrong = unpack('i', getsockopt($c->{s}, SOL_SOCKET, SO_ERROR));
            $c->{waits} = '';
            if ($wrong) { $! = $wrong; gone($n, "$!") }
        } else {
            say_on($n, $c) if vec($w, $f, 1);
            hear_on($n, $c) if $all{$n} && vec($r, $f, 1);
        }
    }
}
"""


class Channels:
    """stream: with PROGRAM. Begun by `begin`; over when the stream is, and its connections then end."""

    def __init__(self, stream: ExecStream) -> None:
        self._stream = stream
        self._all: dict[int, Channel] = {}
        self._numbers = 0
        self._frames: deque[bytes] = deque()  # of each connection no more than WINDOW
        self._has_frames = asyncio.Event()
        self._answered = asyncio.Event()
        self._is_over = False
        self._heard = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, deadline: float) -> bool:
        """Whether the program runs. Raises TimeoutError."""
        self._tasks = [asyncio.create_task(self._hear()), asyncio.create_task(self._say())]
        async with asyncio.timeout(deadline):
            await self._answered.wait()
        return not self._is_over

    async def stands(self) -> bool:
        """Whether the program is there: was heard a moment ago, or answers now."""
        if self._is_over or time.monotonic() - self._heard < _QUIET:
            return not self._is_over
        self._answered.clear()
        self.tell(_ASK, 0)
        with suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER):
                await self._answered.wait()
        return self._answered.is_set() and not self._is_over

    def open(self, target: str) -> Channel:
        """A connection there: the path of a UNIX socket, or ip:port. One that cannot be made hangs up."""
        self._numbers += 1
        made = self._all[self._numbers] = Channel(self, self._numbers)
        self.tell(_OPEN, self._numbers, target.encode())
        if self._is_over:
            made.hung_up()
        return made

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stream.close()

    def tell(self, kind: bytes, number: int, what: bytes | memoryview = b"") -> None:
        """For `Channel`."""
        self._frames.append(_HEAD.pack(kind, number, len(what)) + bytes(what))
        self._has_frames.set()

    def forget(self, number: int) -> None:
        """For `Channel`: nothing more is told of it."""
        self._all.pop(number, None)

    async def _say(self) -> None:
        try:
            with suppress(BayplanError, OSError):
                while await self._has_frames.wait():
                    said, self._frames = b"".join(self._frames), deque()
                    self._has_frames.clear()
                    await self._stream.write(said)
        finally:
            self._end()

    async def _hear(self) -> None:
        rest = bytearray()
        try:
            with suppress(BayplanError, OSError):
                while data := await self._stream.read():
                    self._heard = time.monotonic()
                    rest += data
                    self._take_frames(rest)
        finally:
            self._end()

    def _end(self) -> None:
        """Whoever waits need not."""
        self._is_over = True
        for channel in list(self._all.values()):
            channel.hung_up()
        self._answered.set()

    def _take_frames(self, rest: bytearray) -> None:
        """Raises HostUnreachableError for what is no frame."""
        at = 0
        while len(rest) - at >= _HEAD.size:
            kind, number, size = _HEAD.unpack_from(rest, at)
            if kind not in (_DATA, _END, _HANG_UP, _TAKEN, _ASK):
                raise HostUnreachableError("what answers is not the program that was begun")
            if len(rest) - at < _HEAD.size + size:
                break
            at += _HEAD.size
            self._take(kind, number, bytes(rest[at : at + size]))
            at += size
        del rest[:at]

    def _take(self, kind: bytes, number: int, what: bytes) -> None:
        channel = self._all.get(number)
        if kind == _ASK:
            self._answered.set()
        elif channel is None:  # it was hung up here, which is not known there yet
            return
        elif kind == _DATA:
            channel.said(what)
        elif kind == _END:
            channel.said(b"")
        elif kind == _TAKEN:
            channel.taken(*_COUNT.unpack(what))
        else:
            channel.hung_up()


class Channel:
    """One connection: a `Link` of a relay."""

    def __init__(self, channels: Channels, number: int) -> None:
        self._channels, self._number = channels, number
        self._said: deque[bytes] = deque()  # b"" at the end of it
        self._may = WINDOW  # bytes that may be told yet
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._is_gone = False
        self._is_told = False
        self._is_heard = False

    async def read(self) -> bytes:
        while not self._said:
            if self._is_gone:
                raise ConnectionResetError
            self._news.clear()
            await self._news.wait()
        if not self._said[0]:
            return b""
        data = self._said.popleft()
        if not self._is_gone:
            self._channels.tell(_TAKEN, self._number, _COUNT.pack(len(data)))
        return data

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            while not self._may and not self._is_gone:
                self._room.clear()
                await self._room.wait()
            if self._is_gone:
                raise ConnectionResetError
            piece = view[: min(self._may, _PIECE)]
            self._may -= len(piece)
            self._channels.tell(_DATA, self._number, piece)
            view = view[len(piece) :]

    def end(self) -> None:
        if not (self._is_gone or self._is_told):
            self._is_told = True
            self._channels.tell(_END, self._number)

    def drop(self) -> None:
        if not self._is_gone:
            if not (self._is_told and self._is_heard):
                self._channels.tell(_HANG_UP, self._number)
            self.hung_up()

    def said(self, data: bytes) -> None:
        """There; b"": that was all."""
        self._said.append(data)
        self._is_heard = self._is_heard or not data
        self._news.set()

    def taken(self, count: int) -> None:
        """There."""
        self._may += count
        self._room.set()

    def hung_up(self) -> None:
        """There, or here: what was said before is still read."""
        self._is_gone = True
        self._channels.forget(self._number)
        self._news.set()
        self._room.set()
