"""report_parts - what was measured, what must be, and tables."""

import math
import os
import statistics

RUNS = min(3, int(os.environ.get("BENCH_RUNS", 3)))


class Item:
    """The measurements of one item, without those that failed."""

    def __init__(self, path):
        self.rows, self.errors, self.about = [], [], {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as data:
                for row in data:
                    self.take(dict(w.split("=", 1) for w in row.split()))

    def take(self, row):
        if "who" not in row:
            self.about = row
        elif "error" in row:
            self.errors.append(row)
        else:
            self.rows.append(row)

    def of(self, **want):
        return [r for r in self.rows if all(r.get(k) == v for k, v in want.items())]

    def values(self, key, **want):
        return [float(r[key]) for r in self.of(**want) if key in r]

    def median(self, key, **want):
        """Of all runs; NaN, which passes no gate, when one of them is missing."""
        values = self.values(key, **want)
        return statistics.median(values) if len(values) >= RUNS else float("nan")

    def worst(self, key, **want):
        values = self.values(key, **want)
        if len(values) < RUNS or any(map(math.isnan, values)):
            return float("nan")
        return max(values)


class Gate:
    """What must be, and the goal beyond it, if there is one. The gates of a long
    table stand in it, not (shown) on top of the page, where one stands for all (sums)."""

    def __init__(self, what, measured, limit, unit, least=False, goal=None, shown=True):
        self.what, self.measured, self.limit = what, measured, limit
        self.unit, self.least = unit, least
        self.goal, self.shown, self.sums = goal, shown, False

    def reaches(self, limit):
        return self.measured >= limit if self.least else self.measured <= limit

    def holds(self):
        return self.reaches(self.limit)

    def verdict(self):
        if math.isnan(self.measured):
            return "**not measured**"
        if not self.holds():
            return "**missed**"
        return "goal reached" if self.goal is not None and self.reaches(self.goal) else "holds"

    def words(self):
        sign = "at least" if self.least else "at most"
        measured = f"{number(self.measured)}{self.unit}"
        if math.isnan(self.measured):
            measured = "nothing, or not every run"
        goal = "" if self.goal is None else f"{self.goal:g}{self.unit}"
        return self.what, f"{sign} {self.limit:.4g}{self.unit}", goal, measured, self.verdict()


def number(value):
    """Four digits, and those before the point."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def together(what, gates):
    """One line on top of the page for many gates."""
    measured = any(not math.isnan(g.measured) for g in gates)
    gate = Gate(what, sum(g.holds() for g in gates) if measured else float("nan"),
                len(gates), "", least=True)
    gate.sums = True
    return gate


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |",
             "|" + "|".join(["---"] + ["--:"] * (len(head) - 1)) + "|"]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def figures(values, digits=1):
    return ", ".join(f"{v:.{digits}f}" for v in values) or "not measured"


def only(item, key, who="ours", **where):
    values = item.values(key, who=who, **where)
    return values[0] if len(values) == 1 else float("nan")
