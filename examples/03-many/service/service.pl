# Answers GET / with JSON: who answered, and what those answered whom it asks. Perl's own library, nothing installed.
#   NAME   what it says of itself          PORT   where it listens (8080)
#   ASKS   services to ask: "cart:8080 price:9000"
use strict;
use warnings;
use IO::Socket::INET;

my $door = IO::Socket::INET->new(LocalPort => $ENV{PORT} // 8080, Listen => 128, ReuseAddr => 1) or die "cannot listen: $!\n";
$SIG{TERM} = sub { exit 0 };
$SIG{CHLD} = 'IGNORE';
$| = 1;
print "$ENV{NAME} listens\n";

while (1) {
    my $client = $door->accept or next;
    defined(my $child = fork) or next;
    if (!$child) { answer($client); exit 0 }
    close $client;
}

sub answer {
    my ($client) = @_;
    my $request = <$client> // return;
    while (my $header = <$client>) { last if $header =~ /^\r?\n$/ }
    my $asked = join ', ', map { ask(split /:/) } split ' ', $ENV{ASKS} // '';
    my $body = qq({"service": "$ENV{NAME}", "replica": "$ENV{BAYPLAN_REPLICA}", "host": "$ENV{BAYPLAN_HOST}", "asked": [$asked]}\n);
    print $client "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body";
}

# By name, as any program does; whichever replica answers, on whatever host.
sub ask {
    my ($service, $port) = @_;
    for (1 .. 2) {
        my $there = IO::Socket::INET->new(PeerAddr => $service, PeerPort => $port, Timeout => 2) or next;
        print $there "GET / HTTP/1.1\r\nHost: $service\r\nConnection: close\r\n\r\n";
        my $said = do { local $/; <$there> } // '';
        return $1 if $said =~ /\AHTTP\/1.1 200.*?\r\n\r\n(.*?)\s*\z/s;
    }
    return qq({"service": "$service", "error": "does not answer"});
}
