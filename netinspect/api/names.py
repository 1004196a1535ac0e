"""Names as bytes: what the text of a record stands for, where it is not UTF-8 or an abstract socket's name."""

from __future__ import annotations

from ..engine.text import raw
from ..nouns.sockets.decode_unix import socket_path


def name_bytes(name: str) -> bytes:
    r"""The bytes of a name in a record: of a process, interface, path, alias, namespace …

    A byte that is not UTF-8 is ``\xNN`` in a record; where the name itself has such a sequence, its backslashes are
    doubled.
    """
    return raw(name)


def socket_address(name: str) -> bytes:
    """The address of a unix socket by its name in a record, as bind(2) took it (unix(7)): abstract ones begin with NUL.

    In a record the first NUL of an abstract name is a ``@``, and a path that begins with ``@`` has ``./`` before it.
    """
    return socket_path(name)
