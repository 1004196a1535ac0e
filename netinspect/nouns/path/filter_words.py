"""A flow as people type it, or copy it from the output of a program.

``a b:443``, ``tcp a:1 > b:443``, ``a -> b 443/tcp``, ``src a dst b dport 443``, a line of conntrack(8), of
`netinspect nat`, of tcpdump(8): all come down to a protocol and two ends.
"""

from __future__ import annotations

import re
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
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "igmp": 2,
}
_OF_NETSTAT = {"tcp6": "tcp", "udp6": "udp", "udplite6": "udplite"}
"""Names that netstat(8) gives protocols where it writes addresses without brackets."""
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
    "--sport": "source_port",
    "--dport": "destination_port",
    "-s": "source",
    "-d": "destination",
    "-p": "protocol",
    "source_address": "source",
    "destination_address": "destination",
    "source_port": "source_port",
    "destination_port": "destination_port",
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
        *("unconn", "syn", "ack", "syn-ack", "syn,ack", "fin", "rst", "psh", "urg"),
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


_ARROW = re.compile(r"<?(?:-+|=+|~+)>|[→⇒⟶➜➔↔⇨]")
_DASH = re.compile(r"^((?:[a-z]\w* )?\S*[\w\]]) [-\u2013\u2014] ([\w\[]\S*)$")
"""``a - b:443``, and nothing else: in listings a dash stands for what is not known."""
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^\s/?#]+)[^\s]*", re.IGNORECASE)
_OF_SS = re.compile(r"\b(?:users|timer|uid|ino|sk|cgroup|skmem|fwmark|backlog|class_id|dev):\S*")
"""What ss(8) has behind the ends."""
_DUMPED = re.compile(
    r"(?:^|\s)IP6? (?:\((?P<header>.*?)\)\s+)?(?P<source>\S+) > (?P<destination>[^\s,]+?)(?P<rest>:\s.*|:?$)", re.DOTALL
)
"""tcpdump(8), with and without -v."""
_DUMPED_PROTOCOLS = (
    (re.compile(r": Flags \["), "tcp"),
    (re.compile(r": ICMP6"), "icmpv6"),
    (re.compile(r": ICMP "), "icmp"),
    (re.compile(r": (?:UDP|\d+[+*%|-]* |\[\w?udp)"), "udp"),
    (re.compile(r": GRE"), "gre"),
    (re.compile(r": ESP"), "esp"),
    (re.compile(r": sctp"), "sctp"),
)
"""By what stands behind the ends; a query or answer of DNS begins with its number."""
_HEADER_PROTOCOL = re.compile(r"(?:proto|next-header) (\S+) \(\d+\)")
_TRACED = re.compile(r"\b(?:ip6? (saddr|daddr) (\S+)|(tcp|udp|sctp|dccp|udplite) (sport|dport) (\d+))")
_TRACED_PROTOCOL = re.compile(r"\b(?:ip protocol|ip6 nexthdr|meta l4proto) (\S+)")
"""nft(8), monitor trace."""
_LOGGED = re.compile(r"\b(SRC|DST|PROTO|SPT|DPT)=([^\s\]]+)")
"""The log of a rule (net/netfilter/nf_log_syslog.c)."""
_ZONE_AND_PORT = re.compile(r"^([0-9a-fA-F:.]+)%[^\s\]:]+:(\w+)$")
_ZONE = re.compile(r"(?<=[0-9a-fA-F:])%[^\s\]:]+")
_PROGRAM = re.compile(r"\d+/[^/]+:?")
"""As netstat(8) shows a process."""
_SERVICE = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*")
_HOST = re.compile(r"(?=.*[a-zA-Z])[a-zA-Z0-9_-]+(?:\.[a-zA-Z0-9_-]+)+\.?|localhost", re.ASCII)
_PORTS_WITHOUT_BRACKETS = re.compile(r"(?<!\S)([0-9a-fA-F:.]*::?[0-9a-fA-F:.]*):(\d+|\*)(?!\S)")


def flow_words(words: list[str] | tuple[str, ...]) -> FlowWords:
    """Reads a flow. Raises UsageError for a word that is no part of one."""
    text = " ".join(words)
    if text.lstrip().startswith("{"):
        return _of_json(text)
    text = _logged(text) or _dumped(text) or _traced(text) or text
    text = _OF_SS.sub(" ", text)
    for quote in ('"', "'", "`"):
        text = text.replace(quote, " ")
    # What our own output says behind the flow is of its answers.
    for mark in ("(replies", ", without a reply"):
        text = text.partition(mark)[0]
    text = _ARROW.sub(" ", _DASH.sub(r"\1 \2", _URL.sub(_of_url, text)))
    for mark in (",", ";", " > ", "\t"):
        text = text.replace(mark, " ")
    for name in _OF_NETSTAT:
        if text.startswith(f"{name} "):
            text = _PORTS_WITHOUT_BRACKETS.sub(r"[\1]:\2", text)
    return _Reader(text.replace(">", " ").split()).read()


def _logged(text: str) -> str:
    """What the kernel's log says of a packet; of one that an ICMP error is about, nothing."""
    found: dict[str, str] = {}
    for key, value in _LOGGED.findall(text):
        found.setdefault(key, value)
    if "SRC" not in found or "DST" not in found:
        return ""
    if found.get("PROTO", "").lower() in ("icmp", "icmpv6"):
        found.pop("SPT", None)
        found.pop("DPT", None)
    return " ".join(f"{key.lower()}={value}" for key, value in found.items())


def _dumped(text: str) -> str:
    found = _DUMPED.search(text)
    if found is None:
        return ""
    named = _HEADER_PROTOCOL.search(found["header"] or "")
    protocol = next((name for pattern, name in _DUMPED_PROTOCOLS if pattern.match(found["rest"])), "")
    if named is not None and named[1].lower() in _PROTOCOLS:
        protocol = named[1]
    return f"{protocol} {found['source']} {found['destination']}"


def _traced(text: str) -> str:
    """A packet in the trace of nft(8)."""
    if not re.search(r"\btrace id \S+ .* packet: ", text):
        return ""
    named = _TRACED_PROTOCOL.search(text)
    parts = [f"protocol={named[1]}"] if named is not None and named[1].lower() in _PROTOCOLS else []
    for side, address, protocol, port, number in _TRACED.findall(text):
        parts += [f"{side}={address}"] if side else [protocol, f"{port}={number}"]
    return " ".join(parts)


def _of_url(url: re.Match[str]) -> str:
    """``https://192.0.2.1/`` is where it leads: ``dst=192.0.2.1 dport=443``."""
    scheme, place = url[1].lower(), url[2].rpartition("@")[2]
    host, _, port = _endpoint_of(place)
    protocol = scheme if scheme in _PROTOCOLS else "tcp"
    known = port or (str(_service(scheme) or "") if scheme not in _PROTOCOLS else "")
    return f" {protocol} dst={host} " + (f"dport={known} " if known else "")


def _endpoint_of(place: str) -> tuple[str, str, str]:
    ends = _endpoint(place)
    if ends is not None:
        return ends[0], ":", ends[1]
    return place.rpartition(":") if place.rpartition(":")[2].isdecimal() else (place, "", "")


def _of_json(text: str) -> FlowWords:
    """A record of ours: of a flow, of a socket, of a packet that was dropped."""
    from json import loads

    try:
        record = loads(text)
    except (ValueError, RecursionError):
        raise UsageError("that is no JSON object: a flow is one record, or words") from None
    words = []
    for names, key in (
        (("protocol",), "protocol"),
        (("source_address", "local_address", "source"), "src"),
        (("source_port", "local_port"), "sport"),
        (("destination_address", "remote_address", "destination"), "dst"),
        (("destination_port", "remote_port"), "dport"),
    ):
        value = next((record[name] for name in names if record.get(name) not in (None, "")), None)
        if value is not None and (key not in ("sport", "dport") or value != 0):
            words.append(f"{key}={value}")
    return _Reader(words).read()


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
            elif name is not None and not equals and words and self._takes(name, words[-1], key):
                self._named(name, words.pop())
            elif not self._line or word.lower() in _PROTOCOLS:
                self._plain(word)
                if self._line and word.lower() in _PROTOCOLS:
                    self._given.add("protocol")
            elif self._numbered_protocol(word):
                self._found.protocol = digits(word)
        return self._found

    def _numbered_protocol(self, word: str) -> bool:
        """Whether it is the number of a protocol whose name conntrack(8) does not know: ``unknown 2 599 src=…``."""
        at = self._words.index(word)
        return self._found.protocol is None and at > 0 and self._words[at - 1] == "unknown" and digits(word) is not None

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
            ends = _endpoint(value) or _looked_up(value, self._other(name))
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
        low = _OF_NETSTAT.get(bare.lower(), bare.lower())
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
        if self._endpoint(word) or (self._ends >= 2 and _PROGRAM.fullmatch(word)):
            return
        if self._ends >= 2 and self._found.destination_port is None and _service(low) is not None:
            self._port("destination_port", low)
            return
        raise UsageError(
            f"{word!r} is not an address, port or protocol: a flow is [PROTOCOL] SOURCE[:PORT] [DESTINATION[:PORT]]"
        )

    def _endpoint(self, word: str) -> bool:
        side = "source" if self._ends == 0 else "destination"
        ends = _endpoint(word.rstrip(":") if word.count(":") == 1 else word)
        if ends is None:
            ends = _looked_up(word, self._other(side))
        if ends is None:
            return False
        self._ends += 1
        if self._ends > 2:
            return True  # listings have the outside address behind both
        if ends[0].lower() not in _ANY:
            setattr(self._found, side, ends[0])
        if ends[1]:
            self._port(f"{side}_port", ends[1])
        return True

    def _other(self, side: str) -> str | None:
        return self._found.source if side == "destination" else self._found.destination

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
    """An address and what stands behind it as a port; None where it begins with no address.

    The zone of an address (``fe80::1%eth0``) is left out: ss(8) shows an interface so.
    """
    word = _ZONE.sub("", _ZONE_AND_PORT.sub(r"[\1]:\2", word))
    if word.lower().startswith("[::ffff:") or (word.lower().startswith("::ffff:") and "." in word):
        host, closed, rest = word.removeprefix("[")[7:].partition("]")
        if "." in host:
            word = f"{host}{rest}"
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
            and (digits(port) is not None or port in _PORT_ANY or _SERVICE.fullmatch(port))
        ):
            return host, port
    return None


def _looked_up(word: str, other: str | None) -> tuple[str, str] | None:
    """The address of a host whose name has a dot, or is localhost's, of the family of the other end if it has one.

    Raises UsageError where it has none.
    """
    host, colon, port = word.partition(":")
    if not _HOST.fullmatch(host) or (colon and not port):
        return None
    from _socket import gaierror, getaddrinfo

    wanted = 0 if other is None else 10 if ":" in other else 2
    try:
        answers = getaddrinfo(host, None, wanted, 1)
    except (gaierror, OSError, ValueError) as error:
        raise UsageError(f"{host}: {getattr(error, 'strerror', None) or 'it has no address'}") from None
    return str(min(answers, key=lambda answer: answer[0])[4][0]).partition("%")[0], port
