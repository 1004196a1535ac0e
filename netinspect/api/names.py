"""Names as bytes, for records with names that are not UTF-8, or abstract socket names."""

from __future__ import annotations

from ..engine.text import raw
from ..nouns.sockets.decode_unix import socket_path


def name_bytes(name: str) -> bytes:
    r"""The bytes of a name in a record: of a process, interface, path, alias, namespace …

    A byte that is not UTF-8 is ``\xNN`` in a record; if the name itself contains such a sequence, its backslashes are
    doubled.
    """
    return raw(name)


def socket_address(name: str) -> bytes:
    """The address of a unix socket by its name in a record, as bind(2) took it (unix(7)): abstract ones begin with NUL.

    In a record the first NUL of an abstract name is a ``@``, and a path that begins with ``@`` has ``./`` before it.
    """
    return socket_path(name)
