"""Probes of what follows packets: the firewall's trace, dropped packets, container names and the live view."""

from __future__ import annotations

import os
from importlib.util import find_spec
from mmap import PAGESIZE
from typing import TYPE_CHECKING

from ...engine.bpf import kernel
from ...engine.bpf.assembler import Assembler
from ...engine.bpf.btf import TYPES_LIMIT, VMLINUX
from ...engine.containers import engines, sources
from ...engine.files import read
from ...errors import FileError
from ...uapi.netlink import NETLINK_NETFILTER
from ...uapi.nf_tables import NFNLGRP_NFTRACE
from ..drops.request import TRACEPOINT
from .listing_prober import NO, PARTIAL, YES, Feature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Capability
    from .listing_prober import Prober

_TRACE = Feature(
    "path", "trace of the rules", "path --probe, path --watch: only the prediction is shown", "nf_tables", "NF_TABLES"
)
_DROPS = Feature("drops", "dropped packets", "each dropped packet with its reason: `drops account` shows counters")
_CONTAINERS = Feature("names", "containers", "names of containers: ids are shown")
_VIEW = Feature("top", "interactive view", "tabs, keys and history: `top` repeats a table instead")

_REASONS = b"SKB_DROP_REASON_NOT_SPECIFIED"


def probe(prober: Prober) -> Iterator[Capability]:
    """What follows packets."""
    yield prober.result(_TRACE, prober.join(NETLINK_NETFILTER, NFNLGRP_NFTRACE), "nfnetlink group")
    yield _dropped()
    yield _view()


def _dropped() -> Capability:
    """The least program there is is loaded, attached, and taken away at once."""
    program = Assembler()
    program.set(0, 0)
    program.exit()
    opened: list[int] = []
    try:
        types = read(VMLINUX, TYPES_LIMIT)
        opened.append(kernel.ring_buffer(PAGESIZE))
        opened.append(kernel.load(program.program()))
        opened.append(kernel.attach(opened[-1], TRACEPOINT))
    except FileError as error:
        return _DROPS.has(NO, str(error), _DROPS.lost, "a kernel with CONFIG_DEBUG_INFO_BTF")
    except kernel.BpfError as error:
        remedy = (
            "run as root, or with CAP_BPF and CAP_PERFMON" if error.forbidden else "a kernel with CONFIG_BPF_EVENTS"
        )
        return _DROPS.has(NO, str(error), _DROPS.lost, remedy)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    evidence = f"a BPF program was attached to {TRACEPOINT}"
    if _REASONS in types:
        return _DROPS.has(YES, evidence)
    return _DROPS.has(PARTIAL, f"{evidence}; this kernel gives no reasons", "reasons of drops", "Linux 5.17 or later")


def _view() -> Capability:
    if find_spec("textual"):
        return _VIEW.has(YES, "Textual is installed")
    return _VIEW.has(NO, "Textual is not installed", _VIEW.lost, "python -m pip install 'netinspect[top]'")


def containers() -> Capability:
    """Whether an engine gives names. Raises nothing."""
    found = [path for path in sources.sockets() if sources.may_listen(path)]
    if not found:
        evidence = "no socket of Docker or Podman"
        return _CONTAINERS.has(NO, evidence, "nothing: no container engine offers its names here")
    named, silent = engines.ask(found)
    parts = [f"{len(named)} running"] if len(silent) < len(found) else []
    evidence = "; ".join([*parts, *(f"{address}: {why}" for address, why in silent.items())])
    if not silent:
        return _CONTAINERS.has(YES, evidence)
    state = PARTIAL if len(silent) < len(found) else NO
    return _CONTAINERS.has(state, evidence, _CONTAINERS.lost, "start the engine; run as root or in its group")
