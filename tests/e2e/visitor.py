#!/usr/bin/python3
"""visitor - an application of the client's SOCKS5 listener, one scenario a call.

    visitor.py SCENARIO [ARGUMENT ...]

Ends with 0 if all was as it should be, else with 1 and what was not. What the
destination, origin.py, has to say is the test's to look at.
"""

import hashlib
import ipaddress
import os
import socket
import struct
import sys
import threading
import time

from streams import read_to_end, reset

PROXY = ("127.0.0.1", 1080)
ORIGIN = "5.5.5.5"
LIMIT = 30


def fail(text):
    sys.exit("visitor: " + text)


def request(host, port):
    """A SOCKS5 request for an address or a name."""
    try:
        ip = ipaddress.ip_address(host)
        where = bytes([1 if ip.version == 4 else 4]) + ip.packed
    except ValueError:
        where = bytes([3, len(host)]) + host.encode()
    return b"\5\1\0" + where + struct.pack("!H", port)


def read_exactly(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            fail(f"end after {len(data)} of {n} bytes")
        data += more
    return data


def ask(host, port):
    """The socket, and the reply code."""
    sock = socket.create_connection(PROXY, timeout=LIMIT)
    sock.sendall(b"\5\1\0")
    read_exactly(sock, 2)
    sock.sendall(request(host, port))
    reply = read_exactly(sock, 10)
    return sock, reply[1]


def connect(port):
    sock, code = ask(ORIGIN, port)
    if code != 0:
        fail(f"port {port}: code {code}")
    return sock


def code(host, port):
    """Prints the reply code, and after how many ms it came."""
    start = time.monotonic()
    _, got = ask(host, int(port))
    print(got, round((time.monotonic() - start) * 1000))


def half_close():
    """Ends its own direction first, and gets the answer all the same."""
    data = os.urandom(1 << 20)
    sock = connect(7001)
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    got = read_exactly(sock, 64).decode()
    if got != hashlib.sha256(data).hexdigest():
        fail("the destination got something else")
    if sock.recv(1):
        fail("more than the answer")


def half_closed():
    """The other direction ends first, and this one still carries; prints its SHA-256."""
    data = os.urandom(1 << 20)
    sock = connect(7002)
    n, _, _ = read_to_end(sock)
    if n != 1 << 20:
        fail(f"{n} bytes came")
    sock.sendall(data)
    sock.close()
    print(len(data), hashlib.sha256(data).hexdigest())


def is_reset():
    sock = connect(7003)
    sock.sendall(b"x")
    try:
        got = sock.recv(1)
        fail(f"no reset, but {got!r}")
    except ConnectionResetError:
        pass


def resets():
    sock = connect(7004)
    sock.sendall(b"hello")
    time.sleep(0.3)  # a reset overtakes what was sent, which is as it should be
    reset(sock)


def ends():
    sock = connect(7004)
    sock.sendall(b"hello")
    sock.close()


def slow_reader(path):
    """One of 20 does not read; the others get all they asked for. Then waits for a
    file at `path`, reads on, and must get every byte."""
    size = 1 << 20
    large = 120 << 20
    slow = connect(7005)
    slow.sendall(b"%d\n" % large)
    others = [connect(7005) for _ in range(19)]
    for sock in others:
        sock.sendall(b"%d\n" % size)
    got = []

    def read(sock):
        n = 0
        while n < size:
            data = sock.recv(65536)
            if not data:
                break
            n += len(data)
        got.append(n)

    threads = [threading.Thread(target=read, args=(s,)) for s in others]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if got != [size] * 19:
        fail(f"others got {got}")
    print("others done", flush=True)
    while not os.path.exists(path):
        time.sleep(0.02)
    before = 0
    while before < 8 << 20:
        data = slow.recv(65536)
        if not data:
            fail("the slow one ended")
        if data != pattern(before, len(data)):
            fail("the slow one got something else")
        before += len(data)


def pattern(at, n):
    block = bytes(range(256))
    at %= 256
    return (block * (n // 256 + 2))[at : at + n]


def download(size, until=None):
    """Prints bytes, SHA-256, and the longest time between two reads, in ms. Ends early
    when there is a file at `until`; what came by then must be right."""
    sock = connect(7005)
    sock.sendall(size.encode() + b"\n")
    digest, n, gap, last = hashlib.sha256(), 0, 0.0, time.monotonic()
    while n < int(size) and not (until and os.path.exists(until)):
        data = sock.recv(65536)
        now = time.monotonic()
        if not data:
            fail(f"end after {n} bytes")
        if data != pattern(n, len(data)):
            fail(f"something else came from byte {n} on")
        if n:
            gap = max(gap, now - last)
        last = now
        n += len(data)
        digest.update(data)
    print(n, digest.hexdigest(), round(gap * 1000))


def upload(size, until=None):
    """Sends bytes of /dev/urandom to port 7007; prints how many and their SHA-256. Ends
    early when there is a file at `until`."""
    sock = connect(7007)
    digest, n = hashlib.sha256(), 0
    while n < int(size) and not (until and os.path.exists(until)):
        data = os.urandom(min(65536, int(size) - n))
        sock.sendall(data)
        digest.update(data)
        n += len(data)
    sock.shutdown(socket.SHUT_WR)
    sock.settimeout(LIMIT)
    if sock.recv(1):
        fail("an answer where none was expected")
    print(n, digest.hexdigest())


def hold(n):
    """Opens n echoing streams, says so, and waits until all have ended; prints how."""
    socks = []
    for _ in range(int(n)):
        sock = connect(7006)
        sock.sendall(b"ping")
        if read_exactly(sock, 4) != b"ping":
            fail("no echo")
        socks.append(sock)
    print("held", flush=True)
    ends = {"reset": 0, "end": 0, "time": 0}
    for sock in socks:
        try:
            sock.recv(1)
            ends["end"] += 1
        except ConnectionResetError:
            ends["reset"] += 1
        except TimeoutError:
            ends["time"] += 1
    print("over", *(f"{k}={v}" for k, v in ends.items()), flush=True)


def echoes(n):
    """n streams one after the other, each with a question and its answer."""
    for _ in range(int(n)):
        echo()


def echo():
    sock = connect(7006)
    sock.sendall(b"still here")
    if read_exactly(sock, 10) != b"still here":
        fail("no echo")


def talk(rounds):
    """Small questions and answers; prints the median time of one, in ms."""
    sock = connect(7006)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    times = []
    for i in range(int(rounds)):
        start = time.monotonic()
        question = b"%06d" % i
        sock.sendall(question)
        if read_exactly(sock, 6) != question:
            fail("another answer")
        times.append(time.monotonic() - start)
    print(round(sorted(times)[len(times) // 2] * 1000, 1))


SCENARIOS = {
    f.__name__: f
    for f in (
        code,
        half_close,
        half_closed,
        is_reset,
        resets,
        ends,
        slow_reader,
        download,
        upload,
        hold,
        echoes,
        echo,
        talk,
    )
}
SCENARIOS[sys.argv[1]](*sys.argv[2:])
