"""Links that delay, lose or slow down what is sent into them: the queueing discipline netem (linux/pkt_sched.h)."""

from __future__ import annotations

import errno
from struct import pack
from typing import TYPE_CHECKING

from ..engine.netlink.messages import attribute
from ..uapi.netlink import NLM_F_CREATE, NLM_F_REPLACE
from ..uapi.rtnetlink import RTM_NEWQDISC
from .errors import LabError
from .requests import Refused, Requests
from .topology import Impairment, amount

if TYPE_CHECKING:
    from .lab import Host

_ROOT = 0xFFFF_FFFF
"""linux/pkt_sched.h: TC_H_ROOT"""
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
