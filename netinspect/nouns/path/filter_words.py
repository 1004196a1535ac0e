"""A flow as people type it, or copy it from the output of a program.

``a b:443``, ``tcp a:1 > b:443``, ``a -> b 443/tcp``, ``src a dst b dport 443``, a line of conntrack(8), of
`netinspect nat`, of tcpdump(8): all come down to a protocol and two ends.
"""

from __future__ import annotations

from ...engine.files import check_database
from ...engine.text import digits
from ...errors import UsageError
from ..conntrack.decode_names import STATES, STATUS_BITS
from .filter_ends import (
    ANY,
    OF_NETSTAT,
    PORT_ANY,
    PROTOCOLS,
    canonical,
    endpoint,
    is_address,
    is_name,
    service,
    zone_of,
)

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
    "src_ip": "source",
    "srcip": "source",
    "srcaddr": "source",
    "source_ip": "source",
    "ip.src": "source",
    "ipv6.src": "source",
    "id.orig_h": "source",
    "dst_ip": "destination",
    "dstip": "destination",
    "dstaddr": "destination",
    "dest_ip": "destination",
    "destination_ip": "destination",
    "ip.dst": "destination",
    "ipv6.dst": "destination",
    "id.resp_h": "destination",
    "src_port": "source_port",
    "srcport": "source_port",
    "id.orig_p": "source_port",
    "dst_port": "destination_port",
    "dstport": "destination_port",
    "dest_port": "destination_port",
    "id.resp_p": "destination_port",
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
        *("df", "on", "listen", "unconn", "syn", "ack", "syn-ack", "syn,ack", "fin", "rst", "psh", "urg"),
    )
)
"""What stands in listings beside the ends."""
_LONGEST_PORT = 65535


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class FlowWords:
    """What was reported of a flow; None where nothing was."""

    __slots__ = ("destination", "destination_port", "protocol", "source", "source_port", "zone")

    def __init__(self) -> None:
        self.protocol: int | None = None
        self.source: str | None = None
        """An address or a prefix."""
        self.source_port: int | None = None
        self.destination: str | None = None
        self.destination_port: int | None = None
        self.zone: str | None = None
        """The interface that stands behind a link-local address."""

    def __str__(self) -> str:
        names = {number: name for name, number in reversed(PROTOCOLS.items())}
        protocol = f"{names.get(self.protocol, self.protocol)} " if self.protocol is not None else ""
        return f"{protocol}{_end(self.source, self.source_port)} > {_end(self.destination, self.destination_port)}"


def _end(address: str | None, port: int | None) -> str:
    host = "any" if address is None else f"[{address}]" if ":" in address and port is not None else address
    return host if port is None else f"{host}:{port}"


_OTHERS = (
    "://",
    '"',
    "'",
    "`",
    "IP ",
    "IP6 ",
    "SRC=",
    "trace id ",
    "users:",
    "timer:",
    "uid:",
    "tcp6 ",
    "udp6 ",
    " - ",
    "ethertype",
)
_SAYING = (
    *("onnect", "dial ", "sshd", "curl", "wget", "ssh ", "telnet ", "nc ", "ncat ", "ping ", "ailed", "refused"),
    *("imeout", "timed", "pstream", "client", "ception", "retries", "Trying", "eset by", "unreachable", "respond"),
    *("ERR_", "ECONN", "ETIMED", "EHOST", "read ", "write ", "accept ", "haproxy", "eni-", "martian", "HTTP/"),
    *("TCP ", "UDP ", "DNS ", "ICMP ", "ClusterIP", "NodePort", "LoadBalancer", "Src", "who-has", ">80/", "dig "),
)
"""What stands in lines that other programs log."""
_ARROWS = ("<->", "-->", "->", "=>", "→")


def flow_words(words: list[str] | tuple[str, ...]) -> FlowWords:
    """Reads a flow. Raises UsageError for a word that is no part of one."""
    text = " ".join(words)
    if text.lstrip().startswith("{"):
        return _of_json(text)
    text = text.replace("\t", " ")
    if any(mark in text for mark in _SAYING) or ("->" in text and text.endswith(("/tcp", "/udp"))):
        from .filter_prose import said

        text = said(text) or text
    if any(mark in text for mark in _OTHERS) or not text.isascii() or "-->" in text:
        from .filter_pasted import plain

        text = plain(text)
    # What our own output says behind the flow is of its answers.
    for mark in ("(replies", ", without a reply"):
        text = text.partition(mark)[0]
    for mark in (*_ARROWS, ",", ";", ">", "|", "&&"):
        text = text.replace(mark, " ")
    text = text.replace(" == ", "=")
    return _Reader(text.split()).read()


def _of_json(text: str) -> FlowWords:
    """A record of ours: of a flow, of a socket, of a packet that was dropped."""
    from json import loads

    try:
        record = loads(text)
    except (ValueError, RecursionError):
        raise UsageError("that is no JSON object: a flow is one record, or words") from None
    words = []
    record = dict(_flattened(record, 0))
    for names, key in (
        (("protocol", "proto"), "protocol"),
        (("source_address", "local_address", *_names_of("source")), "src"),
        (("local_port", *_names_of("source_port")), "sport"),
        (("destination_address", "remote_address", *_names_of("destination")), "dst"),
        (("remote_port", *_names_of("destination_port")), "dport"),
    ):
        value = next((record[name] for name in names if record.get(name) not in (None, "")), None)
        if value is not None and (key not in ("sport", "dport") or value != 0):
            words.append(f"{key}={value}")
    if not words:
        raise UsageError("that record says nothing of a flow: its ends, protocol or ports")
    return _Reader(words).read()


_DEEPEST = 4
"""Levels of a record that are looked at: clouds log a connection within a payload."""


def _names_of(name: str) -> list[str]:
    return [key for key, value in _KEYS.items() if value == name and key not in ("from", "to", "port")]


def _flattened(record: object, depth: int) -> Iterator[tuple[str, object]]:
    """The fields of a record, and of those within it; of several with one name the first counts."""
    if not isinstance(record, dict):
        return
    within = []
    for key, value in reversed(record.items()):
        if isinstance(value, dict):
            within.append((key, value))
        else:
            yield str(key), value
    for key, value in within:
        if str(key).lower() in PROTOCOLS:
            yield "protocol", str(key).lower()
        if depth < _DEEPEST:
            yield from _flattened(value, depth + 1)


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
            name = _KEYS.get(key.lower()) or _KEYS.get(key.removesuffix(":").lower()) or self._of_header(key)
            if name in ("source", "destination") and words and not equals:
                behind = words[-1].removesuffix(":").lower()
                if behind == "port":
                    name, _ = f"{name}_port", words.pop()
                elif behind == "host":
                    words.pop()
            if name == "destination_port" and key == "port" and self._ends == 1 and any(map(endpoint, words[:-1])):
                name = "source_port"
            if equals and value:
                if self._line and name in self._given:
                    break  # the second of each is the reply's
                self._named(name, value)
            elif name is not None and not equals and words and self._takes(name, words[-1], key):
                self._named(name, words.pop())
            elif not self._line or word.lower() in PROTOCOLS:
                self._plain(word)
                if self._line and word.lower() in PROTOCOLS:
                    self._given.add("protocol")
            elif self._numbered_protocol(word):
                self._found.protocol = digits(word)
        found = self._found
        if "LISTEN" in self._words and found.source_port is not None:
            # What listens is what others come to: nobody is at the other end yet.
            here = None if found.source in ("0.0.0.0", "::") else found.source
            found.source, found.source_port, found.destination, found.destination_port = (
                *(None, None),
                *(here, found.source_port),
            )
        known = (found.protocol, found.source_port, found.destination_port)
        if self._words and not self._ends and not self._given and known == (None, None, None):
            raise UsageError(f"{' '.join(self._words)!r} says nothing of a flow: its ends, protocol or ports")
        return found

    def _of_header(self, key: str) -> str | None:
        """``tcp.dstport``, as Wireshark has it."""
        protocol, dot, field = key.lower().partition(".")
        if field == "addr" and protocol in ("ip", "ipv6"):
            return "destination" if self._ends else "source"
        names = {"srcport": "source_port", "dstport": "destination_port", "port": "destination_port"}
        name = names.get(field) if dot else None
        if name is not None and protocol in PROTOCOLS:
            self._found.protocol = PROTOCOLS[protocol]
        return name

    def _numbered_protocol(self, word: str) -> bool:
        """Whether it is the number of a protocol whose name conntrack(8) does not know: ``unknown 2 599 src=…``."""
        at = self._words.index(word)
        return self._found.protocol is None and at > 0 and self._words[at - 1] == "unknown" and digits(word) is not None

    def _takes(self, name: str, following: str, key: str) -> bool:
        """Whether the word behind a key is its value: ``to`` and ``from`` may be mere filling."""
        if name in ("source", "destination"):
            return not (key in ("to", "from") and name in self._given) and (
                endpoint(following) is not None or following.lower() in ANY
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
        elif value.lower() not in ANY:
            ends = endpoint(value) or _looked_up(value, self._other(name))
            if ends is None:
                raise UsageError(f"{value!r} is not an address")
            setattr(found, name, canonical(ends[0]) or ends[0])
            found.zone = zone_of(value) or found.zone
            if ends[1]:
                self._port(f"{name}_port", ends[1])
            self._ends = max(self._ends, 1 if name == "source" else 2)
        else:
            self._ends = max(self._ends, 1 if name == "source" else 2)

    def _plain(self, word: str) -> None:
        if word[:1] in "(<" or word[-1:] in ").":
            word = word.strip("()<>").rstrip(".")
            if not word:
                return
        named, colon, rest = word.partition(":")
        if colon and rest and named.lower() in PROTOCOLS:
            self._found.protocol = PROTOCOLS[named.lower()]
            word = rest if digits(rest) is None else f":{rest}"
        bare = word.strip("[]()").rstrip(":") if word.count(":") <= 1 else word
        low = OF_NETSTAT.get(bare.lower(), bare.lower())
        if low in PROTOCOLS:
            self._found.protocol = PROTOCOLS[low]
            return
        if low in _FILLING or low in _NOISE or word.lower() in _NOISE:
            return
        if low in ANY:
            self._ends += 1
            return
        first, slash, second = low.partition("/")
        if slash and (first in PROTOCOLS or second in PROTOCOLS) and not is_address(low):
            protocol, rest = (first, second) if first in PROTOCOLS else (second, word.rpartition("/")[0])
            self._found.protocol = PROTOCOLS[protocol]
            if first in PROTOCOLS or endpoint(rest) is None:
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
        if self._endpoint(word) or (self._ends >= 2 and _is_program(word)):
            return
        known = service({"dns": "domain"}.get(low, low)) if self._found.destination_port is None else None
        if low == "echo" and self._ends < 2:
            return  # of ICMP
        if known is not None:
            self._found.destination_port = known
            return
        raise UsageError(
            f"{word!r} is not an address, port or protocol: a flow is [PROTOCOL] SOURCE[:PORT] [DESTINATION[:PORT]]"
        )

    def _endpoint(self, word: str) -> bool:
        side = "source" if self._ends == 0 else "destination"
        ends = endpoint(word.rstrip(":") if word.count(":") == 1 else word)
        if ends is None:
            ends = _looked_up(word, self._other(side))
        if ends is None:
            return False
        self._ends += 1
        if self._ends > 2:
            return True  # listings have the outside address behind both
        if ends[0].lower() not in ANY:
            setattr(self._found, side, canonical(ends[0]) or ends[0])
            self._found.zone = zone_of(word) or self._found.zone
        if ends[1]:
            self._port(f"{side}_port", ends[1])
        return True

    def _other(self, side: str) -> str | None:
        return self._found.source if side == "destination" else self._found.destination

    def _port(self, name: str, text: str) -> None:
        if text.lower() in PORT_ANY:
            return
        number = service(text.lower()) if digits(text) is None else digits(text)
        if number is None or not 0 <= number <= _LONGEST_PORT:
            raise UsageError(f"{text!r} is not a port")
        setattr(self._found, name, number)


def _protocol(text: str) -> int:
    if text.lower() in PROTOCOLS:
        return PROTOCOLS[text.lower()]
    number = digits(text)
    if number is not None and number < 256:
        return number
    raise UsageError(f"{text!r} is not a protocol")


def _looked_up(word: str, other: str | None) -> tuple[str, str] | None:
    """The address of a host whose name has a dot, or is localhost's, of the family of the other end if it has one.

    Raises UsageError where it has none.
    """
    host, colon, port = word.partition(":")
    labels = host.removesuffix(".").split(".")
    named = len(labels) > 1 and any(map(str.isalpha, host)) and all(label and is_name(f"a{label}") for label in labels)
    if not (named or host == "localhost") or (colon and not port):
        return None
    from _socket import getaddrinfo

    from ...engine.in_time import in_time

    check_database("hosts")
    wanted = 0 if other is None else 10 if ":" in other else 2
    try:
        answers = in_time(getaddrinfo, host, None, wanted, 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{host}: {getattr(error, 'strerror', None) or 'it has no address'}") from None
    return str(min(answers, key=lambda answer: answer[0])[4][0]).partition("%")[0], port


def _is_program(word: str) -> bool:
    """``123/curl``, as netstat(8) shows a process."""
    pid, slash, name = word.partition("/")
    return bool(slash and name) and digits(pid) is not None
