#!/usr/bin/python3
"""origin - a destination that ends its connections in every way there is.

    origin.py

Ports, each with one behaviour; what it saw is a line on stdout.

    7001  reads to the end, answers with the SHA-256 of it, closes
    7002  sends 1 MB and ends its direction, reads to the end: "7002 end BYTES SHA-256"
    7003  reads something, and resets
    7004  reads until it ends: "7004 end BYTES" or "7004 reset BYTES"
    7005  reads a line "N", sends N bytes; while it does, "7005 sent BYTES" each 100 ms
    7006  sends back what it reads
    7007  reads to the end, slowly enough to time it: "7007 end BYTES SHA-256 GAP_MS"
"""

import socket
import socketserver
import threading
import time

from streams import read_to_end, reset

BLOCK = bytes(range(256)) * 256


def say(*words):
    print(*words, flush=True)


def digests(sock):
    sock.sendall(read_to_end(sock)[1].encode())


def speaks_first(sock):
    sock.sendall(BLOCK * 16)
    sock.shutdown(socket.SHUT_WR)
    n, digest, _ = read_to_end(sock)
    say("7002 end", n, digest)


def resets(sock):
    sock.recv(1)
    reset(sock)


def watches(sock):
    n = 0
    try:
        while data := sock.recv(65536):
            n += len(data)
        say("7004 end", n)
    except ConnectionResetError:
        say("7004 reset", n)


def sends(sock):
    want = int(sock.makefile("rb").readline())
    sent = 0
    said = time.monotonic()
    sock.settimeout(0.1)
    while sent < want:
        try:
            at = sent % 256
            sent += sock.send(BLOCK[at : at + want - sent])
        except TimeoutError:
            pass
        if time.monotonic() - said > 0.1:
            said = time.monotonic()
            say("7005 sent", sent)


def echoes(sock):
    while data := sock.recv(65536):
        sock.sendall(data)


def times(sock):
    say("7007 end", *read_to_end(sock))


BEHAVIOURS = {
    7001: digests,
    7002: speaks_first,
    7003: resets,
    7004: watches,
    7005: sends,
    7006: echoes,
    7007: times,
}


def serve(address, port):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                BEHAVIOURS[port](self.request)
            except (ConnectionError, OSError, ValueError):
                pass

    class Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6  # and IPv4, mapped
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 256

        def shutdown_request(self, request):
            request.close()

    threading.Thread(target=Server((address, port), Handler).serve_forever).start()


for behaviour in BEHAVIOURS:
    serve("::", behaviour)
say("ready")
