"""sockets - what the programs that send bytes have in common."""

import socket
import sys

IPPROTO_MPTCP = 262
PATIENCE = 60


def make_socket(congestion):
    """Of MPTCP with this congestion control, or of plain TCP."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM,
                         IPPROTO_MPTCP if congestion else 0)
    if congestion:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION,
                        congestion.encode())
    return sock


def arguments(usage):
    """MODE [--mptcp CONGESTION] ARGUMENT ...: the mode, the congestion, the others."""
    if len(sys.argv) < 3:
        sys.exit(usage)
    mode, *args = sys.argv[1:]
    if args[0] == "--mptcp":
        return mode, args[1], args[2:]
    return mode, None, args
