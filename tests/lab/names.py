#!/usr/bin/python3
"""names - a name server for the lab, on 127.0.0.1:53 over UDP.

    names.py

Knows the names below; another name does not exist, and silent.test gets no
answer. A name that has no address of the asked family exists all the same.
"""

import ipaddress
import socket
import struct

NAMES = {
    b"origin.test": ["5.5.5.5"],
    b"six.test": ["2a05:5::5"],
    b"both.test": ["5.5.5.5", "2a05:5::5"],
    b"inside.test": ["10.0.0.1"],
}
TYPE_OF = {4: 1, 6: 28}
NXDOMAIN = 3


def read_name(packet):
    """The first question's name, in lower case, and where its type begins."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]])
        at += 1 + packet[at]
    return b".".join(labels).lower(), at + 1


def answer(packet):
    name, at = read_name(packet)
    if name == b"silent.test":
        return None
    (kind,) = struct.unpack_from("!H", packet, at)
    addresses = [ipaddress.ip_address(a) for a in NAMES.get(name, [])]
    fitting = [a for a in addresses if TYPE_OF[a.version] == kind]
    flags = 0x8580 | (0 if addresses else NXDOMAIN)
    out = packet[:2] + struct.pack("!HHHHH", flags, 1, len(fitting), 0, 0)
    out += packet[12 : at + 4]
    for a in fitting:
        out += struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(a.packed)) + a.packed
    return out


def main():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 53))
    while True:
        packet, source = sock.recvfrom(4096)
        try:
            reply = answer(packet)
        except (IndexError, struct.error):
            continue
        if reply is not None:
            sock.sendto(reply, source)


main()
