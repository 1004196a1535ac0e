"""Flows as other programs print them, put into plain words: only these need regular expressions."""

from __future__ import annotations

import re

from .filter_ends import PROTOCOLS, endpoint, service

_ARROW = re.compile(r"<?(?:-+|=+|~+)>|[→⇒⟶➜➔↔⇨]")
_DASH = re.compile(r"^((?:[a-z]\w* )?\S*[\w\]]) [-\u2013\u2014] ([\w\[]\S*)$")
"""``a - b:443``, and nothing else: in listings a dash stands for what is not known."""
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^\s/?#]+)[^\s]*", re.IGNORECASE)
_OF_SS = re.compile(r"\b(?:users|timer|uid|ino|sk|cgroup|skmem|fwmark|backlog|class_id|dev):\S*")
"""What ss(8) has behind the ends."""
_DUMPED = re.compile(
    r"(?:^|\s)(?:IP6? |ethertype IPv[46] \(0x\w+\), (?:length \d+: )?)"
    r"(?:truncated-ip6? - \d+ bytes missing! ?)?"
    r"(?:\((?P<header>.*?)\)\s+)?(?P<source>\S+) > (?P<destination>[^\s,]+?)(?P<rest>:\s.*|:?$)",
    re.DOTALL,
)
"""tcpdump(8), with and without -v."""
_BY_REST = (
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
_PORTS_WITHOUT_BRACKETS = re.compile(r"(?<!\S)([0-9a-fA-F:.]*::?[0-9a-fA-F:.]*):(\d+|\*)(?!\S)")


def plain(text: str) -> str:
    """The same with words that say only which flow it is."""
    text = _logged(text) or _dumped(text) or _traced(text) or text
    text = _OF_SS.sub(" ", text)
    for quote in ('"', "'", "`"):
        text = text.replace(quote, " ")
    text = _ARROW.sub(" ", _DASH.sub(r"\1 \2", _URL.sub(_of_url, text)))
    if text.startswith(("tcp6 ", "udp6 ", "udplite6 ")):
        text = _PORTS_WITHOUT_BRACKETS.sub(r"[\1]:\2", text)
    return text


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
    protocol = next((name for pattern, name in _BY_REST if pattern.match(found["rest"])), "")
    if named is not None and named[1].lower() in PROTOCOLS:
        protocol = named[1]
    return f"{protocol} {found['source']} {found['destination']}"


def _traced(text: str) -> str:
    """A packet in the trace of nft(8)."""
    if not re.search(r"\btrace id \S+ .* packet: ", text):
        return ""
    named = _TRACED_PROTOCOL.search(text)
    parts = [f"protocol={named[1]}"] if named is not None and named[1].lower() in PROTOCOLS else []
    for side, address, protocol, port, number in _TRACED.findall(text):
        parts += [f"{side}={address}"] if side else [protocol, f"{port}={number}"]
    return " ".join(parts)


def _of_url(url: re.Match[str]) -> str:
    """``https://192.0.2.1/`` is where it leads: ``dst=192.0.2.1 dport=443``."""
    scheme, place = url[1].lower(), url[2].rpartition("@")[2]
    host, _, port = _endpoint_of(place)
    protocol = scheme if scheme in PROTOCOLS else "tcp"
    known = port or (str(service(scheme) or "") if scheme not in PROTOCOLS else "")
    return f" {protocol} dst={host} " + (f"dport={known} " if known else "")


def _endpoint_of(place: str) -> tuple[str, str, str]:
    ends = endpoint(place)
    if ends is not None:
        return ends[0], ":", ends[1]
    return place.rpartition(":") if place.rpartition(":")[2].isdecimal() else (place, "", "")
