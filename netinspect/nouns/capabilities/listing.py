"""What this kernel, its configuration and this user's privileges support: each thing asked for, no version compared.

Every probe is a question of the kind that the view itself asks, of which no more than the first part of the answer is
read. They change nothing, with one exception that every such tool has (ss, ip, conntrack): where what is asked for is
in a kernel module, the kernel loads it. For what can only be seen on a socket there is for a moment a TCP listener of
our own on 127.0.0.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...engine.netlink.transport import connect
from . import listing_netfilter as netfilter
from . import listing_routing as routing
from . import listing_sockets as sockets
from . import listing_system as system
from . import listing_tracing as tracing
from .listing_prober import Prober

if TYPE_CHECKING:
    from ...engine.netlink.transport import Connect
    from ...records import Capability


def capabilities(connect: Connect = connect) -> list[Capability]:
    """Probes everything, in the calling thread's network namespace, in the order of the views.

    ``connect`` opens the netlink sockets. Raises nothing: what cannot be found out is reported as unknown.
    """
    prober = Prober(connect)
    return [
        *sockets.probe(prober),
        *system.probe_sockets(),
        *routing.probe(prober),
        *netfilter.probe(prober),
        *tracing.probe(prober),
        *routing.probe_statistics(prober),
        *system.probe(),
        tracing.containers(),
    ]
