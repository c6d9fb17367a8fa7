"""streams - what both ends of a test's streams do with their sockets."""

import hashlib
import socket
import struct
import time


def read_to_end(sock):
    """How many bytes came, their digest, and the longest time without any, in ms."""
    digest, n, gap, last = hashlib.sha256(), 0, 0.0, time.monotonic()
    while data := sock.recv(65536):
        now = time.monotonic()
        if n:
            gap = max(gap, now - last)
        last = now
        n += len(data)
        digest.update(data)
    return n, digest.hexdigest(), round(gap * 1000)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
