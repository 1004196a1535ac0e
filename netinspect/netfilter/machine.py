"""The machine that rules run on: registers of which not every bit need be known, and decisions that are open.

A rule is run again for each way in which an open decision can fall: ``Machine.choose`` returns the given answers, and
the driver in evaluate.py goes through all the ways.
"""

from __future__ import annotations

from ..engine.netlink.messages import malformed
from .packet import Bits, Packet, link_header, network_header, transport_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Annotated, Any, NamedTuple

    from .context import Context
    from .decode import Chain, Key, Rule
    from .ruleset import Ruleset

    Program = Callable[["Machine"], int]
    """What an expression does: it returns CONTINUE, BREAK or VERDICT."""
else:
    from ..startup import Annotated, NamedTuple

CONTINUE, BREAK, VERDICT = 0, 1, 2
MAY, UNKNOWN_WHY = "may", "unknown"

_REGISTERS = 96
"""Bytes of the registers, some more than there are (linux/netfilter/nf_tables.h: NFT_REG32_15)."""


class Doubt(NamedTuple):
    """Why a decision is open."""

    kind: Annotated[str, "may: it depends on chance or on other packets; unknown: it could not be evaluated"]
    reason: Annotated[str, "what it depends on"]
    field: Annotated[str | None, "what is not known, as it is: two looks at it see the same"] = None


class Verdict(NamedTuple):
    """A rule's verdict."""

    name: Annotated[str, "accept, drop, queue, stolen, repeat, jump, goto, return, continue; unknown"]
    chain: Annotated[str, "where jump and goto lead"] = ""
    detail: Annotated[str, "number of the queue, or how it is rejected"] = ""

    def __str__(self) -> str:
        return " ".join([part for part in (self.name, self.chain, self.detail) if part])


ACCEPT, DROP, STOLEN, RETURN = Verdict("accept"), Verdict("drop"), Verdict("stolen"), Verdict("return")
FELL_OFF = Verdict("continue")
_CODES = {0: DROP, 1: ACCEPT, 2: STOLEN, 4: Verdict("repeat"), -5: RETURN, -1: FELL_OFF}


def verdict_of(code: int, chain: str) -> Verdict:
    """The verdict of a code (linux/netfilter.h: NF_*; NFT_*) and the chain that it names."""
    if code in (-3, -4):
        return Verdict("jump" if code == -3 else "goto", chain)
    if code & 0xFF == 3 and code > 0:
        return Verdict("queue", "", f"{code >> 16 & 0xFFFF}")
    if code & 0xFF == 0:
        return DROP
    return _CODES.get(code) or Verdict("unknown", "", f"verdict {code}")


class Action(NamedTuple):
    """Something that a rule did, or asked for, beside its verdict."""

    kind: Annotated[
        str,
        "snat, dnat, masquerade, redirect, netmap, notrack, zone, mark, ct mark, ct label, helper, timeout, clamp, "
        "reject, queue, dup, fwd, tproxy, synproxy, log, set, offload, header, priority, expectation, type, trace",
    ]
    rule: Annotated[Rule, "the rule"]
    text: Annotated[str, "what it did in a few words"] = ""
    addresses: Annotated[tuple[str, str] | None, "first and last address to translate to, or to send to"] = None
    ports: Annotated[tuple[int, int] | None, "first and last port to translate to, or to send to"] = None
    flags: Annotated[
        int,
        "of a translation NF_NAT_RANGE_* (linux/netfilter/nf_nat.h); of a zone 1 or 2 where it counts in the "
        "original direction or the reply's alone",
    ] = 0
    number: Annotated[int | None, "mark, zone, segment size, queue"] = None
    doubt: Annotated[Doubt | None, "why addresses, ports or number are not known, where they are not"] = None


class Step(NamedTuple):
    """A rule that applied to the packet, or the end of a chain."""

    chain: Annotated[Chain, "the chain"]
    rule: Annotated[Rule | None, "the rule; None at the end of a chain"]
    kind: Annotated[str, "rule; return: the chain's end; policy: the base chain's end"]
    verdict: Annotated[Verdict, "its verdict"]
    doubt: Annotated[Doubt | None, "why it is not certain that it applies; None where it is"] = None

    @property
    def handle(self) -> int | None:
        """The rule's number in its table."""
        return self.rule.handle if self.rule is not None else None

    def __str__(self) -> str:
        where = f"{self.chain} handle {self.handle}" if self.rule is not None else f"{self.chain} {self.kind}"
        return f"{where}: {self.verdict}"


Stored = tuple[tuple["Key", bytes, "bytes | None"], ...]
"""Elements that rules added to sets, with what they map to; None: it was deleted."""
Steps = tuple["Steps | None", Step]
"""Steps so far: what was before, and the last one."""


class State:
    """A packet on its way through the chains, and what was done to it."""

    __slots__ = ("actions", "assumed", "doubts", "packet", "steps", "stored")

    def __init__(self, packet: Packet) -> None:
        self.packet = packet
        self.actions: tuple[Action, ...] = ()
        self.stored: Stored = ()
        self.assumed: dict[object, int] = {}
        """How decisions that come again have fallen."""
        self.doubts: tuple[tuple[Doubt, int, object], ...] = ()
        """Open decisions so far: why each is open, how it fell, and which it was."""
        self.steps: Steps | None = None

    def copy(self) -> State:
        made = State(self.packet)
        made.actions, made.stored, made.doubts = self.actions, self.stored, self.doubts
        made.assumed, made.steps = self.assumed, self.steps
        return made


class Machine:
    """Registers, packet and open decisions of one run through a hook."""

    def __init__(self, ruleset: Ruleset, context: Context, family: str, hook: str) -> None:
        self.ruleset = ruleset
        self.context = context
        self.family = family
        """ip, ip6, arp, bridge or netdev."""
        self.hook = hook
        self.chain: Chain
        self.rule: Rule
        self.state: State = State(Packet())
        self.data = bytearray(_REGISTERS)
        self.doubted: dict[int, tuple[bytes, Doubt]] = {}
        """Words of the registers that are not fully known: which bits are, and why the others are not."""
        self.verdict = FELL_OFF
        self.taken: tuple[int, ...] = ()
        """How the decisions of this run are to fall."""
        self.made: list[tuple[int, int, Doubt]] = []
        """The decisions of this run: how each fell, in how many ways it can fall, and why it is open."""
        self._headers: dict[int, Bits | None] = {}

    def begin(self, state: State) -> None:
        """Takes up a packet."""
        self.state = state
        self._headers = {}

    def state_is_not(self, state: State) -> bool:
        """Whether another packet has been taken up since."""
        return self.state is not state

    def change(self, **fields: Any) -> None:
        """Changes the packet."""
        self.state.packet = self.state.packet._replace(**fields)
        self._headers = {}

    def put(self, packet: Packet) -> None:
        """Puts another packet in its place."""
        self.state.packet = packet
        self._headers = {}

    def act(self, kind: str, text: str = "", **values: Any) -> None:
        """Notes what the rule did."""
        self.state.actions += (Action(kind, self.rule, text)._replace(**values),)

    def choose(self, ways: int, doubt: Doubt, key: object = None) -> int:
        """How an open decision falls: 0 up to ``ways``. One with the same ``key`` falls the same way every time."""
        if key is not None and key in self.state.assumed:
            return self.state.assumed[key]
        at = len(self.made)
        fell = self.taken[at] if at < len(self.taken) else 0
        self.made.append((fell, ways, doubt))
        if key is not None:
            self.state.assumed = {**self.state.assumed, key: fell}
        return fell

    def maybe(self, doubt: Doubt, key: object = None) -> int:
        """CONTINUE or BREAK, where it is not certain that a condition holds."""
        return CONTINUE if self.choose(2, doubt, key) == 0 else BREAK

    def header(self, base: int) -> Bits | None:
        """A header of the packet (NFT_PAYLOAD_*)."""
        if base not in self._headers:
            packet = self.state.packet
            if base == 0:
                self._headers[base] = link_header(packet)
            elif base == 1:
                self._headers[base] = network_header(packet)
            else:
                self._headers[base] = transport_header(packet)
        return self._headers[base]

    def store(self, at: int, value: bytes) -> None:
        """Puts bytes into registers, and zeros after them up to a whole word."""
        length = len(value)
        end = at + length + 3 & ~3
        if at < 0 or end > _REGISTERS:
            raise _outside(at, length)
        self.data[at:end] = value + bytes(end - at - length)
        if self.doubted:
            for word in range(at >> 2, end >> 2):
                self.doubted.pop(word, None)

    def store_bits(self, at: int, value: bytes, known: bytes, doubt: Doubt) -> None:
        """Puts bytes into registers of which only some bits are known."""
        self.store(at, value)
        padding = -len(value) % 4
        known += b"\xff" * padding
        for place in range(0, len(known), 4):
            word = known[place : place + 4]
            if word != b"\xff\xff\xff\xff":
                self.doubted[(at + place) >> 2] = word, doubt

    def store_unknown(self, at: int, length: int, doubt: Doubt) -> None:
        """Puts something into registers that is not known."""
        self.store_bits(at, bytes(length), bytes(length), doubt)

    def load(self, at: int, length: int) -> tuple[bytes, bytes | None, Doubt | None]:
        """Bytes of the registers, which of their bits are known (None: all), and why the others are not."""
        value = bytes(self.data[at : at + length])
        if at < 0 or len(value) != length:
            raise _outside(at, length)
        if not self.doubted:
            return value, None, None
        known = bytearray()
        doubt = None
        for word in range(at >> 2, (at + length + 3) >> 2):
            mask, why = self.doubted.get(word, (b"\xff\xff\xff\xff", None))
            known += mask
            doubt = doubt or why
        if doubt is None:
            return value, None, None
        mask = bytes(known[:length])
        if mask == b"\xff" * length:
            return value, None, None
        return value, mask, doubt


def _outside(at: int, length: int) -> Exception:
    return malformed(f"{length} bytes in registers from byte {at} on, of {_REGISTERS}", "reading nftables")


def register(number: int | None) -> int:
    """Where a register begins among the registers' bytes (linux/netfilter/nf_tables.h: enum nft_registers).

    Those of 16 bytes, 1 to 4, lie over those of 4 bytes, 8 to 23. 0, the verdict's, is -1.
    """
    if not number:
        return -1
    return 16 * (number - 1) if number < 8 else 4 * (number - 8)
