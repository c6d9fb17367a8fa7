#!/usr/bin/python3
"""watch - reads a download and shows what each uplink carries meanwhile.

    curl ... | watch.py SOCKET RESULTS UPLINK=MBIT ...
    curl ... | watch.py --cut UPLINK --size BYTES --ctl COMMAND SOCKET ...

SOCKET is the emulator's, whose counters are shown: a few lines that are drawn
anew on a terminal, else a line a second. With --cut the uplink goes silent when
CUT_FROM of the download is there and returns at CUT_TO, but not before CUT_MIN_S;
then and at the end COMMAND shows what the client says.

RESULTS gets lines KEY=VALUE: bytes, seconds, mbit and sha256 of the download;
stall_ms, the longest time in which nothing was received, and stall_end_ms, how
long after the cut it ended; links_stall_ms, the longest time in which the links
together carried nothing; cut_s, how long the uplink was silent; back_ms, from its
return until it carried half of what it had before, left out if it never did.
"""

import argparse
import collections
import hashlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))
from sample import ask, out_bytes  # noqa: E402

TICK_S = 0.02
CUT_FROM, CUT_TO, CUT_MIN_S = 0.3, 0.5, 1.5
# A tick with less than two full packets is none that carries the download:
# heartbeats and acknowledgements go on when it stands still.
CARRIES_BYTES = 3000


class Download(threading.Thread):
    """Standard input, until its end: its hash, and when its bytes came."""

    def __init__(self):
        super().__init__(daemon=True)
        self.digest = hashlib.sha256()
        self.bytes = 0
        self.first_at = self.last_at = None
        self.stall = 0.0
        self.stall_at = None  # when it ended

    def run(self):
        while data := os.read(0, 65536):
            now = time.monotonic()
            if self.first_at is None:
                self.first_at = self.last_at = now
            if now - self.last_at > self.stall:
                self.stall, self.stall_at = now - self.last_at, now
            self.digest.update(data)
            self.bytes += len(data)
            self.last_at = now


class Links:
    """The emulator: what its lanes to the client carry."""

    def __init__(self, path, names):
        self.names = names
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        self.stream = sock.makefile("rw")
        self.history = collections.deque(maxlen=round(2 / TICK_S))
        self.sample()
        self.busy_at = None
        self.stall = 0.0

    def sample(self):
        lines = ask(self.stream, "stats")
        if lines is None:
            sys.exit("watch: the emulator is gone")
        counts = out_bytes(lines)
        self.history.append((time.monotonic(),
                             {n: counts[n + "/down"] for n in self.names}))

    def set(self, name, word):
        ask(self.stream, f"set {name} {word}")

    def note_stall(self):
        """Of the last two samples, of which the download has seen both."""
        (_, before), (now, counts) = self.history[-2], self.history[-1]
        if sum(counts.values()) - sum(before.values()) >= CARRIES_BYTES:
            self.busy_at = now
        elif self.busy_at is not None:
            self.stall = max(self.stall, now - self.busy_at)

    def mbit(self, name, seconds):
        now, counts = self.history[-1]
        for at, before in self.history:
            if now - at <= seconds:
                break
        return (counts[name] - before[name]) * 8e-6 / max(now - at, 1e-3)


class Screen:
    """Lines that stay, and below them lines that are drawn anew."""

    def __init__(self):
        self.terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.colours = self.terminal and not os.environ.get("NO_COLOR")
        self.drawn = 0

    def colour(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text

    def erase(self):
        if self.drawn:
            sys.stdout.write(f"\x1b[{self.drawn}A\x1b[J")
            self.drawn = 0

    def say(self, text):
        self.erase()
        print(text, flush=True)

    def draw(self, lines):
        self.erase()
        print("\n".join(lines), flush=True)
        self.drawn = len(lines)


class Cut:
    """Silence of one uplink in the middle of the download."""

    def __init__(self, name, size):
        self.name, self.size = name, size
        self.at = self.ended_at = self.back_at = None
        self.before_mbit = 0.0

    def silent(self):
        return self.at is not None and self.ended_at is None

    def turn(self, now, download, links, screen, ctl):
        if self.at is None:
            if download.bytes >= CUT_FROM * self.size:
                self.begin(now, links, screen)
        elif self.ended_at is None:
            if download.bytes >= CUT_TO * self.size and now - self.at >= CUT_MIN_S:
                self.end(links, screen, ctl)
        elif self.back_at is None and links.mbit(self.name, 0.2) >= self.before_mbit / 2:
            self.back_at = now
            screen.say(screen.colour(32, f"-- {self.name} works again, "
                                         f"{1000 * (now - self.ended_at):.0f} ms later"))

    def begin(self, now, links, screen):
        self.before_mbit = links.mbit(self.name, 0.5)
        links.set(self.name, "state=silent")
        self.at = now
        screen.say(screen.colour(31, f"-- {self.name} is cut: from now on it drops "
                                     "everything, and nobody is told"))

    def end(self, links, screen, ctl):
        show(screen, ctl)
        links.set(self.name, "state=up")
        self.ended_at = time.monotonic()
        screen.say(screen.colour(33, f"-- {self.name} is there again, and nobody is told"))


def show(screen, ctl):
    screen.say("  mpproxyctl uplinks:")
    told = subprocess.run(ctl, shell=True, capture_output=True, text=True, check=False)
    for line in (told.stdout + told.stderr).splitlines():
        screen.say("  " + line)


def bars(screen, links, rates, cut, progress):
    """One line an uplink, one for all."""
    width = max(10, min(50, shutil.get_terminal_size().columns - 40))
    lines, total = [], 0.0
    for name, rate in rates.items():
        mbit = links.mbit(name, 0.5)
        total += mbit
        full = min(width, round(mbit / max(rates.values()) * width))
        bar = screen.colour(36, "#" * full) + "." * (
            max(0, round(rate / max(rates.values()) * width) - full))
        word = screen.colour(31, "  cut") if cut and cut.silent() and cut.name == name else ""
        lines.append(f"  {name:<8} {mbit:6.1f} Mbit/s  {bar}{word}")
    lines.append(f"  {'all':<8} {total:6.1f} Mbit/s  {progress}")
    return lines


def plain(links, rates, cut, progress, seconds):
    words, total = [], 0.0
    for name in rates:
        mbit = links.mbit(name, 1)
        total += mbit
        silent = cut and cut.silent() and cut.name == name
        words.append(f"{name} {mbit:5.1f}" + (" (cut)" if silent else ""))
    return f"  {seconds:4.1f} s  {'  '.join(words)}  all {total:5.1f} Mbit/s  {progress}"


def watch(download, links, screen, rates, cut, ctl):
    start = shown = time.monotonic()
    while download.is_alive():
        time.sleep(TICK_S)
        links.sample()
        now = links.history[-1][0]
        if download.first_at is not None and download.is_alive():
            links.note_stall()
        if cut:
            cut.turn(now, download, links, screen, ctl)
        progress = f"{download.bytes / 1e6:.0f} MB"
        if cut:
            progress += f" of {cut.size / 1e6:.0f}"
        if screen.terminal and now - shown >= 0.2:
            screen.draw(bars(screen, links, rates, cut, progress))
            shown = now
        elif not screen.terminal and now - shown >= 1:
            screen.say(plain(links, rates, cut, progress, now - start))
            shown = now
    screen.erase()


def results(download, links, cut):
    took = download.last_at - download.first_at if download.bytes else 0
    yield "bytes", download.bytes
    yield "seconds", f"{took:.1f}"
    yield "mbit", f"{download.bytes * 8e-6 / took if took else 0:.1f}"
    yield "sha256", download.digest.hexdigest()
    yield "stall_ms", round(download.stall * 1000)
    yield "links_stall_ms", round(links.stall * 1000)
    if cut and cut.ended_at:
        yield "stall_end_ms", round((download.stall_at - cut.at) * 1000)
        yield "cut_s", f"{cut.ended_at - cut.at:.1f}"
    if cut and cut.back_at:
        yield "back_ms", round((cut.back_at - cut.ended_at) * 1000)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cut")
    parser.add_argument("--size", type=int)
    parser.add_argument("--ctl")
    parser.add_argument("socket")
    parser.add_argument("results")
    parser.add_argument("uplinks", nargs="+")
    args = parser.parse_args()
    rates = {n: float(r) for n, r in (u.split("=") for u in args.uplinks)}
    screen = Screen()
    links = Links(args.socket, list(rates))
    cut = Cut(args.cut, args.size) if args.cut else None
    download = Download()
    download.start()
    watch(download, links, screen, rates, cut, args.ctl)
    if cut:
        show(screen, args.ctl)
    with open(args.results, "w", encoding="ascii") as out:
        for key, value in results(download, links, cut):
            print(f"{key}={value}", file=out)


main()
