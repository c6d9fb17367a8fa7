#!/usr/bin/python3
"""stranger - somebody who has no key, at the server's port or a listener.

    stranger.py silent HOST PORT FILE    says what is in FILE, must get no byte back
    stranger.py crowd HOST PORT N FILE   opens N connections, says "open", and opens
                                         those again that were closed, 500 a second,
                                         until there is a FILE

The crowd comes from the addresses of its namespace that begin with 5.5.5.1, in turn,
or from wherever the kernel says.
"""

import os
import resource
import selectors
import socket
import subprocess
import sys
import time

IP_BIND_ADDRESS_NO_PORT = 24


def silent(host, port, file):
    with open(file, "rb") as f:
        data = f.read()
    sock = socket.create_connection((host, int(port)), timeout=15)
    start = time.monotonic()
    try:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        got = sock.recv(1)
    except (ConnectionResetError, BrokenPipeError):
        got = b""
    except TimeoutError:
        sys.exit("stranger: the connection is still there after 15 s")
    if got:
        sys.exit(f"stranger: {got!r} came back")
    print(round((time.monotonic() - start) * 1000))


def own_addresses():
    out = subprocess.run(["ip", "-4", "-o", "address"], capture_output=True, check=True)
    words = out.stdout.decode().split()
    return [w.split("/")[0] for w in words if w.startswith("5.5.5.1")] or ["0.0.0.0"]


def start(target, source):
    sock = socket.socket(socket.AF_INET)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((source, 0))
    sock.connect_ex(target)
    return sock


def crowd(host, port, n, until):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(n) + 100, int(n) + 100))
    sel = selectors.EpollSelector()
    target = (host, int(port))
    sources = own_addresses()
    opened = 0
    while not os.path.exists(until):
        for _ in range(min(int(n) - len(sel.get_map()), 100 if opened < int(n) else 10)):
            sel.register(start(target, sources[opened % len(sources)]), selectors.EVENT_READ)
            opened += 1
            if opened == int(n):
                print("open", flush=True)
        time.sleep(0.02)
        for key, _ in sel.select(0):
            sel.unregister(key.fileobj)
            key.fileobj.close()


if sys.argv[1] == "silent":
    silent(*sys.argv[2:])
else:
    crowd(*sys.argv[2:])
