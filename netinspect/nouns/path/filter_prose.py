"""Flows in what programs say of them: errors, logs of servers, lists of other tools. Only these need this module."""

from __future__ import annotations

import re

from .filter_ends import PROTOCOLS, canonical, endpoint, service

_PORT = re.compile(
    r"""(?:host=)?['"/(<]*(?P<host>\[?(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]{0,4}:[0-9a-fA-F:.]+)\]?)(?:%\w+)?['")>]*"""
    r"""(?:,?\s+(?:\([^)]*\)\s+)?port[ =]|:|,\s*(?:port=)?)(?P<port>[0-9]{1,5})\b"""
)
"""``ADDRESS port N``, ``ADDRESS:N``, ``host='ADDRESS', port=N``, ``ADDRESS (ADDRESS) port N``."""
_NAMED_PORT = re.compile(r"\b\S+ \(\[?(?P<host>[0-9a-fA-F:.]+)\]?\) port (?P<port>[0-9]+)")
"""``localhost (127.0.0.1) port 80``, as curl says."""
_ALONE = re.compile(
    r"(?<![\w.:/])(?P<host>[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]{1,4}:[0-9a-fA-F:]*:[0-9a-fA-F]*)(?![\w:])"
)
_URL = re.compile(r"\b([a-z][a-z0-9+.-]*)://(?:[^/\s@]*@)?(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d+))?", re.IGNORECASE)
_GO = re.compile(r"\b(?:dial|read|write|accept) (tcp|udp)[46]?:? (?:(\S+?)->)?(\[?[\w.:%-]+\]?:\d+)")
_LSOF = re.compile(r"\b(TCP|UDP) (\S+:\S+)->(\S+:\S+)(?: \(\w+\))?$")
_CLOUD = re.compile(r"(?:^|\s)\d+ \S+ eni-\S+ (\S+) (\S+) (\d+) (\d+) (\d+) ")
"""AWS, flow logs of version 2."""
_PACKETS = re.compile(
    r"^\s*\d+\s+[\d.:-]+\s+(\S+)\s+(?:(?:→|->)\s+)?(\S+)\s+([A-Za-z][\w./-]*)\s+\d+\s+(.*)$", re.DOTALL
)
"""Wireshark's and tshark's list of packets."""
_PACKET_PORTS = re.compile(r"(\d+)\s+(?:→|->|>)\s+(\d+)")
_OVER_UDP = frozenset(
    ("dns", "mdns", "quic", "dhcp", "ntp", "snmp", "syslog", "tftp", "radius", "ssdp", "llmnr", "stun")
)
_PUBLISHED = re.compile(r"(\S+?):(\d+)->\d+/(tcp|udp|sctp)")
"""Docker's published ports."""
_SERVICE = re.compile(
    r"\b(?:ClusterIP|NodePort|LoadBalancer|ExternalName)\s+(\S+)\s+\S+\s+(\d+)(?::\d+)?/(TCP|UDP|SCTP)"
)
"""``kubectl get services``."""
_MARTIAN = re.compile(r"martian source (\S+) from (\S+?),")
_ASKED = re.compile(r"who-has (\S+?),? (?:\([^)]*\) )?\w+ (\S+?),")
_DISSECTED = re.compile(r"Internet Protocol Version [46], Src: (\S+), Dst: (\S+)")
_DISSECTED_PORTS = re.compile(r"(Transmission Control|User Datagram) Protocol, Src Port: (\d+), Dst Port: (\d+)")
"""A packet in Wireshark."""
_ARRIVED = re.compile(r"\b(?:from|client:|by|user)\s+$", re.IGNORECASE)
_ACCESS = re.compile(r"""^(\S+) \S+ \S+ \[[^\]]*\] ?['"]?""")
"""The log of a web server."""
_COMMAND = re.compile(
    r"^(?:sudo )?(ssh|scp|sftp|telnet|nc|ncat|netcat|curl|wget|ping6?|traceroute6?|tracepath|mtr|dig|openssl)\s+(.*)$"
)
_USUAL = {"ssh": "22", "scp": "22", "sftp": "22", "telnet": "23", "curl": "80", "wget": "80"}
_WORDS = re.compile(
    r"\b(?:connect\w*|dial|sshd|curl|accepted|failed|refused|timed out|timeout|reset|unreachable|upstream|client|"
    r"trying|server|disconnected|econn\w+|etimedout|ehostunreach|enetunreach|err_\w+|respond|exception|haproxy|"
    r"max retries)\b",
    re.IGNORECASE,
)


def said(text: str) -> str:
    """The same as ``tcp src=… dst=… dport=…``; empty where it is none of these."""
    for read in (_of_go, _listed, _published, _of_servers, _typed):
        found = read(text)
        if found:
            return found
    return _prose(text) if _WORDS.search(text) and "users:" not in text else ""


def _flow(protocol: str, source: str | None, destination: str | None) -> str:
    """Words for two ends, each ``ADDRESS`` or ``ADDRESS:PORT``."""
    words = [protocol]
    for side, port, end in (("src", "sport", source), ("dst", "dport", destination)):
        ends = endpoint(end) if end else None
        if ends is not None:
            words.append(f"{side}={ends[0]}" if ends[0] not in ("0.0.0.0", "::", "*") else "")
            words.append(f"{port}={ends[1]}" if ends[1] else "")
    return " ".join(filter(None, words)) if len(words) > 1 else ""


def _of_go(text: str) -> str:
    """Errors of Go's net package: Docker, Kubernetes, Terraform."""
    found = _GO.search(text)
    return _flow(found[1], found[2], found[3]) if found else ""


def _listed(text: str) -> str:
    """A row of another tool's list."""
    found = _LSOF.search(text)
    if found:
        return _flow(found[1].lower(), found[2], found[3])
    found = _CLOUD.search(text)
    if found and canonical(found[1]) and canonical(found[2]):
        return f"protocol={found[5]} src={found[1]} dst={found[2]} sport={found[3]} dport={found[4]}"
    found = _PACKETS.match(text)
    if found and canonical(found[1]) and canonical(found[2]):
        name = found[3].lower()
        protocol = name if name in PROTOCOLS else "udp" if name in _OVER_UDP else "tcp"
        ports = _PACKET_PORTS.search(found[4])
        words = f"{protocol} src={found[1]} dst={found[2]}"
        return f"{words} sport={ports[1]} dport={ports[2]}" if ports else words
    found = _MARTIAN.search(text) or _ASKED.search(text)
    if found:
        return f"src={found[2]} dst={found[1]}"
    addresses, ports = _DISSECTED.search(text), _DISSECTED_PORTS.search(text)
    words = f"src={addresses[1]} dst={addresses[2]} " if addresses else ""
    if ports:
        words += f"{'udp' if ports[1].startswith('User') else 'tcp'} sport={ports[2]} dport={ports[3]}"
    return words


def _published(text: str) -> str:
    """A port that Docker or Kubernetes offers."""
    found = _PUBLISHED.search(text)
    if found:
        host = found[1].strip("[]:") or "::"
        words = f"{found[3]} dport={found[2]}"
        return words if host in ("0.0.0.0", "::", "") or canonical(host) is None else f"{words} dst={host}"
    found = _SERVICE.search(text)
    return f"{found[3].lower()} dst={found[1]} dport={found[2]}" if found and canonical(found[1]) else ""


def _of_servers(text: str) -> str:
    """A line of a web server's log: who asked; of a proxy's error, what it could not reach."""
    _, upstream, rest = text.partition("upstream: ")
    url = _URL.search(rest) if upstream else None
    if url:
        return _of_url(url)
    found = _ACCESS.match(text)
    return f"tcp src={found[1]}" if found and canonical(found[1]) else ""


def _of_url(url: re.Match[str]) -> str:
    scheme, host, port = url[1].lower(), url[2].strip("[]"), url[3]
    number = port or str(service(scheme) or "")
    protocol = scheme if scheme in PROTOCOLS else "tcp"
    return f"{protocol} dst={host}" + (f" dport={number}" if number else "")


def _typed(text: str) -> str:
    """A command that somebody ran."""
    found = _COMMAND.match(text.strip())
    if found is None or ("->" in text and "://" not in text):
        return ""
    program, rest = found[1].lower(), found[2]
    url = _URL.search(rest)
    if url:
        return _of_url(url)
    words = rest.split()
    port = next((words[at + 1] for at, word in enumerate(words[:-1]) if word in ("-p", "-P")), "")
    hosts = [word.rpartition("@")[2].strip("[]") for word in words if not word.startswith("-")]
    at = next((at for at, host in enumerate(hosts) if endpoint(host) or "." in host), None)
    if at is None or sum(canonical(host) is not None for host in hosts) > 1:
        return ""  # two addresses are a flow, and the program its service
    ends = endpoint(hosts[at]) or (hosts[at].partition(":")[0], hosts[at].partition(":")[2])
    if program.startswith(("ping", "traceroute", "tracepath", "mtr")):
        return f"{'icmpv6' if ':' in ends[0] else 'icmp'} dst={ends[0]}"
    if program == "dig":
        return f"udp dst={ends[0]} dport=53" if "@" in rest else ""
    behind = hosts[at + 1] if len(hosts) > at + 1 and hosts[at + 1].isdecimal() else ""
    known = ends[1] or port or behind or _USUAL.get(program, "")
    datagrams = program.startswith("n") and any(word.startswith("-") and "u" in word for word in words)
    protocol = "udp" if datagrams else "tcp"
    return f"{protocol} dst={ends[0]}" + (f" dport={known}" if known.isdecimal() else "")


def _prose(text: str) -> str:
    """A sentence with one or two ends in it: who comes ``from`` somewhere is the source, the other the destination."""
    text = _URL.sub(lambda url: f" {url[2]}:{url[3] or service(url[1].lower()) or ''} ", text)
    ends: list[tuple[bool, str, str]] = []
    seen: list[tuple[int, int]] = []
    for pattern in (_NAMED_PORT, _PORT, _ALONE):
        for found in pattern.finditer(text):
            host = canonical(found["host"].strip("[]"))
            if host is None or any(start < found.end() and found.start() < end for start, end in seen):
                continue
            seen.append(found.span())
            port = found["port"] if pattern is not _ALONE else ""
            ends.append((bool(_ARRIVED.search(text[: found.start()])), host, port))
    low = text.lower()
    if not ends or len(ends) > 2:
        return ""
    named = next((word for word in re.findall(r"[a-z0-9]+", low) if word in ("tcp", "udp", "icmp", "sctp")), "tcp")
    of_sshd = "sshd" in low
    coming = [end for end in ends if end[0] and (of_sshd or len(ends) > 1 or " from " in low)]
    source = coming[0] if coming else ends[0] if len(ends) == 2 or "haproxy[" in low else None
    target = next((end for end in ends if end is not source), None)
    words = [named]
    if source is not None:
        words += [f"src={source[1]}", f"sport={source[2]}" if source[2] else ""]
    if target is not None:
        words += [f"dst={target[1]}", f"dport={target[2]}" if target[2] else ""]
    elif of_sshd:
        words.append("dport=22")
    return " ".join(filter(None, words))
