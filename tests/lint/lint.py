"""What the lints share: which files there are, and the proof that a lint can fail.

A lint is a function `check(path, text)` that returns complaints as (line, message).
It is first tried on `bad`, samples of (path, text) that must each be complained about,
and on `good`, samples that must pass; then on the files of the tree.
"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files():
    """The tree's files: what git has or would add, but inputs of tests."""
    out = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    for path in sorted(out.splitlines()):
        if path.startswith(("tests/fuzz/corpus/", "tests/data/")):
            continue
        try:
            with open(os.path.join(ROOT, path), encoding="utf-8",
                      errors="replace") as f:
                yield path, f.read()
        except (FileNotFoundError, IsADirectoryError):
            pass  # deleted, and that not yet committed


def self_test(check, bad, good):
    for path, text in bad:
        if not check(path, text):
            sys.exit(f"lint does not see what is wrong with {path}: {text[:200]!r}")
    for path, text in good:
        found = list(check(path, text))
        if found:
            sys.exit(f"lint complains without reason: {path}: {found[0][1]}")


def finish(complaints):
    for c in complaints:
        print(c)
    sys.exit(1 if complaints else 0)


def run(check, bad, good):
    self_test(check, bad, good)
    finish([f"{path}:{line}: {message}"
            for path, text in files() for line, message in check(path, text)])
