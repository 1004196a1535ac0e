"""The names of states in filters (ss(8), STATE-FILTER) and the bits that stand for them in a request.

A state's bit is ``1 << number`` (net/tcp_states.h: TCPF_*).
"""

from __future__ import annotations

from .decode_common import STATES, UNCONNECTED_STATES

_LAST = STATES.index("BOUND_INACTIVE")


def _bit(state: str) -> int:
    return 1 << STATES.index(state)


_SYN_RECV = _bit("SYN_RECV") | _bit("NEW_SYN_RECV")
"""The kernel keeps one and lists it as the other: to ask for one or to exclude one means both."""
_CLOSE = _bit("CLOSE") | _bit("BOUND_INACTIVE")
"""The kernel lists what is bound and not connected as closed."""
_UNCONNECTED = _bit("CLOSE") | _bit("LISTEN") | _bit("BOUND_INACTIVE")

ALL = (1 << 32) - 1
"""States that a later kernel may add are among them."""

_NAMES = {
    **{state.lower().replace("_", ""): _bit(state) for state in STATES[1 : _LAST + 1] if state != "NEW_SYN_RECV"},
    "synrecv": _SYN_RECV,
    "synrcv": _SYN_RECV,
    **dict.fromkeys(("close", "closed", "unconnected"), _CLOSE),
    "listening": _bit("LISTEN"),
    "all": ALL,
    "connected": ALL & ~_UNCONNECTED,
    "synchronized": ALL & ~_UNCONNECTED & ~_bit("SYN_SENT"),
    "bucket": _SYN_RECV | _bit("TIME_WAIT"),
    "big": ALL & ~_SYN_RECV & ~_bit("TIME_WAIT"),
}

STATE_NAMES = (
    *("established", "syn-sent", "syn-recv", "fin-wait-1", "fin-wait-2", "time-wait", "closed", "close-wait"),
    *("last-ack", "listening", "closing", "bound-inactive"),
    *("all", "connected", "synchronized", "bucket", "big"),
)
"""What messages offer: one spelling of each, ss's."""


def state_bits(name: str) -> int | None:
    """The bits of the states called ``name``; None if unknown.

    Names are ss's (``fin-wait-1``, ``connected``) or the kernel's (``FIN_WAIT1``): upper and lower case, hyphens and
    underscores make no difference.
    """
    return _NAMES.get(name.lower().replace("-", "").replace("_", ""))


_OWN_STATES: dict[str, tuple[tuple[str, int], ...]] = {
    # An association is set up with cookies and shut down in other steps than TCP (RFC 9260, section 4).
    "sctp": (
        ("COOKIE_WAIT", _bit("SYN_SENT")),
        ("COOKIE_ECHOED", _bit("SYN_SENT")),
        ("SHUTDOWN_PENDING", _bit("FIN_WAIT1")),
        ("SHUTDOWN_SENT", _bit("FIN_WAIT1")),
        ("SHUTDOWN_RECEIVED", _bit("CLOSE_WAIT")),
        ("SHUTDOWN_ACK_SENT", _bit("LAST_ACK")),
        ("CLOSED", _bit("CLOSE")),
    ),
    # What has no like among the usual states is selected where all that is connected is.
    "dccp": (("PARTOPEN", 1 << _LAST + 1), ("PASSIVE_CLOSEREQ", 1 << _LAST + 1)),
}
"""States of one protocol, and the bits that select them: of the usual state that is most like each."""


def names_of_states(bits: int, protocol: str = "") -> frozenset[str]:
    """The states whose bits are set, as records name them: CLOSE is UNCONNECTED in families without connections.

    With ``protocol``: and its own that go with them.
    """
    names: set[str] = set()
    for number in range(32):
        if bits >> number & 1:
            names.update((STATES[number], UNCONNECTED_STATES[number]))
    names.update(name for name, of in _OWN_STATES.get(protocol, ()) if bits & of)
    return frozenset(names)
