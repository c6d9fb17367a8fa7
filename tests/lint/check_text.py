"""Text only, no notes to self, no blanks at line ends, no paths of one machine."""

import re

import lint

# Written so that this file does not find itself.
RULES = [
    (re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b"), "left undone"),
    (re.compile(r"[ \t]+$"), "blanks at the end of the line"),
    (re.compile(r"(?<![\w.}])/(wo" r"rk|tm" r"p/mp|Us" r"ers|ro" r"ot|ho" r"me/\w+)/"),
     "a path of one machine"),
]


def check(path, text):
    if "\0" in text or "\ufffd" in text:
        return [(1, "not text: nothing that was built belongs in the tree")]
    found = []
    if text and not text.endswith("\n"):
        found.append((text.count("\n") + 1, "no newline at the end"))
    for n, line in enumerate(text.split("\n"), 1):
        found += [(n, message) for rule, message in RULES if rule.search(line)]
    return found


lint.run(
    check,
    bad=[
        ("a.c", "/* TO" "DO: more */\n"),
        ("a.sh", "# FIX" "ME\n"),
        ("a.md", "XX" "X later\n"),
        ("a.c", "int a; \n"),
        ("a.c", "int a;\t\n"),
        ("a.c", "int a;"),
        ("a.o", "\x7fELF\0"),
        ("a.md", "cd /wo" "rk/main\n"),
        ("a.md", "see `/ho" "me/someone/x`\n"),
    ],
    good=[
        ("a.c", "int a;\n"),
        ("a.c", ""),
        ("a.sh", "mktemp -p /tmp/ XXXXXX\n"),
        ("a.md", "net/wo" "rk/x and https://x.org/a/wo" "rk/b\n"),
    ])
