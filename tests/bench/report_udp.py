"""report_udp - what the items about the udp transport have measured."""

import statistics

import plot
from report_parts import RUNS, Gate, figures, number, only, table, together

NAN = float("nan")

# Gate and goal in Mbit/s; None: at least what the best uplink alone has.
PROFILES = {
    "baseline": (90, 94), "rtt_40": (88, 93), "rtt_70": (84, 90), "rtt_120": (80, 86),
    "rtt_320": (None, 60), "jit_5": (86, 92), "jit_20": (75, 88), "loss_05": (88, 93),
    "loss_2": (80, 90), "bw_4to1": (56, 58), "bw_10to1": (99, 102), "dual_lte": (54, 58),
    "fiber_lte": (285, 300), "lte_starlink": (90, 110), "lte_geo": (None, 48),
    "congested": (None, 24), "unequal": (None, None), "fast_slow": (354, None),
    "two_100": (188, None), "three_100": (285, None),
}
LINKS = {
    "baseline": "50@20, 50@20", "rtt_40": "50@20, 50@40", "rtt_70": "50@20, 50@70",
    "rtt_120": "50@20, 50@120", "rtt_320": "50@20, 50@320", "jit_5": "2 x 50@20 j5",
    "jit_20": "2 x 50@20 j20", "loss_05": "2 x 50@20 0.5 %", "loss_2": "2 x 50@20 2 %",
    "bw_4to1": "50@20, 12@20", "bw_10to1": "100@20, 10@20",
    "dual_lte": "40@30 j5 0.5 %, 25@45 j8 0.5 %", "fiber_lte": "300@8, 30@40 j8 0.5 %",
    "lte_starlink": "40@35 j8, 100@50 j25 1 %", "lte_geo": "40@35, 20@320 j20 0.5 %",
    "congested": "20@50 j20 2 %, 15@60 j25 2 %", "unequal": "50@15, 40@30",
    "fast_slow": "300@10, 80@30", "two_100": "2 x 100@12", "three_100": "3 x 100@20",
}


def links_sum(links):
    """The rates of "50@20, 12@20", or of "2 x 50@20"."""
    total = 0
    for link in links.split(", "):
        times, _, rest = link.rpartition(" x ")
        total += int(times or 1) * int(rest.split("@")[0])
    return total


def best(values):
    return max((v for v in values if v == v), default=NAN)


def latest(values):
    """NaN, never, is the latest."""
    return max(values, key=lambda v: (v != v, v))


def singles(item, **where):
    """The better congestion control of each uplink."""
    found = {}
    for row in item.of(**where):
        if row["who"].startswith("single-"):
            found.setdefault((row["uplink"], row["who"]), []).append(float(row["mbit"]))
    return {up: best(statistics.median(v) for (u, _), v in found.items()
                     if u == up and len(v) >= RUNS)
            for up, _ in found}


def kernel(item, key="mbit", **where):
    return best(item.median(key, who=f"kernel-{cc}", **where) for cc in ("cubic", "bbr"))


class Profile:
    def __init__(self, item, name, where):
        where = dict(where, profile=name)
        alone = singles(item, **where)
        gate, self.goal = PROFILES[name]
        self.name = name
        self.single = best(alone.values())
        self.kernel = kernel(item, **where)
        self.udp = item.median("mbit", who="udp", **where)
        least = item.values("least", who="udp", **where)
        self.least = min(least) if len(least) >= RUNS else NAN
        if name == "congested":
            gate = 1.1 * self.single
        elif name == "unequal":
            gate = 0.98 * sum(alone.values())
        self.bound = gate
        suffix = ("" if where["streams"] == "1" else f", {where['streams']} streams") + (
            ", upload" if where["dir"] == "up" else "")
        self.rate = Gate(f"rate, {name}{suffix}", self.udp, gate or 0.97 * self.single,
                         " Mbit/s", least=True, goal=self.goal, shown=False)
        self.ratio = Gate(f"rate / the best single uplink, {name}{suffix}",
                          self.udp / self.single, 0.97, "", least=True, shown=False)
        self.window = Gate(f"worst 2 s / the best single uplink, {name}{suffix}",
                           self.least / self.single, 0.95, "", least=True, shown=False)

    def row(self):
        """The never-worse rule is its own three columns."""
        never = self.ratio.holds() and self.window.holds()
        return (self.name, LINKS[self.name], number(self.udp),
                number(self.bound) if self.bound else "one link", self.goal or "",
                self.rate.verdict(), number(self.ratio.measured),
                number(self.window.measured), "holds" if never else "**missed**",
                number(self.kernel), number(self.single), links_sum(LINKS[self.name]))


def profile_gates(profiles, what):
    gates = []
    for part, words in (("rate", "the rate of their gate"), ("ratio", "0.97 of the best single uplink"),
                        ("window", "0.95 of it in every 2 s")):
        own = [getattr(p, part) for p in profiles]
        gates += [together(f"profiles that reach {words}{what}", own)] + own
    return gates


def profiles(item):
    gates, text = [], ""
    ways = sorted({(r["dir"], r["streams"]) for r in item.rows if "dir" in r},
                  key=lambda way: (way[0], int(way[1])))
    for direction, streams in ways or [("down", "1")]:
        where = {"dir": direction, "streams": streams}
        found = [Profile(item, name, where) for name in PROFILES
                 if streams == "1" or item.of(profile=name, **where)]
        what = "" if streams == "1" else f", {streams} streams"
        what += ", upload" if direction == "up" else ""
        gates += profile_gates(found, what)
        if what:
            text += f"### {what[2:].capitalize()}\n\n"
        text += table(("Mbit/s", "uplinks", "udp", "gate", "goal", "", "/ best single",
                       "worst 2 s / best single", "never worse", "kernel MPTCP",
                       "best single", "sum"), [p.row() for p in found]) + "\n"
    return gates, text + cold(item) + busy(item)


def busy(item):
    values = [int(r["busy"]) for r in item.of(who="parts")]
    if not values:
        return ""
    return (f"While these were measured the processors were busy for {min(values)} to "
            f"{max(values)} % of the time, {statistics.median(values):.0f} % in the middle.\n")


def cold(item):
    """20 MiB on a new session, without a gate."""
    rows = []
    for name in PROFILES:
        by = {}
        for row in item.of(who="cold", profile=name, dir="down"):
            by.setdefault(row["of"], []).append(float(row["s"]))
        if by:
            rows.append((name, *(f"{statistics.median(by[w]):.2f}" if w in by else ""
                                 for w in ("udp", "kernel-cubic", "kernel-bbr",
                                           "single-cubic", "single-bbr"))))
    if not rows:
        return ""
    return "20 MiB on a session or connection that has carried nothing before:\n\n" + table(
        ("s", "udp", "kernel, cubic", "kernel, bbr", "uplink a, cubic", "uplink a, bbr"),
        rows) + "\n"


def profiles_plot(item):
    where = {"dir": "down", "streams": "1"}
    groups = []
    for name in PROFILES:
        p = Profile(item, name, where)
        whole = links_sum(LINKS[name])
        groups.append((name, [v / whole * 100 for v in (p.udp, p.kernel, p.single)]))
    return plot.bars("One download: payload in percent of the sum of the links' rates", "%",
                     ("mpproxy, udp", "raw kernel MPTCP", "best uplink alone"), groups)


CASES = ("10+10", "10@1+10@50", "30+10", "30@1+10@50", "30@50+10@1")


def simult(item):
    rows, hidden = [], {"udp": [], "mptcp": []}
    for case in CASES:
        limit = (16 << 23) / (900 * sum(int(l.split("@")[0]) for l in case.split("+"))) + 450
        row = [case, f"{limit:.0f}"]
        for who in ("udp", "mptcp", "kernel-cubic", "kernel-bbr"):
            for mode in ("get", "put"):
                worst = item.worst(mode, who=who, case=case)
                late = "" if worst <= limit else " **late**"
                row.append(f"{worst:.0f}{late}")
                if who in hidden:
                    hidden[who].append(Gate(f"16 MiB, {case}, {who}, {mode}", worst, limit,
                                            " ms", shown=False))
        rows.append(row)
    gates = []
    for who, own in hidden.items():
        gates += [together(f"the kernel's own cases in time, {who} transport", own)] + own
    return gates, table(("ms, worst run", "limit", "udp down", "up", "mptcp down", "up",
                         "kernel cubic down", "up", "kernel bbr down", "up"), rows)


def of_gates(gates, others):
    """A row a gate; `others` is what stands beside each."""
    return table(("measured", "must be", "goal", "mpproxy, udp", "", "beside it"),
                 [(*g.words(), o) for g, o in zip(gates, others)])


def udp_failover(item):
    def worst(event, key, who="udp"):
        return item.worst(key, who=who, event=event)

    def beside(event, key, unit="ms"):
        return ", ".join(f"kernel {cc} {worst(event, key, f'kernel-{cc}'):.0f} {unit}"
                         for cc in ("cubic", "bbr") if item.of(who=f"kernel-{cc}", event=event))

    # 60 and 30 ms are the round trips of the uplink that is left
    new = latest((worst("new-a", "worst") - 60, worst("new-b", "worst") - 30))
    steady = item.median("mbit", who="single", event="steady")
    flap = item.median("mbit", who="udp", event="flap") / steady
    gates = [
        Gate("silent death of the faster uplink: longest gap", worst("death", "gap_ms"), 350,
             " ms", goal=250),
        Gate("the same, until 90 % of the survivor's rate", worst("death", "left_ms"), 800,
             " ms", goal=500),
        Gate("only the way to the client dies: longest gap", worst("deaf", "gap_ms"), 400,
             " ms", goal=300),
        Gate("only the way to the server dies: longest gap", worst("mute", "gap_ms"), 400,
             " ms", goal=300),
        Gate("uplink returns: until 90 % of the sum", worst("death", "whole_ms"), 3000,
             " ms", goal=1500),
        Gate("new stream while one uplink is silent: first byte beyond the other's RTT", new,
             250, " ms", goal=50),
        Gate("all uplinks dead for 30 s: first byte after their return", worst("all", "back_ms"),
             2000, " ms", goal=1000),
        Gate("an idle uplink dies: until it is known",
             latest((worst("idle-a", "known_ms"), worst("idle-b", "known_ms"))), 2000, " ms", goal=1200),
        Gate("one uplink flaps at 1 Hz: rate / the steady uplink alone", flap, 0.95, "",
             least=True),
    ]
    others = [beside("death", "gap_ms"), beside("death", "left_ms"), beside("deaf", "gap_ms"),
              "", beside("death", "whole_ms"), "", beside("all", "back_ms"),
              "", f"steady uplink alone {number(steady)} Mbit/s"]
    return gates, of_gates(gates, others) + "\nWorst of all runs.\n"


def failover_plot(item):
    names = {"udp": "mpproxy, udp", "kernel-cubic": "kernel MPTCP, cubic",
             "kernel-bbr": "kernel MPTCP, bbr"}
    series = [(text, [float(v) for v in row["mbit"].split(",")])
              for who, text in names.items()
              for row in item.of(who="line", of=who, run="1")]
    return plot.lines("50@15 dies silently for 4 s, 40@30 is left: what arrives, in 100 ms",
                      "Mbit/s", 140, series, ((0, "silent"), (4, "back")), 0.1, -1)


def pooled(item, **where):
    return sorted(float(v) for row in item.of(**where) for v in row["ms"].split(",") if v)


def part_of(values, part):
    """The least value that so many of all do not exceed."""
    return values[min(len(values) - 1, int(len(values) * part))] if values else NAN


def udp_short(item):
    others_of = ("single-cubic", "single-bbr", "kernel-cubic", "kernel-bbr")
    gates, others = [], []

    def add(gate, figure, where):
        gates.append(gate(figure(who="udp", **where)))
        others.append(", ".join(f"{w.replace('-', ' ')} {figure(who=w, **where):.0f}"
                                for w in others_of if item.of(who=w, **where)))

    def median(**where):
        values = pooled(item, **where)
        return statistics.median(values) if len(values) >= 3 * RUNS else NAN

    def p99(**where):
        values = pooled(item, **where)
        return part_of(values, 0.99) if len(values) >= 100 * RUNS else NAN

    def extra(**where):
        return item.median("p95", **where) - item.median("base", **where)

    def asked(**where):
        return item.median("p95", **where) - item.median("base_median", **where)

    for size, text, limit, goal in (("10000", "10 KB", 40, 34), ("100000", "100 KB", 80, 50),
                                    ("1000000", "1 MB", 190, 150)):
        add(lambda v, t=text, l=limit, g=goal: Gate(f"{t}, median", v, l, " ms", goal=g),
            median, {"case": "short", "size": size})
    add(lambda v: Gate("100 KB, 1 % loss, p99", v, 180, " ms", goal=110), p99, {"case": "lossy"})
    add(lambda v: Gate("echo beside a bulk stream, LTE 20@25, 1 s buffer: extra delay, p95", v,
                       30, " ms", goal=20), extra, {"case": "lte"})
    add(lambda v: Gate("the same, DSL 20@8, 300 ms buffer", v, 20, " ms", goal=10), extra,
        {"case": "dsl"})
    add(lambda v: Gate("1 KB asked and answered beside 8 bulk streams: p95 beyond the base", v,
                       20, " ms", goal=8), asked, {"case": "beside"})
    return gates, of_gates(gates, others)


def wire_per_byte(item, who, uplinks):
    return only(item, "wire", who=who, uplinks=uplinks) / only(
        item, "payload", who=who, uplinks=uplinks)


def udp_cost(item):
    rate = item.median("mbit", who="udp")
    relays = item.median("mbit", who="haproxy")
    theirs = item.median("s_per_gb", who="shadowsocks")
    share = 100 / wire_per_byte(item, "udp", "1")
    kernels = 100 / wire_per_byte(item, "kernel-cubic", "1")
    twice = (wire_per_byte(item, "udp", "2") / wire_per_byte(item, "udp", "1") - 1) * 100
    gates = [
        Gate("one stream, unshaped", rate, 1500, " Mbit/s", least=True, goal=2500),
        Gate("CPU per GB / shadowsocks", item.median("s_per_gb", who="udp") / theirs, 1, "",
             goal=0.5),
        Gate("payload of what is on the wire", share, 95.5, " %", least=True, goal=95.8),
        Gate("sent twice over two uplinks", twice, 5, " %", goal=2),
        Gate("send calls per MB", item.worst("per_mb", who="calls"), 60, "", goal=25),
    ]
    others = [f"two haproxy relays {number(relays)} Mbit/s, of which this is "
              f"{rate / relays:.2f}", f"shadowsocks {theirs:.3f} s",
              f"kernel MPTCP {kernels:.1f} %",
              f"{only(item, 'resent', who='udp', uplinks='2') / 1e6:.2f} MB of 100 MB, says "
              "the server, which repeats what it takes for lost",
              f"at {item.median('mbit', who='calls'):.0f} Mbit/s"]
    rows = [(w, f"{item.median('s_per_gb', who=w):.3f}",
             figures(item.values("s_per_gb", who=w), 3),
             figures(item.values("softirqd", who=w), 3), figures(item.values("mbit", who=w), 0))
            for w in ("haproxy", "shadowsocks", "udp")]
    return gates, of_gates(gates, others) + "\n" + table(
        ("CPU s/GB", "median", "runs", "ksoftirqd", "Mbit/s"), rows)


def udp_idle(item):
    count = only(item, "open")
    gates = [Gate("idle streams that pass a byte at the end / open", only(item, "passed") / count,
                  1, "", least=True),
             Gate("streams opened per second", only(item, "per_s"), 3000, "", least=True,
                  goal=10000)]
    for role in ("client", "server"):
        most = max(only(item, f"{role}_mb"), only(item, f"{role}_after_mb"))
        gates.append(Gate(f"resident, 10,000 idle streams, {role}", most * 10000 / count, 128,
                          " MB", goal=64))
    rows = [(role, *(f"{only(item, f'{role}_{key}'):.1f}"
                     for key in ("empty_mb", "mb", "after_mb")))
            for role in ("client", "server")]
    return gates, table(("MB resident", "no stream", "idle", "after a byte each"), rows) + (
        f"\n{count:.0f} streams; the gate is for 10,000, in proportion.\n")


# Name, judge, title, text, and a plot: its name, its maker, what it shows.
ITEMS = [
    ("profiles", profiles, "The udp transport: one stream over the uplinks of twenty profiles",
     "`rate@delay` in Mbit/s of IP bytes and ms one way; jN: uniform +-N ms for each packet, and "
     "packets may overtake; queues of 50 ms. `iperf3 -R` every time: through a `forward` "
     "listener to the origin; to the server itself under `mptcpize`, with in-kernel endpoints; "
     "over each uplink alone in plain TCP; of cubic and bbr the better one counts for the "
     "kernel and for each uplink. What the receiver got after the first 3 s of 12 on a session "
     "that is up (10 s of 20 for rtt_320 and lte_geo), median of the runs. Never worse: at "
     "least 0.97 of the best uplink alone, and 0.95 of it in any 2 s after the third second of "
     "any run. What is compared ran at the same time, each in namespaces with emulated links "
     "of its own, except for the fast profiles, whose flows ran in smaller groups, ours alone. "
     "rtt_320 and lte_geo only have to be no worse; congested must reach 1.1 of the best "
     "uplink, unequal 0.98 of the sum of what its uplinks carry alone.",
     ("profiles.svg", profiles_plot, "what mpproxy, kernel MPTCP and the best uplink alone have "
      "of the sum of the links in each profile")),
    ("simult", simult, "The kernel's own cases, on both transports",
     "From the kernel's selftests (simult_flows): 16 MiB must be there within size / (0.9 x sum "
     "of the rates) + 450 ms. `a+b` are the rates of two uplinks in Mbit/s, `@` the delay one "
     "way in ms. From connect() to the last byte, on a session that is up but has carried "
     "nothing.", None),
    ("udp_failover", udp_failover, "The udp transport: uplinks that die and return",
     "50@15 and 40@30 under one download; silent: everything is dropped, and nobody is told. "
     "The gap is the longest time between two reads of the receiving program, whose bytes had "
     "the SHA-256 of what was sent. A rate is there from where on it holds in the next 200 ms "
     "and in the next second; the survivor's is 38, the sum 85.6 Mbit/s. New streams are opened "
     "right after the uplink fell silent, ten for each uplink, on a session that had been idle "
     "for 3 s. The death of an idle uplink is known when `mpproxyctl status` counts it no more.",
     ("udp_failover.svg", failover_plot, "what arrives while an uplink is silent for 4 s: "
      "mpproxy and kernel MPTCP")),
    ("udp_short", udp_short, "The udp transport: short streams, and latency beside bulk",
     "Two uplinks of 50@15; 10 KB, 100 KB and 1 MB through `forward`, each on a session that "
     "was idle for 5 s after a bulk transfer, from connect() to the last byte; 100 KB a hundred "
     "times a run with 1 % loss on both. ICMP echoes over the one uplink beside one bulk "
     "download through it, from its fourth second on, less the median of the idle uplink. "
     "Beside it the same in plain TCP over one uplink (single) and over kernel MPTCP.", None),
    ("udp_cost", udp_cost, "The udp transport: what it costs",
     "One curl downloads files of 1 GB over plain HTTP, no emulator, the namespaces joined by "
     "veth, both daemons and the load on the same processors; beside it two haproxy relays in a "
     "row, plain TCP, and shadowsocks-libev with aes-256-gcm (neither glorytun nor MLVPN is "
     "packaged). Payload: bytes of the stream in the IP bytes that arrived for 100 MB over one "
     "emulated uplink of 100@15 with a queue that never overflows, everything counted; sent "
     "twice: how many more arrive over two such uplinks. Send calls: the server's sendmmsg, "
     "sendmsg and sendto, counted by the kernel's tracepoints in a transfer that is not timed "
     "otherwise. Copies, from reading the code: read() puts a byte into the send buffer, one copy "
     "puts it where it is sealed in place; a packet is opened in place, and one copy puts the "
     "byte where send() takes it: one copy each way besides the AEAD (gate 2, goal 1).", None),
    ("udp_idle", udp_idle, "The udp transport: idle streams",
     "Opened through `forward`, 64 at a time, each proven by a byte there and back; idle for 5 "
     "s; then a byte there and back through every one of them. Joined by veth.", None),
]
