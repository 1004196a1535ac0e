"""The transport and the inet_diag decoder, against a socket that the test itself opens on loopback."""

import os
import socket

import pytest

from netinspect.decode.inet_diag import Decoder, request
from netinspect.errors import NetlinkError
from netinspect.netlink.messages import Answer
from netinspect.netlink.transport import NETLINK_SOCK_DIAG, Dump, connect


def test_a_listener_on_loopback_is_dumped_and_decoded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        inode = os.fstat(listener.fileno()).st_ino
        dump = Dump(connect(NETLINK_SOCK_DIAG), request(socket.AF_INET, 6, 0xFFF), "listing tcp sockets")
        decoder = Decoder("tcp", str)
        found = [record for run in dump for batch in decoder.batches(run) for record in batch]
    mine = [record for record in found if record.inode == inode]
    assert [(record.state, record.local_address, record.local_port) for record in mine] == [
        ("LISTEN", "127.0.0.1", port)
    ]


@pytest.mark.parametrize("buffer", [b"", b"\0" * 8, b"\x08\0\0\0" + b"\0" * 12, b"\xff\0\0\0" + b"\0" * 12])
def test_a_malformed_answer_is_one_clear_error(buffer: bytes) -> None:
    with pytest.raises(NetlinkError, match="malformed netlink message"):
        Answer(buffer, "testing")
