#!/usr/bin/python3
"""flow - one bulk stream, and when its receiver got what.

    flow.py serve [--mptcp CONGESTION] PORT CSV
    flow.py up|down [--mptcp CONGESTION] HOST PORT SECONDS CSV
    flow.py stall CUT_AT <CSV

`serve` takes one client, which sends (up) or receives (down) for SECONDS; the
receiving end writes CSV: seconds of the clock, bytes read. Both print
"sent BYTES SHA256" or "got BYTES SHA256". `stall` prints the longest time
between two reads from CUT_AT on, and the rate in the last two seconds.
"""

import hashlib
import os
import socket
import sys
import time

IPPROTO_MPTCP = 262
PATIENCE = 30
PIECE = 64 * 1024


def make_socket(congestion):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM,
                         IPPROTO_MPTCP if congestion else 0)
    if congestion:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION,
                        congestion.encode())
    return sock


def send(sock, seconds):
    noise = os.urandom(16 * PIECE)
    digest, total, turn = hashlib.sha256(), 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        turn += 1
        at = turn * 7919 % (15 * PIECE)
        piece = noise[at:at + PIECE]
        sock.sendall(piece)
        digest.update(piece)
        total += len(piece)
    sock.shutdown(socket.SHUT_WR)
    print("sent", total, digest.hexdigest(), flush=True)


def receive(sock, path):
    digest, total = hashlib.sha256(), 0
    rows = []
    while True:
        piece = sock.recv(1 << 20)
        rows.append((time.time(), len(piece)))
        if not piece:
            break
        digest.update(piece)
        total += len(piece)
    with open(path, "w", encoding="ascii") as out:
        out.writelines(f"{at:.6f},{n}\n" for at, n in rows)
    print("got", total, digest.hexdigest(), flush=True)


def serve(congestion, port, path):
    listener = make_socket(congestion)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", int(port)))
    listener.listen(1)
    sock, _ = listener.accept()
    sock.settimeout(PATIENCE)
    words = b""
    while not words.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            sys.exit("flow: the client left")
        words += byte
    direction, seconds = words.decode().split()
    if direction == "down":
        send(sock, float(seconds))
        sock.recv(1)
    else:
        receive(sock, path)


def client(direction, congestion, host, port, seconds, path):
    sock = make_socket(congestion)
    sock.settimeout(PATIENCE)
    sock.connect((host, int(port)))
    sock.sendall(f"{direction} {seconds}\n".encode())
    if direction == "down":
        receive(sock, path)
    else:
        send(sock, float(seconds))
        sock.recv(1)


def stall(cut_at):
    rows = [line.split(",") for line in sys.stdin]
    rows = [(float(at), int(n)) for at, n in rows]
    longest, when = 0.0, cut_at
    for (before, _), (after, _) in zip(rows, rows[1:]):
        if after > cut_at and after - before > longest:
            longest, when = after - before, before
    if rows[0][0] > cut_at or rows[-1][0] < cut_at + 3:
        sys.exit("flow: the cut is not within the flow")
    last = rows[-1][0]
    tail = sum(n for at, n in rows if at > last - 2)
    print(f"stall_ms={longest * 1000:.0f} begins_ms={(when - cut_at) * 1000:.0f} "
          f"tail_mbit={tail * 4e-6:.1f}")


def main(args):
    mode, args = args[0], args[1:]
    congestion = None
    if args[0] == "--mptcp":
        congestion, args = args[1], args[2:]
    if mode == "serve":
        serve(congestion, *args)
    elif mode == "stall":
        stall(float(args[0]))
    else:
        client(mode, congestion, *args)


if len(sys.argv) < 3:
    sys.exit(__doc__)
main(sys.argv[1:])
