"""The interface table of net-tools' netstat, line for line (netstat(8) of net-tools 2.10: -i, -ie).

net-tools counts as /proc/net/dev does, where several counters are one (net/core/net-procfs.c).
"""

from __future__ import annotations

from _socket import inet_pton

from ..engine.text import printable
from ..uapi.netlink import AF_INET6

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..records import Address, LinkStatistics

TITLE = "Kernel Interface table\n"
HEADING = "Iface             MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n"

_IPV6_TUNNELS = frozenset((769, 823))
"""linux/if_arp.h: ARPHRD_TUNNEL6, ARPHRD_IP6GRE."""

_LETTERS = {
    0x200: "A",
    0x2: "B",
    0x4: "D",
    0x8: "L",
    0x1000: "M",
    0x8000: "d",
    0x100: "P",
    0x20: "N",
    0x80: "O",
    0x10: "P",
    0x800: "s",
    0x400: "m",
    0x40: "R",
    0x1: "U",
}
"""IFF_* (linux/if.h), in the order of the short table. P also stands for a point-to-point link."""
_WORDS = {
    0x1: "UP",
    0x2: "BROADCAST",
    0x4: "DEBUG",
    0x8: "LOOPBACK",
    0x10: "POINTOPOINT",
    0x20: "NOTRAILERS",
    0x40: "RUNNING",
    0x80: "NOARP",
    0x100: "PROMISC",
    0x200: "ALLMULTI",
    0x800: "SLAVE",
    0x400: "MASTER",
    0x1000: "MULTICAST",
    0x8000: "DYNAMIC",
}
"""The same in the order of the long form."""
_BROADCAST, _POINT_TO_POINT = 0x2, 0x10
_IOCTL_FLAGS = 0xFFFF
"""SIOCGIFFLAGS, which net-tools asks, has 16 bits."""

_HARDWARE = {
    0: ("netrom", "AMPR NET/ROM"),
    1: ("ether", "Ethernet"),
    3: ("ax25", "AMPR AX.25"),
    7: ("arcnet", "ARCnet"),
    15: ("dlci", "Frame Relay DLCI"),
    32: ("infiniband", "InfiniBand"),
    256: ("slip", "Serial Line IP"),
    257: ("cslip", "VJ Serial Line IP"),
    258: ("slip6", "6-bit Serial Line IP"),
    259: ("cslip6", "VJ 6-bit Serial Line IP"),
    264: ("adaptive", "Adaptive Serial Line IP"),
    270: ("rose", "AMPR ROSE"),
    271: ("x25", "generic X.25"),
    512: ("ppp", "Point-to-Point Protocol"),
    513: ("hdlc", "(Cisco)-HDLC"),
    516: ("lapb", "LAPB"),
    768: ("tunnel", "IPIP Tunnel"),
    770: ("frad", "Frame Relay Access Device"),
    772: ("loop", "Local Loopback"),
    774: ("fddi", "Fiber Distributed Data Interface"),
    776: ("sit", "IPv6-in-IPv4"),
    783: ("irda", "IrLAP"),
}
"""Names and titles by ARPHRD_* (linux/if_arp.h)."""
_WITHOUT_ADDRESS = frozenset((256, 257, 258, 259, 264, 512, 513, 516, 772, 776))
_UNKNOWN_BYTES = 16
"""Of an address of unknown kind, all of struct sockaddr is shown; the kernel fills in 14 bytes at most."""

_SCOPES = {"host": (0x10, "host"), "link": (0x20, "link"), "site": (0x40, "site")}
_COMPATIBLE = 0x80
"""net/ipv6.h: IPV6_ADDR_COMPATv4."""

_UNITS = ((1 << 60, "EiB"), (1 << 50, "PiB"), (1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


class Interface:
    """An interface, or a label of its addresses (alias): then without counters."""

    __slots__ = (
        "address",
        "flags",
        "ipv6",
        "link_address",
        "mapping",
        "mtu",
        "name",
        "queue_length",
        "statistics",
        "type",
    )

    def __init__(
        self,
        name: str,
        flags: int,
        mtu: int,
        type: int,
        link_address: str | None,
        queue_length: int,
        address: Address | None,
        ipv6: Sequence[Address] = (),
        statistics: LinkStatistics | None = None,
        mapping: tuple[int, int, int, int, int] | None = None,
    ) -> None:
        """``type`` is an ARPHRD_*; ``mapping`` has interrupt, base address, start and end of memory, DMA channel."""
        self.name = name
        self.flags = flags & _IOCTL_FLAGS
        self.mtu = mtu
        self.type = type
        self.link_address = link_address
        self.queue_length = queue_length
        self.address = address
        self.ipv6 = ipv6
        self.statistics = statistics
        self.mapping = mapping


def sort_key(name: str) -> tuple[str, int, str, int]:
    """net-tools' order: by the name without the number at its end, then by that number; eth1 comes before eth0.100.

    A label that is a number (eth1:1) comes behind its interface; others (eth1:x) are names as any.
    """
    interface, _, label = name.rpartition(":")
    if not interface or label.strip("0123456789") or not label:
        interface, label = name, ""
    return *_numbered(interface), *_numbered(label)


def _numbered(name: str) -> tuple[str, int]:
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or -1)


def _frame_errors(counters: LinkStatistics) -> int:
    return counters.rx_length_errors + counters.rx_over_errors + counters.rx_crc_errors + counters.rx_frame_errors


def _carrier_errors(counters: LinkStatistics) -> int:
    return (
        counters.tx_carrier_errors
        + counters.tx_aborted_errors
        + counters.tx_window_errors
        + counters.tx_heartbeat_errors
    )


def short_row(interface: Interface) -> str:
    """The row of the table."""
    counters = interface.statistics
    if counters is None:
        figures = f"{'     - no statistics available -':<56}"
    else:
        errors = counters.rx_errors + _frame_errors(counters)
        dropped = counters.rx_dropped + counters.rx_missed_errors
        figures = (
            f"{counters.rx_packets:>8} {errors:>6} {dropped:>6} {counters.rx_fifo_errors:<6} "
            f"{counters.tx_packets:>8} {counters.tx_errors:>6} {counters.tx_dropped:>6} {counters.tx_fifo_errors:>6} "
        )
    flags = "".join(letter for bit, letter in _LETTERS.items() if interface.flags & bit)
    return f"{printable(interface.name)[:15]:<15} {interface.mtu:>5} {figures}{flags or '[NO FLAGS]'}\n"


def long_rows(interface: Interface) -> str:
    """The paragraph of -ie."""
    words = ",".join(word for bit, word in _WORDS.items() if interface.flags & bit)
    lines = [f"{printable(interface.name)}: flags={interface.flags}<{words}>  mtu {interface.mtu}"]
    if interface.address is not None:
        lines.append(_ipv4_line(interface.address, interface.flags))
    lines += map(_ipv6_line, interface.ipv6)
    lines.append(_hardware_line(interface))
    if interface.statistics is not None:
        lines += _counter_lines(interface.statistics)
    lines += _mapping_line(interface.mapping)
    return "\n        ".join(lines) + "\n\n"


def _ipv4_line(found: Address, flags: int) -> str:
    mask = "%d.%d.%d.%d" % tuple((0xFFFFFFFF << (32 - found.prefix_length) & 0xFFFFFFFF).to_bytes(4, "big"))
    line = f"inet {found.address}  netmask {mask}"
    if flags & _BROADCAST:
        line += f"  broadcast {found.broadcast or '0.0.0.0'}"
    if flags & _POINT_TO_POINT:
        line += f"  destination {found.peer or found.address}"
    return line


def _ipv6_line(found: Address) -> str:
    number, word = _SCOPES.get(found.scope, (0, "global"))
    words = [word]
    # ::192.0.2.1, which RFC 4291 has deprecated, but not :: and ::1.
    if found.address.startswith("::") and "." in found.address and not found.address.startswith("::ffff:"):
        number |= _COMPATIBLE
        words.insert(0, "compat")
    return f"inet6 {found.address}  prefixlen {found.prefix_length}  scopeid {number:#x}<{','.join(words)}>"


def _hardware_line(interface: Interface) -> str:
    name, title = _HARDWARE.get(interface.type, ("unspec", "UNSPEC"))
    address = interface.link_address or ""
    if name == "unspec":
        raw = _address_bytes(address, interface.type)
        address = raw[: _UNKNOWN_BYTES - 2].ljust(_UNKNOWN_BYTES, b"\0").hex("-").upper()
    if interface.type in _WITHOUT_ADDRESS:
        return f"{name}  txqueuelen {interface.queue_length}  ({title})"
    return f"{name} {'' if name == 'tunnel' else address}  txqueuelen {interface.queue_length}  ({title})"


def _address_bytes(address: str, type: int) -> bytes:
    """A link-layer address as it lies in memory: that of a tunnel is an IP address."""
    if type in _IPV6_TUNNELS or "::" in address:
        return inet_pton(AF_INET6, address or "::")
    return bytes(map(int, address.split("."))) if "." in address else bytes.fromhex(address.replace(":", ""))


def _counter_lines(counters: LinkStatistics) -> list[str]:
    lines = [f"RX packets {counters.rx_packets}  bytes {counters.rx_bytes} ({_in_units(counters.rx_bytes)})"]
    if counters.rx_compressed:
        lines.append(f"RX compressed {counters.rx_compressed}")
    lines += [
        f"RX errors {counters.rx_errors}  dropped {counters.rx_dropped + counters.rx_missed_errors}  "
        f"overruns {counters.rx_fifo_errors}  frame {_frame_errors(counters)}",
        f"TX packets {counters.tx_packets}  bytes {counters.tx_bytes} ({_in_units(counters.tx_bytes)})",
    ]
    if counters.tx_compressed:
        lines.append(f"TX compressed {counters.tx_compressed}")
    lines.append(
        f"TX errors {counters.tx_errors}  dropped {counters.tx_dropped} overruns {counters.tx_fifo_errors}  "
        f"carrier {_carrier_errors(counters)}  collisions {counters.collisions}"
    )
    return lines


def _in_units(count: int) -> str:
    tenths, unit = count * 10, "B"
    for size, name in _UNITS:
        if count > size:
            tenths, unit = count * 10 // size, name
            break
    return f"{tenths // 10}.{tenths % 10} {unit}"


def _mapping_line(mapping: tuple[int, int, int, int, int] | None) -> list[str]:
    if mapping is None:
        return []
    interrupt, base, start, end, dma = mapping
    if not (interrupt or start or dma or base >= 0x100):
        return []
    line = "device "
    if interrupt:
        line += f"interrupt {interrupt}  "
    if base >= 0x100:
        line += f"base 0x{base:x}  "
    if start:
        line += f"memory 0x{start:x}-{end:x}  "
    if dma:
        line += f"  dma 0x{dma:x}"
    return [line]
