#!/usr/bin/python3
"""mptcp_listen - starts a program with an MPTCP listener as its descriptor FD.

    mptcp_listen.py ADDRESS PORT FD CMD [ARG...]
"""

import os
import socket
import sys

IPPROTO_MPTCP = 262

address, port, fd = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP) as listener:
    listener.bind((address, port))
    listener.listen()
    os.dup2(listener.fileno(), fd)
os.execvp(sys.argv[4], sys.argv[4:])
