"""A flow as people type it, or copy it from the output of a program.

``a b:443``, ``tcp a:1 > b:443``, ``a -> b 443/tcp``, ``src a dst b dport 443``, a line of conntrack(8), of
`netinspect nat`, of tcpdump(8): all come down to a protocol and two ends.
"""

from __future__ import annotations

from _socket import getservbyname, inet_pton

from ...engine.files import check_database
from ...engine.text import digits
from ...errors import UsageError
from ..conntrack.decode_names import STATES, STATUS_BITS

_PROTOCOLS = {
    "tcp": 6,
    "udp": 17,
    "icmp": 1,
    "ping": 1,
    "icmpv6": 58,
    "icmp6": 58,
    "ipv6-icmp": 58,
    "sctp": 132,
    "dccp": 33,
    "udplite": 136,
}
_ANY = frozenset(("any", "*", "anywhere", "0.0.0.0/0", "::/0", "-"))
_PORT_ANY = frozenset(("*", "any", "0", ""))
_FILLING = frozenset(
    ("to", "from", "->", ">", "=>", "<->", "-->", "→", "and", "host", "flow", "ip", "ip6", "ipv4", "ipv6", "via", "the")
)
_KEYS = {
    "src": "source",
    "source": "source",
    "from": "source",
    "saddr": "source",
    "dst": "destination",
    "dest": "destination",
    "destination": "destination",
    "to": "destination",
    "daddr": "destination",
    "sport": "source_port",
    "spt": "source_port",
    "dport": "destination_port",
    "dpt": "destination_port",
    "port": "destination_port",
    "proto": "protocol",
    "protocol": "protocol",
}
_NOISE = frozenset(
    (
        *(name.lower() for names in STATES.values() for name in names),
        *(bit.lower() for bit in STATUS_BITS),
        *(
            "unreplied",
            "assured",
            "masquerade",
            "snat",
            "dnat",
            "redirect",
            "both",
            "untracked",
            "estab",
            "established",
        ),
        *("conntrack:", "seen:", "new", "update", "destroy"),
    )
)
"""What stands in listings beside the ends."""
_LONGEST_PORT = 65535


class FlowWords:
    """What was reported of a flow; None where nothing was."""

    __slots__ = ("destination", "destination_port", "protocol", "source", "source_port")

    def __init__(self) -> None:
        self.protocol: int | None = None
        self.source: str | None = None
        """An address or a prefix."""
        self.source_port: int | None = None
        self.destination: str | None = None
        self.destination_port: int | None = None

    def __str__(self) -> str:
        names = {number: name for name, number in reversed(_PROTOCOLS.items())}
        protocol = f"{names.get(self.protocol, self.protocol)} " if self.protocol is not None else ""
        return f"{protocol}{_end(self.source, self.source_port)} > {_end(self.destination, self.destination_port)}"


def _end(address: str | None, port: int | None) -> str:
    host = "any" if address is None else f"[{address}]" if ":" in address and port is not None else address
    return host if port is None else f"{host}:{port}"


def flow_words(words: list[str] | tuple[str, ...]) -> FlowWords:
    """Reads a flow. Raises UsageError for a word that is no part of one."""
    text = " ".join(words)
    # What our own output says behind the flow is of its answers.
    for mark in ("(replies", ", without a reply", ": Flags", ": UDP,", ": ICMP"):
        text = text.partition(mark)[0]
    for mark in ("<->", "-->", "->", "=>", "→", ",", ";", " > ", "\t"):
        text = text.replace(mark, " ")
    return _Reader(text.replace(">", " ").split()).read()


class _Reader:
    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._found = FlowWords()
        self._ends = 0
        self._given: set[str] = set()
        self._line = any(word.startswith(("src=", "[ASSURED]", "[UNREPLIED]")) for word in words)
        """A line of conntrack(8): of the words without =, only the protocol matters."""

    def read(self) -> FlowWords:
        words = list(reversed(self._words))
        while words:
            word = words.pop()
            key, equals, value = word.partition("=")
            name = _KEYS.get(key.lower())
            if equals and value:
                if self._line and name in self._given:
                    break  # the second of each is the reply's
                self._named(name, value)
            elif name is not None and words and self._takes(name, words[-1], key):
                self._named(name, words.pop())
            elif not self._line or word.lower() in _PROTOCOLS:
                self._plain(word)
        return self._found

    def _takes(self, name: str, following: str, key: str) -> bool:
        """Whether the word behind a key is its value: ``to`` and ``from`` may be mere filling."""
        if name in ("source", "destination"):
            return not (key in ("to", "from") and name in self._given) and (
                _endpoint(following) is not None or following.lower() in _ANY
            )
        return True

    def _named(self, name: str | None, value: str) -> None:
        found = self._found
        if name is None:
            return  # mark=0 use=1 and others
        self._given.add(name)
        if name == "protocol":
            found.protocol = _protocol(value)
        elif name.endswith("_port"):
            self._port(name, value)
        elif value.lower() not in _ANY:
            ends = _endpoint(value)
            if ends is None:
                raise UsageError(f"{value!r} is not an address")
            setattr(found, name, ends[0])
            if ends[1]:
                self._port(f"{name}_port", ends[1])
            self._ends = max(self._ends, 1 if name == "source" else 2)
        else:
            self._ends = max(self._ends, 1 if name == "source" else 2)

    def _plain(self, word: str) -> None:
        bare = word.strip("[]()").rstrip(":") if word.count(":") <= 1 else word
        low = bare.lower()
        if low in _PROTOCOLS:
            self._found.protocol = _PROTOCOLS[low]
            return
        if low in _FILLING or low in _NOISE or word.lower() in _NOISE:
            return
        if low in _ANY:
            self._ends += 1
            return
        first, slash, second = low.partition("/")
        if slash and (first in _PROTOCOLS or second in _PROTOCOLS) and not _address(low):
            protocol, rest = (first, second) if first in _PROTOCOLS else (second, word.rpartition("/")[0])
            self._found.protocol = _PROTOCOLS[protocol]
            if first in _PROTOCOLS or _endpoint(rest) is None:
                self._port("destination_port", rest.lstrip(":"))
            else:
                self._endpoint(rest)
            return
        if word.startswith(":") and word[1:2] != ":":
            self._port("destination_port", word[1:])
            return
        if digits(bare) is not None:
            if self._ends >= 2 and self._found.destination_port is None:
                self._port("destination_port", bare)
            elif self._ends == 1 and self._found.source_port is None:
                self._port("source_port", bare)
            return  # numbers before the ends are a listing's
        if self._endpoint(word):
            return
        if self._ends >= 2 and self._found.destination_port is None and _service(low) is not None:
            self._port("destination_port", low)
            return
        raise UsageError(
            f"{word!r} is not an address, port or protocol: a flow is [PROTOCOL] SOURCE[:PORT] [DESTINATION[:PORT]]"
        )

    def _endpoint(self, word: str) -> bool:
        ends = _endpoint(word.rstrip(":") if word.count(":") == 1 else word)
        if ends is None:
            return False
        self._ends += 1
        if self._ends > 2:
            return True  # listings have the outside address behind both
        side = "source" if self._ends == 1 else "destination"
        if ends[0].lower() not in _ANY:
            setattr(self._found, side, ends[0])
        if ends[1]:
            self._port(f"{side}_port", ends[1])
        return True

    def _port(self, name: str, text: str) -> None:
        if text.lower() in _PORT_ANY:
            return
        number = _service(text.lower()) if digits(text) is None else digits(text)
        if number is None or not 0 <= number <= _LONGEST_PORT:
            raise UsageError(f"{text!r} is not a port")
        setattr(self._found, name, number)


def _protocol(text: str) -> int:
    if text.lower() in _PROTOCOLS:
        return _PROTOCOLS[text.lower()]
    number = digits(text)
    if number is not None and number < 256:
        return number
    raise UsageError(f"{text!r} is not a protocol")


def _service(name: str) -> int | None:
    from ...engine.in_time import in_time

    check_database("services")
    try:
        return in_time(getservbyname, name)
    except (OSError, ValueError):  # a name that is not UTF-8 is none
        return None


def _address(text: str) -> bool:
    """Whether it is an address or a prefix."""
    host, slash, length = text.partition("/")
    family = 10 if ":" in host else 2
    try:
        inet_pton(family, host)
    except (OSError, ValueError):
        return False
    bits = digits(length)
    return not slash or (bits is not None and bits <= (128 if family == 10 else 32))


def _endpoint(word: str) -> tuple[str, str] | None:
    """An address and what stands behind it as a port; None where it begins with no address."""
    if word.startswith("["):
        host, closed, rest = word[1:].partition("]")
        return (host, rest.lstrip(":.")) if closed and _address(host) else None
    if _address(word):
        return word, ""
    for mark in (":", ".", "#"):  # tcpdump writes a dot, conntrackd and pf a #
        host, found, port = word.rpartition(mark)
        if (
            found
            and (_address(host) or host.lower() in _ANY)
            and (digits(port) is not None or port in _PORT_ANY or port.isalpha())
        ):
            return host, port
    return None
