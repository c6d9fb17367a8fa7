#!/usr/bin/python3
"""fetch - how long it takes until so many bytes have come, or gone.

    fetch.py serve [--mptcp CONGESTION] PORT
    fetch.py get|put [--mptcp CONGESTION] HOST PORT BYTES [COUNT [PAUSE]]
    fetch.py ask [--mptcp CONGESTION] HOST PORT BYTES COUNT PAUSE
    fetch.py pull [--mptcp CONGESTION] HOST PORT SECONDS

get and put open COUNT (1) connections, one after the other with PAUSE seconds in
between, and print the ms of each: from connect() to the last byte, or to the word
that the server has all of them. ask opens one connection and prints the ms of each
request and answer of BYTES. pull downloads for SECONDS and prints the bytes. What a
server sends is known beforehand, and looked at.
"""

import socket
import sys
import threading
import time

from sockets import PATIENCE, arguments, make_socket

# Of a length that is no power of two: what is out of place by a buffer is seen.
PATTERN = bytes((i * 131 + i // 251) % 256 for i in range(65521)) * 17


def connect(congestion, host, port):
    sock = make_socket(congestion)
    sock.settimeout(PATIENCE)
    sock.connect((host, int(port)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def pattern(at, size):
    return PATTERN[at % 65521:at % 65521 + min(size, 1 << 20)]


def send(sock, size):
    at = 0
    while at < size:
        piece = pattern(at, size - at)
        sock.sendall(piece)
        at += len(piece)


def receive(sock, size):
    """Reads that many bytes; False when the other end left before, or sent others."""
    at = 0
    while at < size:
        piece = sock.recv(min(1 << 18, size - at))
        if not piece or piece != pattern(at, len(piece)):
            return False
        at += len(piece)
    return True


def line(sock):
    words = b""
    while not words.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            return None
        words += byte
    return words.decode().split()


def serve_one(sock):
    sock.settimeout(PATIENCE)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (words := line(sock)) is not None:
            if words[0] == "put" and receive(sock, int(words[1])):
                sock.sendall(b"!")
            elif words[0] == "get":
                send(sock, int(words[1]))
            elif words[0] == "ask" and receive(sock, int(words[1])):
                send(sock, int(words[1]))
    except OSError:
        pass
    sock.close()


def serve(congestion, port):
    listener = make_socket(congestion)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", int(port)))
    listener.listen(64)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve_one, args=(sock,), daemon=True).start()


def timed(began, right):
    if not right:
        sys.exit("fetch: not the bytes that were asked for")
    print(f"{(time.monotonic() - began) * 1000:.2f}", flush=True)


def transfer(mode, congestion, host, port, size, count=1, pause=0):
    for turn in range(int(count)):
        if turn > 0:
            time.sleep(float(pause))
        began = time.monotonic()
        sock = connect(congestion, host, port)
        sock.sendall(f"{mode} {size}\n".encode())
        if mode == "put":
            send(sock, int(size))
            timed(began, sock.recv(1) == b"!")
        else:
            timed(began, receive(sock, int(size)))
        sock.close()


def ask(congestion, host, port, size, count, pause):
    sock = connect(congestion, host, port)
    request = f"ask {size}\n".encode() + pattern(0, int(size))
    for _ in range(int(count)):
        began = time.monotonic()
        sock.sendall(request)
        timed(began, receive(sock, int(size)))
        time.sleep(float(pause))


def pull(congestion, host, port, seconds):
    sock = connect(congestion, host, port)
    sock.sendall(b"get 1000000000000\n")
    total, end = 0, time.monotonic() + float(seconds)
    while time.monotonic() < end:
        piece = sock.recv(1 << 18)
        if not piece:
            sys.exit("fetch: the server left")
        total += len(piece)
    print(total)


def main():
    mode, congestion, args = arguments(__doc__)
    if mode in ("get", "put"):
        transfer(mode, congestion, *args)
    elif mode in ("serve", "ask", "pull"):
        {"serve": serve, "ask": ask, "pull": pull}[mode](congestion, *args)
    else:
        sys.exit(__doc__)


main()
