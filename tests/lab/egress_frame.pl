#!/usr/bin/perl
# Sends a frame as it is, as a scanner in hostile hands could: egress_frame.pl DEVICE PROTOCOL WAY HEX…
#
# PROTOCOL is what the kernel is told that the frames are (sll_protocol, in hex), true or not. WAY is
# "queue"; "bypass" for the socket option that leaves the device's queue out; or "xdp" for an AF_XDP
# socket, which takes one frame. Exit code 3 where the kernel has no such socket.
use strict;
use warnings;
use POSIX ();

my ($device, $protocol, $way, @frames) = map { $_ } @ARGV;
my ($AF_PACKET, $AF_XDP, $SOCK_RAW, $SIOCGIFINDEX) = (17, 44, 3, 0x8933);

sub index_of {
  my ($socket) = @_;
  my $request = pack('a16 x24', $device);
  ioctl($socket, $SIOCGIFINDEX, $request) or die "$device: $!\n";
  return unpack('x16 i', $request);
}

sub send_packets {
  my ($SOL_PACKET, $PACKET_QDISC_BYPASS) = (263, 20);
  socket(my $socket, $AF_PACKET, $SOCK_RAW, 0) or die "socket: $!\n";
  if ($way eq 'bypass') {
    setsockopt($socket, $SOL_PACKET, $PACKET_QDISC_BYPASS, pack('i', 1)) or die "bypass: $!\n";
  }
  my $index = index_of($socket);
  for my $hex (@frames) {
    my $frame = pack('H*', $hex);
    # A filter may answer with an error, which is as good as dropped.
    send($socket, $frame, 0,
      pack('S n i S C C a8', $AF_PACKET, hex($protocol), $index, 0, 0, 6, substr($frame, 0, 6)));
  }
}

# Memory that is shared with the kernel is reached by its address: read() writes there.
sub send_by_xdp {
  my ($READ, $MMAP) = (POSIX::uname())[4] eq 'aarch64' ? (63, 222) : (0, 9);
  my ($SOL_XDP, $OFFSETS, $TX_RING, $UMEM_REG, $FILL_RING, $COMPLETION_RING) = (283, 1, 3, 4, 5, 6);
  my ($COPY, $PGOFF_TX_RING, $MSG_DONTWAIT) = (2, 0x80000000, 0x40);
  my ($size, $slots) = (65536, 16);
  my $frame = pack('H*', $frames[0]);

  socket(my $packet, $AF_PACKET, $SOCK_RAW, 0) or die "socket: $!\n";
  socket(my $socket, $AF_XDP, $SOCK_RAW, 0) or exit 3;
  my $memory = syscall($MMAP, 0, $size, 3, 0x22, -1, 0);
  setsockopt($socket, $SOL_XDP, $UMEM_REG, pack('Q Q L L L L', $memory, $size, 4096, 0, 0, 0)) or die "memory: $!\n";
  for my $ring ($FILL_RING, $COMPLETION_RING, $TX_RING) {
    setsockopt($socket, $SOL_XDP, $ring, pack('i', $slots)) or die "ring $ring: $!\n";
  }
  my ($producer, undef, $descriptors) = unpack('x32 Q3', getsockopt($socket, $SOL_XDP, $OFFSETS));
  my $ring = syscall($MMAP, 0, $descriptors + 16 * $slots, 3, 0x8001, fileno($socket), $PGOFF_TX_RING);
  bind($socket, pack('S S L L L', $AF_XDP, $COPY, index_of($packet), 0, 0)) or die "bind: $!\n";
  my $write = sub {
    my ($address, $bytes) = @_;
    pipe(my $out, my $in) or die "pipe: $!\n";
    syswrite($in, $bytes);
    syscall($READ, fileno($out), $address + 0, length $bytes) == length $bytes or die "memory: $!\n";
  };
  $write->($memory, $frame);
  $write->($ring + $descriptors, pack('Q L L', 0, length $frame, 0));
  $write->($ring + $producer, pack('L', 1));
  send($socket, '', $MSG_DONTWAIT);
  # What is on its way when the socket closes may be forgotten.
  select(undef, undef, undef, 0.1);
}

$way eq 'xdp' ? send_by_xdp() : send_packets();
