"""The program that sees dropped packets: a raw tracepoint program on skb:kfree_skb, for this kernel's structures."""

from __future__ import annotations

from struct import Struct, calcsize

from ...engine.bpf.assembler import FRAME, Assembler
from ...errors import NetinspectError
from ...uapi.bpf import BPF_FUNC_ktime_get_ns, BPF_FUNC_map_lookup_elem, BPF_FUNC_ringbuf_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from ...engine.bpf.btf import Btf

TRACEPOINT = "kfree_skb"
STRUCTURES = ("sk_buff", "net_device", "net", "sock", "socket", "file", "inode", "dst_entry")
REASONS = ("skb_drop_reason", "skb_drop_reason_subsys")
"""The enumerations of reasons, and of the parts of the kernel that have reasons of their own."""
WANTED = (*STRUCTURES, *REASONS, f"btf_trace_{TRACEPOINT}")

HEADER = 84
"""Bytes of the packet that are copied, from its network header on: 60 of IPv4, and 24 of what it carries."""
LAYOUT = (
    ("time", "Q"),
    ("place", "Q"),
    ("inode", "Q"),
    ("reason", "I"),
    ("namespace", "I"),
    ("interface", "I"),
    ("received_on", "I"),
    ("mark", "I"),
    ("length", "I"),
    ("protocol", "H"),
    ("socket_family", "H"),
    ("header", f"{HEADER}s"),
)
"""A record: names and struct's letters. Its size is a multiple of 8 without padding."""
RECORD = Struct("=" + "".join(letter for _, letter in LAYOUT))
_AT = {name: calcsize("=" + "".join(letter for _, letter in LAYOUT[:at])) for at, (name, _) in enumerate(LAYOUT)}
_START = -RECORD.size
"""Where the record is on the stack."""
_SCRATCH = _START - 8
_KEY = _SCRATCH - 8

_MEMBERS = {
    "dev": ("sk_buff", "dev"),
    "sk": ("sk_buff", "sk"),
    "dst": ("sk_buff", "_skb_refdst"),
    "head": ("sk_buff", "head"),
    "network_header": ("sk_buff", "network_header"),
    "received_on": ("sk_buff", "skb_iif"),
    "mark": ("sk_buff", "mark"),
    "length": ("sk_buff", "len"),
    "protocol": ("sk_buff", "protocol"),
    "ifindex": ("net_device", "ifindex"),
    "device_net": ("net_device", "nd_net.net"),
    "inum": ("net", "ns.inum"),
    "socket_net": ("sock", "__sk_common.skc_net.net"),
    "state": ("sock", "__sk_common.skc_state"),
    "socket_family": ("sock", "__sk_common.skc_family"),
    "socket": ("sock", "sk_socket"),
    "file": ("socket", "file"),
    "file_inode": ("file", "f_inode"),
    "inode_number": ("inode", "i_ino"),
    "dst_dev": ("dst_entry", "dev"),
}
_NO_SOCKETS = (6, 12)
"""net/tcp_states.h: TCP_TIME_WAIT and TCP_NEW_SYN_RECV, whose structures are less than a socket."""
_NO_REFERENCE = -2
"""linux/skbuff.h: SKB_DST_NOREF, in a pointer's lowest bit."""
_CPU, _PACKET, _DEVICE, _SOCKET = 6, 7, 8, 9


class Layout:
    """Where this kernel has what the program reads, and what it gives to the program."""

    __slots__ = ("arguments", "offsets")

    def __init__(self, types: Btf) -> None:
        """Raises NetinspectError where this kernel's structures are not as they are known here."""
        self.offsets: dict[str, int] = {}
        for name, (structure, path) in _MEMBERS.items():
            offset = types.offset(structure, path)
            if offset is None:
                raise NetinspectError(f"this kernel's struct {structure} has no member {path}")
            self.offsets[name] = offset
        inode = types.offset("sock", "sk_ino")  # since Linux 6.17 or so
        if inode is not None:
            self.offsets["sk_ino"] = inode
        arguments = types.tracepoint_arguments(TRACEPOINT)
        if arguments is None:
            raise NetinspectError(f"this kernel has no tracepoint {TRACEPOINT}")
        self.arguments = arguments
        """The packet, the place, the reason (since Linux 5.17), the socket it was for (since 6.11)."""


def program(layout: Layout, ring: int, lost: int, namespaces: Collection[int]) -> bytes:
    """The program: it writes a record of each packet to the ring buffer, and counts those that do not fit.

    ``namespaces`` are the inodes of the network namespaces that are wanted, empty is all; packets of which the
    namespace cannot be known are written as well. ``lost`` is an array with one counter.
    """
    at = layout.offsets
    code = Assembler()
    code.move(_CPU, 1)
    code.set(1, 0)
    for offset in range(_KEY, 0, 8):
        code.store(8, FRAME, offset, 1)
    code.load(8, _PACKET, _CPU, 0)
    _namespace(code, layout)
    if namespaces:
        code.load(4, 1, FRAME, _START + _AT["namespace"])
        for inode in (0, *namespaces):
            code.jump_if(1, inode, "wanted")
        code.exit()
        code.label("wanted")
    code.load(8, 1, _CPU, 8)
    code.store(8, FRAME, _START + _AT["place"], 1)
    if layout.arguments >= 3:
        code.load(8, 1, _CPU, 16)
        code.store(4, FRAME, _START + _AT["reason"], 1)
    for name, size in (("received_on", 4), ("mark", 4), ("length", 4), ("protocol", 2)):
        code.read(_START + _AT[name], size, _PACKET, at[name])
    _inode(code, layout)
    code.read(_SCRATCH, 2, _PACKET, at["network_header"])
    code.load(2, _SOCKET, FRAME, _SCRATCH)
    code.read_pointer(_DEVICE, _SCRATCH, _PACKET, at["head"])
    code.add(_DEVICE, _SOCKET)
    code.read(_START + _AT["header"], HEADER, _DEVICE, 0)
    code.call(BPF_FUNC_ktime_get_ns)
    code.store(8, FRAME, _START + _AT["time"], 0)
    code.map(1, ring)
    code.move(2, FRAME)
    code.add_value(2, _START)
    code.set(3, RECORD.size)
    code.set(4, 0)
    code.call(BPF_FUNC_ringbuf_output)
    code.jump_if(0, 0, "end")
    code.map(1, lost)
    code.move(2, FRAME)
    code.add_value(2, _KEY)
    code.call(BPF_FUNC_map_lookup_elem)
    code.jump_if_not(0, 0, "count")
    code.jump("end")
    code.label("count")
    code.set(1, 1)
    code.count(0, 0, 1)
    code.label("end")
    code.exit()
    return code.program()


def _namespace(code: Assembler, layout: Layout) -> None:
    """The packet's namespace: that of its device, else of its socket, else of the device it was to go to.

    The member of the device has other uses where a packet waits in a socket's queue: what it points to then is none.
    """
    at = layout.offsets
    namespace, interface = _START + _AT["namespace"], _START + _AT["interface"]
    if layout.arguments >= 4:
        code.load(8, _SOCKET, _CPU, 24)
        code.jump_if_not(_SOCKET, 0, "socket")
    code.read_pointer(_SOCKET, _SCRATCH, _PACKET, at["sk"])
    code.label("socket")
    code.read_pointer(_DEVICE, _SCRATCH, _PACKET, at["dev"])
    code.read(interface, 4, _DEVICE, at["ifindex"])
    code.read_pointer(_DEVICE, _SCRATCH, _DEVICE, at["device_net"])
    code.read(namespace, 4, _DEVICE, at["inum"])
    code.load(4, 1, FRAME, namespace)
    code.jump_if_not(1, 0, "known")
    code.read_pointer(_DEVICE, _SCRATCH, _PACKET, at["dst"])
    code.mask(_DEVICE, _NO_REFERENCE)
    code.read_pointer(_DEVICE, _SCRATCH, _DEVICE, at["dst_dev"])
    code.read(interface, 4, _DEVICE, at["ifindex"])
    code.read_pointer(_DEVICE, _SCRATCH, _DEVICE, at["device_net"])
    code.read(namespace, 4, _DEVICE, at["inum"])
    code.load(4, 1, FRAME, namespace)
    code.jump_if_not(1, 0, "known")
    code.read_pointer(_DEVICE, _SCRATCH, _SOCKET, at["socket_net"])
    code.read(namespace, 4, _DEVICE, at["inum"])
    code.label("known")


def _inode(code: Assembler, layout: Layout) -> None:
    """The socket's family, and its inode: 0 where there is none, or the packet's is less than a socket."""
    at = layout.offsets
    code.read(_START + _AT["socket_family"], 2, _SOCKET, at["socket_family"])
    code.read(_SCRATCH, 1, _SOCKET, at["state"])
    code.load(1, 1, FRAME, _SCRATCH)
    for state in _NO_SOCKETS:
        code.jump_if(1, state, "no inode")
    if "sk_ino" in at:
        code.read(_START + _AT["inode"], 8, _SOCKET, at["sk_ino"])
    else:
        code.read_pointer(_DEVICE, _SCRATCH, _SOCKET, at["socket"])
        code.read_pointer(_DEVICE, _SCRATCH, _DEVICE, at["file"])
        code.read_pointer(_DEVICE, _SCRATCH, _DEVICE, at["file_inode"])
        code.read(_START + _AT["inode"], 8, _DEVICE, at["inode_number"])
    code.label("no inode")
