#!/usr/bin/python3
"""relay - somebody in the middle, between a client and a server.

    relay.py ADDRESS PORT SERVER PORT DIRECTORY

Passes connections on as they are. What the first one of the client says is kept in
DIRECTORY/first, of a connection that goes on with more than a handshake in
DIRECTORY/stream. While there is a file DIRECTORY/flip, one bit is turned in each
connection that carries more than 100,000 bytes, in the direction it names, "up" or
"down"; "flipped" is said when it was done. While there is a file DIRECTORY/cut, such a
connection is ended instead, as if that direction were over; "cut" is said.
"""

import os
import socket
import sys
import threading

DIRECTORY = sys.argv[5]
HANDSHAKE = 1  # first byte of an initiation
WHOLE = 40  # bytes: a stream's header and the first record of it, which may come apart
LATE = 100000


def path(name):
    return os.path.join(DIRECTORY, name)


def wanted(name, direction):
    try:
        with open(path(name), encoding="ascii") as f:
            return f.read().strip() == direction
    except FileNotFoundError:
        return False


def keep(data):
    name = path("first" if data[0] == HANDSHAKE else "stream")
    if not os.path.exists(name):
        with open(name, "wb") as f:
            f.write(data)


def carry(source, sink, direction):
    n, spoilt, head = 0, False, b""
    try:
        while data := source.recv(65536):
            if n < WHOLE and direction == "up":
                head += data
                if len(head) >= WHOLE:
                    keep(head)
            n += len(data)
            if n > LATE and not spoilt and wanted("flip", direction):
                data = data[:-1] + bytes([data[-1] ^ 1])
                spoilt = True
                print("flipped", flush=True)
            if n > LATE and wanted("cut", direction):
                print("cut", flush=True)
                break
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        sink.close()


def main():
    listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=256)
    print("ready", flush=True)
    while True:
        client, _ = listener.accept()
        server = socket.create_connection((sys.argv[3], int(sys.argv[4])))
        for way in ((client, server, "up"), (server, client, "down")):
            threading.Thread(target=carry, args=way, daemon=True).start()


main()
