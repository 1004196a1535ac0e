"""What holds the sockets of a benchmark, until it is killed; says ``ready`` when it has them.

``python hold.py peers FIRST COUNT``: connections over loopback, each from an address of its own, as on a server with
many clients: addresses repeat as little as they can.

``python hold.py processes COUNT``: small processes with eight descriptors each, one of them a listening socket. They
are forked, so that they share their memory, and end with the first.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import select
import signal
import socket
import sys
from ipaddress import IPv4Address

IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def peers(first: int, count: int) -> list[socket.socket]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = [socket.create_server(("0.0.0.0", 0), backlog=100)]
    port = held[0].getsockname()[1]
    for number in range(first, first + count):
        client = socket.socket()
        client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        client.bind((str(IPv4Address("127.1.0.0") + number), 0))
        client.connect(("127.0.0.1", port))
        held += [client, held[0].accept()[0]]
    return held


def processes(count: int) -> None:
    gc.freeze()  # what nobody touches stays shared
    parent, null = os.getpid(), os.open(os.devnull, os.O_RDWR)
    prctl = ctypes.CDLL(None).prctl
    for _ in range(count):
        pipe = os.pipe()
        held = [socket.create_server(("127.0.0.1", 0)), select.epoll()]
        if os.fork() == 0:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            for descriptor in range(3):
                os.dup2(null, descriptor)
            while os.getppid() == parent:
                signal.pause()
            os._exit(1)
        for opened in held:
            opened.close()
        for descriptor in pipe:
            os.close(descriptor)


held = {"peers": peers, "processes": processes}[sys.argv[1]](*map(int, sys.argv[2:]))
print("ready", flush=True)
sys.stdin.read()
