#!/usr/bin/python3
"""flow - one bulk stream, and when its receiver got what.

    flow.py serve [--mptcp CONGESTION] PORT CSV
    flow.py up|down [--mptcp CONGESTION] HOST PORT SECONDS CSV
    flow.py stall CUT_AT <CSV
    flow.py bins FROM SECONDS STEP <CSV
    flow.py judge CUT_AT BACK_AT LEFT WHOLE <CSV

`serve` takes one client, which sends (up) or receives (down) for SECONDS; the
receiving end writes CSV: seconds of the clock, bytes read. Both print
"sent BYTES SHA256" or "got BYTES SHA256". `stall` prints the longest time
between two reads from CUT_AT on, and the rate in the last two seconds.
`bins` prints the Mbit/s in each STEP seconds from FROM on, with commas.

`judge` prints words. gap_ms: the longest time between two reads from CUT_AT on, until
BACK_AT if that is not 0; left_ms: from CUT_AT until LEFT Mbit/s come again, at the
end of the gap of the first second at the earliest; back_ms: from BACK_AT until the next read;
whole_ms: from BACK_AT until WHOLE Mbit/s come; mbit: from CUT_AT to BACK_AT. A
rate is there from where on it holds in the next 200 ms and in the next second.
"""

import bisect
import hashlib
import os
import socket
import sys
import time

from sockets import PATIENCE, arguments, make_socket

PIECE = 64 * 1024
AT_ONCE = 1


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


class Flow:
    """What came when, for sums over any time."""

    def __init__(self, rows):
        self.at = [at for at, n in rows if n > 0]
        self.sums = [0]
        for _, n in rows:
            if n > 0:
                self.sums.append(self.sums[-1] + n)

    def mbit(self, begin, end):
        """What came after `begin`, not with it: a hole's end brings what waited."""
        first = bisect.bisect_right(self.at, begin)
        last = bisect.bisect_right(self.at, end)
        return (self.sums[last] - self.sums[first]) * 8e-6 / (end - begin)

    def gap(self, begin, end):
        """The longest time between two reads that touches this time, and its end."""
        pairs = [(after - max(before, begin), after)
                 for before, after in zip(self.at, self.at[1:]) if begin < after and before < end]
        return max(pairs, default=(float("nan"), begin))

    def reaches(self, begin, mbit):
        """When that rate is there; NaN: never."""
        at = begin
        while at + 1 <= self.at[-1]:
            if min(self.mbit(at, at + 0.2), self.mbit(at, at + 1)) >= mbit:
                return at
            at += 0.01
        return float("nan")


def read_flow():
    rows = [line.split(",") for line in sys.stdin]
    return Flow([(float(at), int(n)) for at, n in rows])


def bins(begin, seconds, step):
    flow = read_flow()
    starts = (begin + step * i for i in range(round(seconds / step)))
    print(",".join(f"{flow.mbit(at, at + step):.1f}" for at in starts))


def judge(cut_at, back_at, left, whole):
    flow = read_flow()
    end = back_at or flow.at[-1]
    if flow.at[0] > cut_at or flow.at[-1] < end - 1:
        sys.exit("flow: the cut is not within the flow")
    _, gap_end = flow.gap(cut_at, cut_at + AT_ONCE)
    words = {"gap_ms": flow.gap(cut_at, end)[0],
             "left_ms": flow.reaches(gap_end, left) - cut_at}
    if back_at:
        later = bisect.bisect_right(flow.at, back_at)
        words["back_ms"] = (flow.at[later] if later < len(flow.at) else float("nan")) - back_at
        words["whole_ms"] = flow.reaches(back_at, whole) - back_at
    print(" ".join(f"{k}={v * 1000:.0f}" for k, v in words.items()),
          f"mbit={flow.mbit(cut_at, end):.2f}")


def main():
    mode, congestion, args = arguments(__doc__)
    if mode == "serve":
        serve(congestion, *args)
    elif mode == "stall":
        stall(float(args[0]))
    elif mode in ("judge", "bins"):
        {"judge": judge, "bins": bins}[mode](*map(float, args))
    else:
        client(mode, congestion, *args)


main()
