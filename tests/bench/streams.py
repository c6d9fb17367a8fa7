#!/usr/bin/python3
"""streams - many small streams: how soon they answer, how many may be idle.

    streams.py answer PORT             sends every byte back, one higher
    streams.py first HOST PORT TRIES   ms from connect() to the first byte, one a line
    streams.py idle HOST PORT COUNT    opens COUNT, says "open COUNT SECONDS", waits
                                       for a line, passes a byte through each and
                                       says "passed N"
"""

import resource
import select
import socket
import sys
import time

AT_ONCE = 64
PATIENCE = 60
HIGHER = bytes((i + 1) % 256 for i in range(256))


def more_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def answer(port):
    more_descriptors()
    listener = socket.create_server(("", port), backlog=4096)
    listener.setblocking(False)
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    socks = {}
    while True:
        for fd, _ in epoll.poll():
            if fd == listener.fileno():
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                socks[sock.fileno()] = sock
                epoll.register(sock, select.EPOLLIN)
                continue
            try:
                data = socks[fd].recv(4096)
            except ConnectionError:
                data = b""
            if data:
                socks[fd].sendall(data.translate(HIGHER))
            else:
                epoll.unregister(fd)
                socks.pop(fd).close()


def first(host, port, tries):
    time.sleep(5)
    for turn in range(tries):
        request = bytes([turn % 256]) * 100
        began = time.monotonic()
        sock = socket.create_connection((host, port), timeout=PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(request)
        byte = sock.recv(1)
        took = time.monotonic() - began
        if byte != request[:1].translate(HIGHER):
            sys.exit("streams: wrong answer")
        print(f"{took * 1000:.2f}", flush=True)
        sock.close()
        time.sleep(0.3)


def pass_byte(sock, value):
    """A byte there and back: the stream is open to its far end."""
    sock.setblocking(False)
    sock.sendall(bytes([value]))


def exchange(socks, first_value):
    """Sends a byte on each, and counts the right answers."""
    epoll = select.epoll()
    waiting = {}
    for i, sock in enumerate(socks):
        value = (first_value + i) % 256
        pass_byte(sock, value)
        waiting[sock.fileno()] = (sock, value)
        epoll.register(sock, select.EPOLLIN)
    right = 0
    end = time.monotonic() + PATIENCE
    while waiting and time.monotonic() < end:
        for fd, _ in epoll.poll(1):
            sock, value = waiting.pop(fd)
            epoll.unregister(fd)
            try:
                right += sock.recv(2) == bytes([(value + 1) % 256])
            except ConnectionError:
                pass
    epoll.close()
    return right


def idle(host, port, count):
    """Each stream answers once before the next batch: none is only accepted."""
    more_descriptors()
    socks = []
    began = time.monotonic()
    while len(socks) < count:
        batch = []
        for _ in range(min(AT_ONCE, count - len(socks))):
            batch.append(socket.create_connection((host, port), timeout=PATIENCE))
        if exchange(batch, len(socks)) < len(batch):
            sys.exit(f"streams: only {len(socks)} opened")
        socks += batch
    print(f"open {len(socks)} {time.monotonic() - began:.2f}", flush=True)
    sys.stdin.readline()
    print("passed", exchange(socks, 100), flush=True)


def main(args):
    if len(args) == 2 and args[0] == "answer":
        answer(int(args[1]))
    elif len(args) == 4 and args[0] in ("first", "idle"):
        {"first": first, "idle": idle}[args[0]](args[1], int(args[2]), int(args[3]))
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
