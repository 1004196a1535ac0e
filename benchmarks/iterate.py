"""Iterates over a whole table with a Python library: what a program that uses it pays.

``python iterate.py LIBRARY NOUN``. Every record is made and its fields are there to be used; nothing is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any


def netinspect_sockets() -> Iterable[Any]:
    import netinspect

    return netinspect.sockets(["tcp"])


def netinspect_routes() -> Iterable[Any]:
    import netinspect

    return netinspect.routes()


def netinspect_flows() -> Iterable[Any]:
    import netinspect

    return netinspect.flows()


def pyroute2_sockets() -> Iterable[Any]:
    from socket import AF_INET

    from pyroute2 import DiagSocket

    return DiagSocket().get_sock_stats(family=AF_INET)


def pyroute2_routes() -> Iterable[Any]:
    from pyroute2 import IPRoute

    return IPRoute().get_routes()


def pyroute2_flows() -> Iterable[Any]:
    from pyroute2 import NFCTSocket

    return NFCTSocket().dump()


def psutil_sockets() -> Iterable[Any]:
    import psutil

    return psutil.net_connections("tcp")


def main() -> None:
    count = 0
    for _ in globals()["_".join(sys.argv[1:3])]():
        count += 1
    assert count


main()
