"""Documents name only what is there: relative links, their anchors, and files."""

import glob
import os
import re

import lint

TOP = "common|daemon|client|conf|systemd|tests|contrib|docs"
LINK = re.compile(r"(?<!!)\[[^]\n]*\]\(([^)\s]+)\)")
# In code quotes: a path below a folder of the tree, or a file at its top.
NAMED = re.compile(rf"`((?:{TOP})/[\w./*-]*|[A-Z]+\.md|Makefile|LICENSE)`")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)


def exists(path):
    """A module may be named without .c and .h; test_NAME.c stands for many."""
    if "NAME" in path:
        return True
    return any(glob.glob(os.path.join(lint.ROOT, path + end)) for end in ("", ".c", ".h"))


def without_fences(text):
    return FENCE.sub(lambda m: "\n" * m.group(0).count("\n"), text)


def anchors(text):
    """As web pages make them: lower case, words by hyphens, no punctuation."""
    titles = re.findall(r"^#+ (.*)$", without_fences(text), re.M)
    return {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}


def complain_of_link(path, text, target):
    if re.match(r"[a-z]+:", target):
        return None
    name, _, anchor = target.partition("#")
    file = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
    if name and not os.path.exists(os.path.join(lint.ROOT, file)):
        return f"link to {target}: there is no {file}"
    if anchor and name:
        with open(os.path.join(lint.ROOT, file), encoding="utf-8") as f:
            text = f.read()
    if anchor and anchor not in anchors(text):
        return f"link to {target}: {file} has no such heading"
    return None


def check(path, text):
    if not path.endswith(".md"):
        return []
    found = []
    for n, line in enumerate(without_fences(text).split("\n"), 1):
        for m in LINK.finditer(line):
            message = complain_of_link(path, text, m.group(1))
            if message:
                found.append((n, message))
        found += [(n, f"names {m.group(1)}, which is not there")
                  for m in NAMED.finditer(line) if not exists(m.group(1))]
    return found


lint.run(
    check,
    bad=[
        ("a.md", "see [this](no-such-file.md)\n"),
        ("docs/a.md", "see [this](README.md)\n"),
        ("a.md", "see [this](README.md#no-such-heading)\n"),
        ("a.md", "# One\n\nsee [two](#two)\n"),
        ("a.md", "```\n# Two\n```\nsee [two](#two)\n"),
        ("a.md", "in `daemon/no_such_module`\n"),
        ("a.md", "in `tests/lint/check_nothing*.py`\n"),
        ("a.md", "in `NOTHING.md`\n"),
    ],
    good=[
        ("docs/a.md", "see [this](../README.md) and [that](https://example.org/x)\n"),
        ("a.md", "# What it's for\n\nsee [it](#what-its-for)\n"),
        ("a.md", "```\nsee [this](no-such-file.md)\n```\n"),
        ("a.md", "in `daemon/acl`, `daemon/acl.c`, `tests/lint/check_*.py`, `Makefile`\n"),
        ("a.c", "/* `daemon/no_such_module` */\n"),
    ])
