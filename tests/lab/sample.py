#!/usr/bin/python3
"""sample - what the emulated links carry over time, as CSV.

    sample.py SOCKET [INTERVAL_MS] >FILE

One row each INTERVAL_MS (20): milliseconds since the start, then for each lane
the bytes delivered since the row before. Ends with the emulator or on SIGTERM.

    sample.py --stall LANE[,LANE...] [--from MS] [--to MS] <FILE

The longest time without a byte on all of these lanes together, in ms.
"""

import csv
import signal
import socket
import sys
import time


def ask(stream, request):
    """The lines of the answer, or None when the emulator is gone."""
    stream.write(request + "\n")
    stream.flush()
    lines = []
    for line in stream:
        line = line.rstrip("\n")
        if line == "ok":
            return lines
        if line.startswith("error"):
            sys.exit("sample: " + line)
        lines.append(line)
    return None


def out_bytes(lines):
    counts = {}
    for line in lines:
        lane, *words = line.split()
        counts[lane] = int(dict(w.split("=") for w in words)["out_bytes"])
    return counts


def sample(path, interval):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    stream = sock.makefile("rw")
    before = out_bytes(ask(stream, "stats") or [])
    lanes = list(before)
    print(",".join(["ms"] + lanes), flush=True)
    start = time.monotonic()
    turn = 0
    while True:
        turn += 1
        time.sleep(max(0, start + turn * interval - time.monotonic()))
        lines = ask(stream, "stats")
        if lines is None:
            return
        now = out_bytes(lines)
        ms = round((time.monotonic() - start) * 1000, 1)
        row = [now.get(lane, 0) - before.get(lane, 0) for lane in lanes]
        print(",".join(map(str, [ms] + row)), flush=True)
        before = now


def stall(lanes, begin, end, rows):
    last = longest = None
    for row in rows:
        ms = float(row["ms"])
        if not begin <= ms <= end:
            continue
        if last is None or any(int(row[lane]) for lane in lanes):
            last = ms
        longest = max(longest or 0, ms - last)
    if longest is None:
        sys.exit("sample: no rows")
    print(round(longest))


def option(args, name, default):
    return float(args[args.index(name) + 1]) if name in args else default


def main(args):
    if len(args) >= 2 and args[0] == "--stall":
        stall(args[1].split(","), option(args, "--from", 0.0),
              option(args, "--to", float("inf")), csv.DictReader(sys.stdin))
    elif len(args) in (1, 2) and not args[0].startswith("-"):
        try:
            sample(args[0], float(args[1]) / 1000 if len(args) == 2 else 0.02)
        except (ConnectionError, KeyboardInterrupt):
            pass
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
