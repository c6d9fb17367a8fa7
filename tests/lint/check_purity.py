"""daemon/core is pure: its undefined symbols are all in core-symbols.txt."""

import glob
import os
import re
import subprocess
import tempfile

import lint

with open(os.path.join(lint.ROOT, "tests/lint/core-symbols.txt"), encoding="utf-8") as f:
    ALLOWED = re.compile("|".join(
        f"(?:{line.strip()})" for line in f if line.strip() and not line.startswith("#")))


def nm(*args):
    out = subprocess.run(["nm", *args], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [line.split() for line in out.splitlines() if line.startswith(" ") or line[:1].isalnum()]


def foreign(objects):
    """Symbols that the objects need and neither define nor may use."""
    defined = {s[-1] for s in nm("--defined-only", *objects) if len(s) == 3}
    needed = {s[-1] for s in nm("--undefined-only", *objects) if len(s) == 2}
    return sorted(s for s in needed - defined if not ALLOWED.fullmatch(s))


def compiled(source):
    with tempfile.TemporaryDirectory() as d:
        obj = os.path.join(d, "sample.o")
        subprocess.run(["gcc", "-x", "c", "-c", "-O0", "-o", obj, "-"],
                       input=source, text=True, check=True)
        return foreign([obj])


lint.self_test(
    lambda _path, source: [(1, s) for s in compiled(source)],
    bad=[("clock", "#include <time.h>\nlong f(void) { return time(0); }\n"),
         ("descriptor", "#include <unistd.h>\nint f(void) { return close(0); }\n"),
         ("log", "void log_info(const char *, ...); void f(void) { log_info(\"\"); }\n")],
    good=[("memory", "#include <stdlib.h>\nvoid f(void *p) { free(p); }\n")])

core = glob.glob(os.path.join(lint.ROOT, "build/daemon/core/*.o"))
lint.finish([f"daemon/core needs {s}, which is not in tests/lint/core-symbols.txt"
             for s in (foreign(core) if core else [])])
