"""Links that delay, lose or slow down what is sent into them: the queueing discipline netem (linux/pkt_sched.h)."""

from __future__ import annotations

import errno
from base64 import b64decode, b64encode
from struct import pack, unpack_from
from typing import TYPE_CHECKING

from ..engine.netlink.messages import attribute, attributes, message
from ..engine.netlink.transport import Dump
from ..uapi.netlink import NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE
from ..uapi.pkt_sched import RTM_GETQDISC
from ..uapi.rtnetlink import RTM_DELQDISC, RTM_NEWQDISC
from .errors import LabError
from .requests import Refused, Requests
from .topology import Impairment, amount

if TYPE_CHECKING:
    from .lab import Host

_ROOT = 0xFFFF_FFFF
"""linux/pkt_sched.h: TC_H_ROOT"""
_TCMSG = 20
"""Bytes of struct tcmsg."""
_TCA_KIND, _TCA_OPTIONS = 1, 2
_TCA_NETEM_RATE, _TCA_NETEM_RATE64, _TCA_NETEM_LATENCY64 = 6, 8, 10
_LIMIT = 10_000
"""Packets that may wait: netem drops what is more."""


def impair(host: Host, interface: str, impairment: Impairment) -> None:
    """Has that interface delay, lose, slow down what it sends. Raises LabError, also where the kernel has no netem."""
    what = f"netem on {interface}"
    requests = Requests(host.namespace.route)
    body = pack("=BxxxiIII", 0, host.interfaces[interface], 0, _ROOT, 0)
    payload = body + attribute(_TCA_KIND, b"netem\0") + attribute(_TCA_OPTIONS, options(impairment))
    requests.add_raw(RTM_NEWQDISC, payload, NLM_F_CREATE | NLM_F_REPLACE, what)
    try:
        requests.send()
    except Refused as error:
        if error.number in (errno.ENOENT, errno.EOPNOTSUPP):
            raise LabError(
                f"host {host.name}: {interface} cannot delay, lose or slow down packets: this kernel has no netem "
                "(CONFIG_NET_SCH_NETEM, module sch_netem)"
            ) from None
        raise LabError(f"host {host.name}: {error}") from None


def impairments(host: Host, interfaces: list[str]) -> dict[str, str]:
    """By interface, base64: the attributes of its netem, none where it has no netem."""
    names = {host.interfaces[name]: name for name in interfaces}
    found = dict.fromkeys(interfaces, "")
    request = message(RTM_GETQDISC, NLM_F_DUMP, bytes(_TCMSG), 1)
    for run in Dump(host.namespace.route.dup(), request, f"listing queueing disciplines of {host.name}"):
        for start in range(0, len(run.data), run.length):
            index, _, parent = unpack_from("=iII", run.data, start + 20)
            at = attributes(run.data, start + 16 + _TCMSG, start + run.length)
            if index in names and parent == _ROOT and _TCA_KIND in at and _TCA_OPTIONS in at:
                kind, given = (run.data[begin : begin + length] for begin, length in (at[_TCA_KIND], at[_TCA_OPTIONS]))
                if kind == b"netem\0":
                    found[names[index]] = b64encode(given).decode()
    return found


def impair_again(host: Host, before: dict[str, str]) -> None:
    """Puts these interfaces back to what ``impairments`` gave."""
    requests = Requests(host.namespace.route)
    for interface, text in before.items():
        body = pack("=BxxxiIII", 0, host.interfaces[interface], 0, _ROOT, 0)
        what = f"netem on {interface}"
        if text:
            payload = body + attribute(_TCA_KIND, b"netem\0") + attribute(_TCA_OPTIONS, b64decode(text))
            requests.add_raw(RTM_NEWQDISC, payload, NLM_F_CREATE | NLM_F_REPLACE, what)
        else:
            requests.add_raw(RTM_DELQDISC, body, 0, f"removing {what}")
    requests.send()


def options(impairment: Impairment) -> bytes:
    """struct tc_netem_qopt, followed by attributes for values that do not fit into it."""
    delay = amount("delay", impairment.delay or "0us") or 0
    loss = amount("loss", impairment.loss or "0%") or 0
    rate = amount("rate", impairment.rate) if impairment.rate is not None else None
    data = pack("=IIIIII", 0, _LIMIT, round(loss / 100 * 0xFFFF_FFFF), 0, 0, 0)
    data += attribute(_TCA_NETEM_LATENCY64, pack("=q", round(delay)))
    if rate is not None:
        bytes_a_second = round(rate / 8)
        data += attribute(_TCA_NETEM_RATE, pack("=IiIi", min(bytes_a_second, 0xFFFF_FFFF), 0, 0, 0))
        if bytes_a_second > 0xFFFF_FFFF:
            data += attribute(_TCA_NETEM_RATE64, pack("=Q", bytes_a_second))
    return data
