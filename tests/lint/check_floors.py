"""Includes go down the floors, or sideways in a folder; each library has one home."""

import os
import re

import lint

# Longest folder first: who may include what.
FLOORS = [
    ("tests/", ("common/", "daemon/core/", "daemon/io/", "daemon/", "client/", "tests/")),
    ("common/", ("common/",)),
    ("daemon/core/", ("common/", "daemon/core/")),
    ("daemon/io/", ("common/", "daemon/io/")),
    ("daemon/", ("common/", "daemon/core/", "daemon/io/", "daemon/")),
    ("client/", ("common/", "daemon/core/", "daemon/io/", "client/")),
]

HOMES = [
    (r"event2?[./]|evhttp", r"daemon/io/loop\.c"),
    (r"netlink/", r"daemon/io/(netmon|mptcp_pm)\w*\.c"),
    (r"openssl/", r"daemon/core/crypto\.c"),
    (r"iniparser|dictionary", r"daemon/config\w*\.[ch]"),
    (r"jansson", r"common/ctlmsg\.[ch]|daemon/control\w*\.[ch]|daemon/report\w*\.[ch]|client/\w+\.[ch]"),
    (r"ares", r"daemon/io/resolver\.c"),
    (r"systemd/", r"daemon/io/service\.c"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def folder(path):
    """The folder of the floors that a path is in."""
    name = os.path.dirname(path) + "/"
    return "tests/" if name.startswith("tests/") else name


def check(path, text):
    if not path.endswith((".c", ".h")):
        return
    allowed = dict(FLOORS).get(folder(path))
    if allowed is None:
        yield 1, "C source outside the folders of the design"
        return
    for m in INCLUDE.finditer(text):
        line = text.count("\n", 0, m.start(2)) + 1
        name = m.group(2)
        if name.endswith(".c"):
            yield line, f"includes a source file: {name}"
        if m.group(1) == '"':
            if folder(name) not in allowed:
                yield line, f"{name}: not below {folder(path)}, or not from the root"
        elif folder(path) != "tests/":
            for library, home in HOMES:
                if re.match(library, name) and not re.fullmatch(home, path):
                    yield line, f"<{name}>: its home is {home}"


def judge(path, text):
    return list(check(path, text))


lint.run(
    judge,
    bad=[
        ("common/a.c", '#include "daemon/acl.h"\n'),
        ("daemon/core/a.c", '#include "daemon/io/loop.h"\n'),
        ("daemon/core/a.h", '#include "daemon/acl.h"\n'),
        ("daemon/io/a.c", '#include "daemon/core/limits.h"\n'),
        ("daemon/a.c", '#include "client/ctl.h"\n'),
        ("client/a.c", '#include "daemon/acl.h"\n'),
        ("daemon/a.c", '#include "acl.h"\n'),
        ("daemon/a.c", '#include "tests/unit/unit.h"\n'),
        ("tests/unit/a.c", '#include "common/addr.c"\n'),
        ("daemon/io/tcp.c", "#include <event2/event.h>\n"),
        ("daemon/uplinks.c", "# include <netlink/netlink.h>\n"),
        ("daemon/core/keys.c", "#include <openssl/evp.h>\n"),
        ("daemon/acl.c", "#include <iniparser/iniparser.h>\n"),
        ("daemon/acl.c", "#include <jansson.h>\n"),
        ("daemon/main.c", "#include <systemd/sd-daemon.h>\n"),
        ("src/a.c", ""),
    ],
    good=[
        ("common/a.c", '#include <string.h>\n#include "common/addr.h"\n'),
        ("daemon/core/a.c", '#include "daemon/core/limits.h"\n'),
        ("daemon/a.c", '#include "daemon/io/loop.h"\n#include "daemon/core/keys.h"\n'),
        ("daemon/io/loop.c", "#include <event2/event.h>\n"),
        ("daemon/config_keys.c", "#include <iniparser/iniparser.h>\n"),
        ("client/print.c", "#include <jansson.h>\n"),
        ("tests/unit/test_a.c", '#include "tests/unit/unit.h"\n#include <jansson.h>\n'),
    ])
