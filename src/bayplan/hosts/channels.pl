# The far end of channels.py, run by `perl -e` on a host: its arguments are WINDOW and the bytes of a frame. It says A as
# it begins, and ends with its input. Nothing but what perl-base has.
use strict; use Socket; use Fcntl; use Errno qw(EAGAIN EINTR EINPROGRESS EWOULDBLOCK);
$SIG{PIPE} = 'IGNORE';
my ($window, $piece) = @ARGV;
my ($in, $out, %all) = ('', '');
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
