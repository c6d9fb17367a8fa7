"""Files, functions and parameter lists stay small."""

import re

import lint

FILE_MAX = 600
TEST_MAX = 1000
HEADER_MAX = 150
FUNCTION_MAX = 70
PARAMETERS_MAX = 6

CODE = (".c", ".h", ".py", ".sh")
# As clang-format lays a definition out: name at the margin, braces on their own.
FUNCTION = re.compile(
    r"^(\w+)\(((?:[^(){};]|\([^(){};]*\))*)\)\n\{\n(.*?)^\}", re.M | re.S)


def parameters(text):
    """Commas at depth 0, and one."""
    depth, n = 0, 1
    for c in text:
        depth += (c == "(") - (c == ")")
        n += c == "," and depth == 0
    return n


def check(path, text):
    if not path.endswith(CODE):
        return []
    found = []
    lines = text.count("\n")
    limit = HEADER_MAX if path.endswith(".h") else \
        TEST_MAX if path.startswith("tests/") else FILE_MAX
    if lines > limit:
        found.append((1, f"{lines} lines, at most {limit}"))
    if not path.endswith(".c"):
        return found
    for m in FUNCTION.finditer(text):
        line = text.count("\n", 0, m.start()) + 1
        body = m.group(3).count("\n")
        if body > FUNCTION_MAX:
            found.append((line, f"{m.group(1)}: {body} lines, at most {FUNCTION_MAX}"))
        if parameters(m.group(2)) > PARAMETERS_MAX:
            found.append((line, f"{m.group(1)}: more than {PARAMETERS_MAX} parameters"))
    return found


def function(body, args="void"):
    return f"static int\nf({args})\n{{\n" + "\tx();\n" * body + "}\n"


lint.run(
    check,
    bad=[
        ("daemon/a.c", "\n" * (FILE_MAX + 1)),
        ("tests/unit/a.c", "\n" * (TEST_MAX + 1)),
        ("common/a.h", "\n" * (HEADER_MAX + 1)),
        ("daemon/a.c", function(FUNCTION_MAX + 1)),
        ("daemon/a.c", function(1) + function(FUNCTION_MAX + 1)),
        ("daemon/a.c", function(1, "int a, int b, int c,\n  int d, int e, int f, int g")),
    ],
    good=[
        ("daemon/a.c", "\n" * FILE_MAX),
        ("tests/unit/a.c", "\n" * TEST_MAX),
        ("common/a.h", "\n" * HEADER_MAX),
        ("daemon/a.c", function(FUNCTION_MAX) + function(FUNCTION_MAX)),
        ("daemon/a.c", function(1, "void (*f)(int, int, int), int b, int c, int d, int e")),
    ])
