"""Commit subjects read `component: say what it does`, in at most 60 characters."""

import re
import subprocess
import sys

import lint

# The README is called as its file is.
COMPONENT = r"(?:[a-z0-9_./@-]+|README)"
SUBJECT = re.compile(rf"{COMPONENT}(, {COMPONENT})*: \S.*[^.\s]")
SUBJECT_MAX = 60


def check(_commit, subject):
    if len(subject) > SUBJECT_MAX:
        return [(1, f"{len(subject)} characters, at most {SUBJECT_MAX}: {subject}")]
    if not SUBJECT.fullmatch(subject):
        return [(1, f"not `component: what it does`: {subject}")]
    return []


lint.self_test(
    check,
    bad=[("1", "Fix things"), ("2", "acl: " + "x" * 56), ("3", "acl: refuse it."),
         ("4", "acl:refuse"), ("5", ": refuse"), ("6", "Acl: refuse it")],
    good=[("1", "acl: " + "x" * 55), ("2", "daemon/io, lab: wait for the device"),
          ("3", "README: say what it is")])

log = subprocess.run(["git", "log", "--no-merges", "--format=%h %s"], cwd=lint.ROOT,
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
if log.returncode != 0:
    print(log.stderr.strip())
    print("no history here: the tree is not a git clone")
    sys.exit(77)
lint.finish([f"{commit}: {message}"
             for commit, subject in (entry.split(" ", 1) for entry in log.stdout.splitlines())
             for _, message in check(commit, subject)])
