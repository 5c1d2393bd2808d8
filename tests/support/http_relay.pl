#!/usr/bin/perl
# Reaches into a namespace without a network from outside of it. A socket stays in the namespace in which
# it was made, so one that listens outside is handed to a process inside:
#
#   perl http_relay.pl listen PORT COMMAND...   listens on 127.0.0.1:PORT, then becomes COMMAND
#   perl http_relay.pl join PORT                takes what comes there, and connects it to 127.0.0.1:PORT
#
# The second has the listening socket as descriptor 3 from the first, and ends with its standard input.
use strict;
use warnings;
use Fcntl qw(F_SETFD);
use IO::Select;
use IO::Socket::INET;
use POSIX qw(dup2);

my $DESCRIPTOR = 3;
my ($mode, $port, @command) = @ARGV;

if ($mode eq 'listen') {
  my $listener = IO::Socket::INET->new(
    LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 128, ReuseAddr => 1,
  ) or die "Cannot listen on $port: $@\n";
  fileno($listener) == $DESCRIPTOR or dup2(fileno($listener), $DESCRIPTOR) or die "Cannot pass the socket on: $!\n";
  # Perl closes at exec what it opened itself, unless it is told otherwise.
  fcntl($listener, F_SETFD, 0) if fileno($listener) == $DESCRIPTOR;
  exec { $command[0] } @command or die "Cannot start $command[0]: $!\n";
}

my $listener = IO::Socket::INET->new_from_fd($DESCRIPTOR, 'r+') or die "Cannot take the socket: $!\n";
my %children;
$SIG{CHLD} = 'IGNORE';
my $events = IO::Select->new($listener, \*STDIN);
while (1) {
  for my $ready ($events->can_read) {
    if ($ready != $listener) {
      next if sysread STDIN, my $rest, 4096;
      kill 'KILL', keys %children;
      exit 0;
    }
    my $near = $listener->accept or next;
    my $child = fork // die "Cannot fork: $!\n";
    if ($child) { $children{$child} = 1; close $near; next }
    close STDIN;
    close $listener;
    relay($near);
    exit 0;
  }
}

# Copies both ways until one side ends.
sub relay {
  my ($near) = @_;
  my $far = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or return;
  my $both = IO::Select->new($near, $far);
  while (1) {
    for my $from ($both->can_read) {
      my $to = $from == $near ? $far : $near;
      my $count = sysread $from, my $bytes, 65536;
      return unless $count;
      for (my $at = 0; $at < $count;) {
        my $written = syswrite($to, $bytes, $count - $at, $at) or return;
        $at += $written;
      }
    }
  }
}
