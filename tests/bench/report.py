#!/usr/bin/python3
"""report - holds what was measured against what must be reached.

    report.py DIR [FILE]

Reads DIR/ITEM.data, lines of KEY=VALUE words; prints a line a gate; writes FILE,
a page of Markdown. Exit status: 1 if a gate does not hold or was not measured.
"""

import os
import statistics
import sys

from report_parts import RUNS, Gate, Item, figures, only, table
import report_udp


def aggregate(item):
    who = {"ours": "mpproxy, bbr (its default)",
           "kernel-cubic": "raw kernel MPTCP, cubic",
           "kernel-bbr": "raw kernel MPTCP, bbr",
           "single": "fibre alone, plain TCP, cubic"}
    kernel = max(item.median("mbit", who="kernel-cubic"),
                 item.median("mbit", who="kernel-bbr"))
    ratio = item.median("mbit", who="ours") / kernel
    gates = [Gate("download over three uplinks / raw kernel MPTCP", ratio, 0.97, "",
                  least=True)]
    rows = [(text, f"{item.median('mbit', who=w):.1f}",
             figures(item.values("mbit", who=w)),
             *(figures([v * 8e-3 / 12 for v in item.values(name, who=w)])
               for name in ("fibre", "dsl", "lte")))
            for w, text in who.items()]
    return gates, table(("Mbit/s", "median", "runs", "fibre", "dsl", "lte"), rows)


def failover(item):
    who = {"ours": "mpproxy", "kernel-cubic": "raw kernel MPTCP, cubic",
           "kernel-bbr": "raw kernel MPTCP, bbr"}
    gates = [Gate(f"longest stall, {text}, worst run",
                  item.worst("stall_ms", who="ours", dir=d), 500, " ms")
             for d, text in (("down", "download"), ("up", "upload"))]
    rows = [(f"{text}, {'download' if d == 'down' else 'upload'}",
             f"{item.worst('stall_ms', who=w, dir=d):.0f}",
             *(figures(item.values(key, who=w, dir=d), digits)
               for key, digits in (("stall_ms", 0), ("lanes_ms", 0), ("tail_mbit", 1))))
            for w, text in who.items() for d in ("down", "up")]
    return gates, table(("ms", "worst", "runs", "survivors carried nothing",
                         "Mbit/s in the last 2 s"), rows)


def paired(item, theirs, cc):
    """The median of what ours used of what theirs did right before it; NaN as median()."""
    their = {r["run"]: float(r["s_per_gb"]) for r in item.of(who=theirs, cc=cc)}
    ratios = [float(r["s_per_gb"]) / their[r["run"]]
              for r in item.of(who="ours", beside=theirs, cc=cc) if their.get(r["run"])]
    return statistics.median(ratios) if len(ratios) >= RUNS else float("nan")


def cost(item, what, limits):
    """limits: who stands beside it, and the gate or None."""
    rows = []
    for their in limits:
        for cc in sorted({r["cc"] for r in item.of(who=their) if "cc" in r}, reverse=True):
            for words, where in ((their, {"who": their}),
                                 (f"ours, {cc}", {"who": "ours", "beside": their})):
                rows.append((words, f"{item.median('s_per_gb', cc=cc, **where):.3f}",
                             f"{paired(item, their, cc):.2f}" if words != their else "",
                             *(figures(item.values(key, cc=cc, **where), digits) for key, digits
                               in (("s_per_gb", 2), ("softirqd", 3), ("mbit", 0)))))
    gates = [Gate(f"{what} / {who}", paired(item, who, "cubic"), limit, "")
             for who, limit in limits.items() if limit is not None]
    return gates, table(("CPU s/GB", "median", "of the row above", "runs", "ksoftirqd",
                         "Mbit/s"), rows)


def cost_auth(item):
    return cost(item, "CPU per GB, protect = auth", {"haproxy": 1.2, "haproxy-mptcp": None})


def cost_full(item):
    return cost(item, "CPU per GB, full protection", {"shadowsocks": 0.7})


def first_byte(item):
    gates = [Gate("first byte of a new stream, 40 ms RTT, median of 30",
                  only(item, "median_ms"), 45, " ms")]
    rows = [(text, *(f"{only(item, key, w):.1f}"
                     for key in ("median_ms", "p95_ms", "worst_ms")))
            for w, text in (("ours", "mpproxy, `forward`"), ("tcp", "plain TCP, no daemon"))]
    return gates, table(("ms", "median", "p95", "worst"), rows)


def idle(item):
    gates = [Gate("idle streams open that pass a byte at the end", only(item, "passed"),
                  9000, "", least=True)]
    gates += [Gate(f"resident memory, {role}",
                   max(only(item, f"{role}_mb"), only(item, f"{role}_after_mb")),
                   180, " MB") for role in ("client", "server")]
    rows = [(role, *(f"{only(item, f'{role}_{key}'):.1f}"
                     for key in ("empty_mb", "mb", "after_mb")))
            for role in ("client", "server")]
    text = table(("MB resident", "no stream", "idle", "after a byte each"), rows)
    return gates, text + (
        f"\n{only(item, 'open'):.0f} streams were open after {only(item, 'seconds'):.1f} s: "
        f"{only(item, 'per_s'):.0f} a second, {only(item, 'cpu_ms'):.3f} ms of both daemons' "
        f"processor time each. While they were idle the daemons used "
        f"{only(item, 'idle_cpu'):.1f} % of one processor.\n")


ITEMS = [entry[:4] for entry in report_udp.ITEMS] + [
    ("aggregate", aggregate, "One download over three uplinks",
     "50 Mbit/s at 10 ms, 20 at 20 ms, 30 at 15 ms (one way), queues of 50 ms. `iperf3 -R`, "
     "the same program in every row: through a `forward` listener with full protection to the "
     "origin; under `mptcpize` to the server itself, with in-kernel endpoints; over the best "
     "uplink alone. What the receiver got after the first 3 s of 12. Runs are interleaved. The "
     "better of cubic and bbr counts for the kernel. The uplinks' columns are the emulator's "
     "counters, IP bytes over the 12 s."),
    ("failover", failover, "The fastest uplink dies silently",
     "The same three uplinks; 4 s into one stream of 9 s everything on the 50 Mbit/s uplink is "
     "dropped, both ways, and nobody is told. The longest time between two reads of the "
     "receiving program from then on, the 5 s to the end included; what both ends sent and got "
     "had the same SHA-256. Beside it, from the emulator's counters every 10 ms: the longest time "
     "in which the two other uplinks together carried nothing."),
    ("cost_auth", cost_auth, "Processor time per GB, TLS inside, `protect = auth`",
     "No emulator, the namespaces are joined by veth; curl downloads a file of 1 GB over TLS "
     "from nginx through a `forward` listener; through two haproxy relays in a row (mode tcp, one "
     "thread each, splice forced both ways: `splice-auto` copied instead) over plain TCP; and "
     "through two more, between which it is kernel MPTCP as well, one subflow each. curl and the "
     "client's relay have one processor, nginx and the server's the other. Only the relays' time "
     "is counted, both together: user and system time, with what softirqs did while they ran, "
     "which is also the next one's work (over veth the sender's processor takes a packet to the "
     "receiver's socket). Two run in turn; the ratio is the median of those of each turn. Every "
     "TCP connection uses cubic (an attribute of the routes), so mpproxy with `congestion = cubic` "
     "is what the gate compares; its default, bbr, is for real uplinks and stands beside it: bbr "
     "paces, which makes smaller bursts dearer where nothing limits the rate. haproxy's splice() "
     "hands pages on; kernel MPTCP copies them, into its send queue and out of its receive queue, "
     "whoever asks. A hashed download of 50 MB precedes each run."),
    ("cost_full", cost_full, "Processor time per GB, full protection",
     "The same over plain HTTP, `protect = full`, beside shadowsocks-libev: ss-tunnel and "
     "ss-server with aes-256-gcm. Again cubic is compared with cubic. mpproxy chooses "
     "AES-128-GCM where both processors have it in hardware."),
    ("first_byte", first_byte, "First byte of a new stream",
     "One uplink of 100 Mbit/s, 20 ms each way, the server beside the origin; 30 streams, one "
     "after the other, of a session that was idle for 5 s. From connect() to the local `forward` "
     "listener to the first byte of the answer."),
    ("idle", idle, "9,000 idle streams",
     "Opened through `forward`, 64 at a time, each proven by a byte there and back; idle for 5 s; "
     "then a byte there and back through every one of them. Joined by veth."),
]


PLOTS = {entry[0]: entry[4] for entry in report_udp.ITEMS if entry[4]}


def header(items, names):
    rows = [(f"`tests/bench/run {name}`", a.get("when", "not measured"),
             a.get("kernel", ""), a.get("cpus", ""), a.get("version", ""))
            for name, a in ((name, items[name].about) for name in names)]
    return table(("command", "measured", "kernel", "CPUs", "version"), rows)


def picture(name, item, data):
    """Writes the plot beside the data, and says how the page shows it."""
    if name not in PLOTS or data is None:
        return ""
    file, draw, words = PLOTS[name]
    with open(os.path.join(data, file), "w", encoding="utf-8") as out:
        out.write(draw(item))
    return f"![{words}]({os.path.basename(data)}/{file})\n\n"


def failures(item):
    return "".join(f"\nNot counted, because it failed: {' '.join(map('='.join, e.items()))}\n"
                   for e in item.errors)


def main(data, page=None):
    items = {name: Item(os.path.join(data, name + ".data")) for name, *_ in ITEMS}
    full = data.rstrip("/").endswith("-full")
    shown = [entry for entry in ITEMS if not full or items[entry[0]].rows]
    sections, gates = [], []
    for name, judge, title, text in shown:
        found, figure_table = judge(items[name])
        gates += found
        sections.append(f"## {title}\n\n{text}\n\n{picture(name, items[name], page and data)}"
                        f"{figure_table}{failures(items[name])}")
    counted = [g for g in gates if not g.sums]
    missed = [g for g in counted if not g.holds() and g.measured == g.measured]
    unknown = [g for g in counted if g.measured != g.measured]
    said = (f"{len(counted) - len(missed) - len(unknown)} gates hold, {len(missed)} are missed, "
            f"{len(unknown)} were not measured")
    if page:
        with open(page, "w", encoding="utf-8") as out:
            out.write("# Benchmarks\n\n"
                      f"As measured by `sudo make bench{'-full' * full}`, everything that is "
                      "compared side by side in "
                      "one run, in network namespaces of one machine. Absolute figures depend "
                      "on the machine; the ratio to the neighbour is what counts. This page is "
                      "written by `tests/bench/report.py` from the figures beside it, "
                      f"`docs/{os.path.basename(data)}/*.data`.\n\n{said}."
                      f"{' Missed: ' * bool(missed)}{'; '.join(g.what for g in missed)}"
                      f"{'.' * bool(missed)}\n\n"
                      + table(("gate", "must be", "goal", "measured", ""),
                              [g.words() for g in gates if g.shown])
                      + "\n" + header(items, [entry[0] for entry in shown])
                      + "\n" + "\n".join(sections))
    for g in gates:
        what, limit, _, measured, verdict = g.words()
        print(f"{verdict.strip('*'):13} {what:56} {limit:18} measured {measured}")
    print(f"bench: {said}")
    return len(missed) + len(unknown) > 0


if not 2 <= len(sys.argv) <= 3:
    sys.exit(__doc__)
sys.exit(main(*sys.argv[1:]))
