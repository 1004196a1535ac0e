"""What a ruleset does with a packet at one hook: the rules that apply, the verdict, and what becomes of the packet.

Nothing is sent and nothing is changed. Where a rule depends on what is not known, or on chance, both ways are followed:
a walk then has several outcomes, each with the reasons. What cannot be evaluated is named, and never passed over.
"""

from __future__ import annotations

from struct import Struct

from ..engine.netlink.messages import malformed
from .context import Context
from .expressions_tracking import STATES
from .machine import (
    ACCEPT,
    CONTINUE,
    FELL_OFF,
    MAY,
    RETURN,
    UNKNOWN_WHY,
    VERDICT,
    Action,
    Doubt,
    Machine,
    State,
    Step,
    Verdict,
)
from .packet import Packet, Unknown
from .programs import compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Annotated, NamedTuple

    from .decode import Chain, Rule
    from .machine import Steps, Stored
    from .ruleset import Ruleset
else:
    from ..startup import Annotated, NamedTuple

_STATES = 64
"""How many ways the packet is followed at once; and in how many ways a rule is run."""
_DEPTH = 16
"""linux: NFT_JUMP_STACK_SIZE. The kernel takes no rules that jump deeper."""
TRANSLATIONS = frozenset(("snat", "dnat", "masquerade", "redirect", "netmap"))
IPS_SRC_NAT_DONE, IPS_DST_NAT_DONE = 1 << 7, 1 << 8
"""linux/netfilter/nf_conntrack_common.h"""
_HEADER = Struct("=H")


class Outcome(NamedTuple):
    """One way in which it may go."""

    verdict: Annotated[Verdict, "accept, drop, queue or stolen: verdict of the whole hook; unknown: undecided"]
    packet: Annotated[Packet, "the packet afterwards"]
    actions: Annotated[tuple[Action, ...], "what rules did or asked for beside, in order"]
    steps: Annotated[tuple[Step, ...], "rules that applied and ends of chains, in order"]
    doubts: Annotated[tuple[Doubt, ...], "why it is not certain that it goes this way; empty where it is"]
    stored: Annotated[Stored, "elements that rules put into sets, or took out, for the walk through the next hook"] = ()

    @property
    def certainty(self) -> str:
        """yes, may or unknown."""
        if not self.doubts:
            return "yes"
        return UNKNOWN_WHY if any(doubt.kind == UNKNOWN_WHY for doubt in self.doubts) else MAY

    @property
    def translation(self) -> Action | None:
        """The translation that a rule asked for."""
        return next((action for action in self.actions if action.kind in TRANSLATIONS), None)

    @property
    def drop(self) -> Step | None:
        """The rule or policy that dropped it last; None where none did."""
        return next((step for step in reversed(self.steps) if step.verdict.name == "drop"), None)

    def action(self, kind: str) -> Action | None:
        """The last action of a kind."""
        return next((action for action in reversed(self.actions) if action.kind == kind), None)


class Walk(NamedTuple):
    """How a packet passes a hook."""

    outcomes: Annotated[tuple[Outcome, ...], "every way in which it may go: conditions that hold come first"]
    chains: Annotated[tuple[Chain, ...], "the base chains that were asked, in order"]

    @property
    def outcome(self) -> Outcome:
        """The first outcome: the only one where everything is certain."""
        return self.outcomes[0]

    @property
    def certain(self) -> bool:
        """Whether there is only one way, and all of it is known."""
        return len(self.outcomes) == 1 and not self.outcomes[0].doubts


def run_hook(
    ruleset: Ruleset,
    family: str,
    hook: str,
    packet: Packet,
    context: Context | None = None,
    *,
    device: str | None = None,
    chains: Sequence[Chain] | None = None,
    stored: Stored = (),
) -> Walk:
    """Walks a packet through the base chains of a hook.

    ``family`` is ip, ip6, arp, bridge or netdev; chains of inet belong to ip and ip6, at ingress to netdev, which takes
    a ``device``. ``chains`` are some of ``ruleset.base_chains(…)``, for a caller who does something in between, as
    connection tracking does at priority -200: ``place_of(chain)`` is where one is called. ``stored`` is that of the
    outcome at the hook before: what rules added to sets there is in them.

    The packet's ``tracking`` is None before connection tracking has looked at it. Chains of type nat are passed only
    by packets of a flow that is new and not translated in this direction yet; of several, the first that translates is
    the last that is asked. Raises NetlinkError where elements of a set cannot be read.
    """
    if chains is None:
        chains = ruleset.base_chains(family, hook, device)
    machine = Machine(ruleset, context or Context(), family, hook)
    states = [State(packet)]
    states[0].stored = stored
    ended: list[tuple[State, Verdict]] = []
    for chain in chains:
        following: list[tuple[State, Verdict]] = []
        for state in states:
            passes = _passes(chain, hook, family, state)
            if passes is None:
                following.append((state, ACCEPT))
            elif isinstance(passes, Doubt):
                skipped = state.copy()
                skipped.doubts += ((passes, 1, chain.key),)
                state.doubts += ((passes, 0, chain.key),)
                following += _base(machine, chain, state)
                following.append((skipped, ACCEPT))
            else:
                following += _base(machine, chain, state)
        following = _merged(following)
        states = [state for state, verdict in following if verdict.name == "accept"]
        ended += [found for found in following if found[1].name != "accept"]
    results = _merged([(state, ACCEPT) for state in states] + ended)
    return Walk(tuple([_outcome(state, verdict) for state, verdict in results]), tuple(chains))


def _outcome(state: State, verdict: Verdict) -> Outcome:
    doubts = tuple(dict.fromkeys([doubt for doubt, _, _ in state.doubts]))
    return Outcome(verdict, state.packet, state.actions, tuple(_listed(state.steps)), doubts, state.stored)


def _listed(steps: Steps | None) -> list[Step]:
    found = []
    while steps is not None:
        steps, step = steps
        found.append(step)
    found.reverse()
    return found


def _passes(chain: Chain, hook: str, family: str, state: State) -> Doubt | bool | None:
    """Whether a packet is shown to a base chain: None where it is not, a Doubt where it is not known."""
    packet = state.packet
    if chain.family == "inet" and family == "netdev" and packet.family is None:
        return Doubt(UNKNOWN_WHY, "the frame's type") if isinstance(packet.ethertype, Unknown) else None
    if chain.kind != "nat":
        return True
    if any(action.kind in TRANSLATIONS for action in state.actions):
        return None
    tracking = packet.tracking
    if isinstance(tracking, Unknown):
        return Doubt(UNKNOWN_WHY, "whether it is the first packet of its flow")
    if tracking is None:
        return None
    done = IPS_DST_NAT_DONE if hook in ("prerouting", "output") else IPS_SRC_NAT_DONE
    if isinstance(tracking.status, int) and tracking.status & done:
        return None
    if isinstance(tracking.state, Unknown):
        return Doubt(UNKNOWN_WHY, "whether it is the first packet of its flow")
    if tracking.state not in STATES or tracking.state in ("invalid", "untracked", "established"):
        return None
    if tracking.state == "related" and packet.protocol in (1, 58):
        return None  # an error about a flow is translated as the flow is
    return True


def _base(machine: Machine, chain: Chain, state: State) -> list[tuple[State, Verdict]]:
    """A base chain: where no rule has the last word, its policy has."""
    results = []
    for found, verdict in _chain(machine, chain, state, 0):
        if verdict.name in ("continue", "return"):
            verdict = ACCEPT if chain.policy != "drop" else Verdict("drop")
            found.steps = (found.steps, Step(chain, None, "policy", verdict))
        results.append((found, verdict))
    return results


def _chain(machine: Machine, chain: Chain, state: State, depth: int) -> list[tuple[State, Verdict]]:
    """The ends of the ways through a chain: ``continue`` at its end, ``return``, or the last word on the packet."""
    ended: list[tuple[State, Verdict]] = []
    if depth > _DEPTH:
        state.doubts += ((Doubt(UNKNOWN_WHY, "rules jump deeper than the kernel allows"), 0, None),)
        return [(state, Verdict("unknown"))]
    states = [state]
    for rule in machine.ruleset.rules.get(chain.key, ()):
        if len(states) == 1:
            single = states[0]
            verdict = _run(machine, chain, rule, single)
            if verdict is FELL_OFF:
                continue
            found = [(single, verdict)] if verdict is not None else _ways(machine, chain, rule, single)
        else:
            found = []
            for single in states:
                verdict = _run(machine, chain, rule, single)
                found += [(single, verdict)] if verdict is not None else _ways(machine, chain, rule, single)
        states = []
        for single, verdict in found:
            if verdict.name == "continue":
                states.append(single)
            elif verdict.name in ("jump", "goto"):
                inner = machine.ruleset.chains.get((chain.family, chain.table, verdict.chain))
                if inner is None:
                    single.doubts += ((Doubt(UNKNOWN_WHY, f"the chain {verdict.chain} is not there"), 0, None),)
                    ended.append((single, Verdict("unknown")))
                    continue
                results = _chain(machine, inner, single, depth + 1)
                machine.rule, machine.chain = rule, chain
                for back, how in results:
                    if how.name not in ("continue", "return"):
                        ended.append((back, how))
                    elif verdict.name == "jump":
                        states.append(back)
                    else:
                        ended.append((back, RETURN))
            else:
                ended.append((single, verdict))
        if len(states) > 1:
            states = [single for single, _ in _merged([(single, FELL_OFF) for single in states])]
        if not states:
            return _merged(ended)
    for single in states:
        single.steps = (single.steps, Step(chain, None, "return", FELL_OFF))
        ended.append((single, FELL_OFF))
    return _merged(ended)


def _run(machine: Machine, chain: Chain, rule: Rule, state: State) -> Verdict | None:
    """Runs a rule on a packet: its verdict, ``continue`` also where it does not apply; None where that is open.

    Where it is open the packet is as before.
    """
    if machine.state_is_not(state):
        machine.begin(state)
    before = state.packet, state.actions, state.stored, state.assumed
    machine.chain, machine.rule = chain, rule
    machine.taken = ()
    machine.made = []
    result = _execute(machine, rule)
    if machine.made:
        state.packet, state.actions, state.stored, state.assumed = before
        machine.begin(state)
        return None
    if result == VERDICT:
        state.steps = (state.steps, Step(chain, rule, "rule", machine.verdict))
        return machine.verdict
    if result == CONTINUE:
        state.steps = (state.steps, Step(chain, rule, "rule", FELL_OFF))
    return FELL_OFF


def _execute(machine: Machine, rule: Rule) -> int:
    """Runs the expressions of a rule until one says that it does not apply, or has a verdict."""
    programs = machine.ruleset.programs
    data = rule.data
    at, end = rule.place()
    size = _HEADER.unpack_from
    result = CONTINUE
    while at < end:
        length = size(data, at)[0]
        if length < 4:
            raise malformed(f"an expression of {length} bytes", "reading nftables")
        raw = data[at + 4 : at + length]
        program = programs.get(raw)
        if program is None:
            program = programs[raw] = compiled(raw)
        result = program(machine)
        if result:
            return result
        at += length + 3 & ~3
    return result


def _ways(machine: Machine, chain: Chain, rule: Rule, state: State) -> list[tuple[State, Verdict]]:
    """Every way in which a rule with open decisions may go, the way in which all conditions hold first."""
    results: list[tuple[State, Verdict]] = []
    taken: tuple[int, ...] | None = ()
    while taken is not None:
        single = state.copy()
        machine.begin(single)
        machine.chain, machine.rule = chain, rule
        machine.taken, machine.made = taken, []
        result = _execute(machine, rule)
        made = machine.made
        single.doubts += tuple([(doubt, fell, (rule, at)) for at, (fell, _, doubt) in enumerate(made)])
        verdict = FELL_OFF
        if result != 1:
            verdict = machine.verdict if result == VERDICT else FELL_OFF
            single.steps = (single.steps, Step(chain, rule, "rule", verdict, made[0][2] if made else None))
        results.append((single, verdict))
        taken = _next(made)
        if taken is not None and len(results) >= _STATES:
            single = state.copy()
            single.doubts += ((Doubt(UNKNOWN_WHY, "it may go in too many ways to follow"), 0, None),)
            results.append((single, Verdict("unknown")))
            break
    machine.taken = ()
    return _merged(results)


def _next(made: Sequence[tuple[int, int, Doubt]]) -> tuple[int, ...] | None:
    """How the decisions fall in the next way; None after the last one."""
    falls = list(made)
    while falls:
        fell, ways, _ = falls.pop()
        if fell + 1 < ways:
            return (*(found for found, _, _ in falls), fell + 1)
    return None


def _merged(results: list[tuple[State, Verdict]]) -> list[tuple[State, Verdict]]:
    """The same without those that come to the same: where it does not matter how something fell, it is no doubt."""
    if len(results) < 2:
        return results
    found: dict[object, tuple[State, Verdict]] = {}
    for state, verdict in results:
        key = (state.packet, state.actions, state.stored, verdict)
        if key in found:
            _join(found[key][0], state)
        else:
            found[key] = state, verdict
    kept = list(found.values())
    if len(kept) > _STATES:
        kept[_STATES][0].doubts += ((Doubt(UNKNOWN_WHY, "it may go in too many ways to follow"), 0, None),)
        kept = [*kept[:_STATES], (kept[_STATES][0], Verdict("unknown"))]
    return kept


def _join(first: State, second: State) -> None:
    """Makes one of two ways that come to the same."""
    shared = [decision for decision in first.doubts if decision in second.doubts]
    why = next((decision[0] for decision in (*first.doubts, *second.doubts) if decision not in shared), None)
    first.doubts = tuple(shared)
    first.assumed = {key: fell for key, fell in first.assumed.items() if second.assumed.get(key) == fell}
    one, other = _listed(first.steps), _listed(second.steps)
    if one == other:
        return
    at = 0
    while at < min(len(one), len(other)) and one[at] == other[at]:
        at += 1
    end = 0
    while end < min(len(one), len(other)) - at and one[-1 - end] == other[-1 - end]:
        end += 1
    middle = one[at : len(one) - end] + [step for step in other[at : len(other) - end] if step not in one[at:]]
    if why is None:
        # Both have been made of several ways before, whose reasons stand beside their steps.
        why = next((step.doubt for step in middle if step.doubt is not None), Doubt(UNKNOWN_WHY, "which way it goes"))
    steps: Steps | None = None
    for step in one[:at] + [step._replace(doubt=step.doubt or why) for step in middle] + one[len(one) - end :]:
        steps = steps, step
    first.steps = steps
