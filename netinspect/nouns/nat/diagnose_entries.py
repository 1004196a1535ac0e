"""Stale entries and conflicting ports: faults that only the state of the table shows."""

from __future__ import annotations

from ...errors import UsageError
from ..path.walk_packet import endpoint
from ..path.walk_path import incoming
from ..path.walk_steps import pasted
from .diagnose_findings import ERROR, finding, flow_text, passed_here
from .diagnose_paths import left_over, packet_of, walk_flow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding, Flow
    from ..path.walk_path import Path
    from .diagnose_situation import Situation

_ZONES = {"original": "--orig-zone", "reply": "--reply-zone"}
"""conntrack(8): what else has the same ends in other zones stays."""


def entries(situation: Situation) -> Iterator[Finding]:
    """Flows whose translation is another than rules would choose today: they keep it as long as they send."""
    reported = set()
    for flow in situation.traffic.lasting:
        if not flow.source_address or not flow.destination_address:
            continue
        packet = packet_of(flow)
        try:
            source, iif = incoming(situation.home, packet.source, packet.destination, None, None)
        except UsageError:
            continue
        if iif is None:
            continue
        paths = walk_flow(situation, packet.but(source=source), iif, home_only=True)
        wanted = [made for path in paths if (made := _translated(situation, path, flow)) is not None]
        if not wanted or any(path.there.unknown for path in paths):
            continue
        has = (flow.reply_destination_address, flow.reply_source_address, flow.reply_source_port)
        for finding_of in (_target, _source):
            found = finding_of(situation, flow, has, wanted, paths)
            if found is not None and (found.check, found.subject) not in reported:
                reported.add((found.check, found.subject))
                yield found


def _translated(situation: Situation, path: Path, flow: Flow) -> tuple[str, str, int] | None:
    """Source, destination and port that the flow would get today; None where it would not pass.

    What is refused today counts where the entry takes the flow to a backend all the same.
    """
    passed = passed_here(situation, path)
    if passed is None or passed.tracked is None or passed.tracked.state == "untracked":
        return None
    if (
        path.there.failure is not None
        and passed.oif is None
        and path.there.failure.stage not in ("socket", "neighbour")
        and not left_over(situation, path, flow)
    ):
        return None
    made = passed.tracked.translated
    return made.source, made.destination, made.destination_port


def _target(
    situation: Situation, flow: Flow, has: tuple[object, ...], wanted: list[tuple[str, str, int]], paths: list[Path]
) -> Finding | None:
    """Whom the destination is translated to: a backend that has gone, or a rule that came later."""
    targets = {(address, port) for _, address, port in wanted}
    if (has[1], has[2]) in targets:
        return None
    goes = endpoint(str(has[1]), int(str(has[2] or 0)))
    now = ", ".join(sorted(endpoint(address, port) for address, port in targets))
    return finding(
        situation,
        "stale",
        ERROR,
        f"a flow that goes to {goes}",
        [f"conntrack: {flow_text(flow)}", f"rules: a new flow like it goes to {now}"],
        "its entry was made before the rule that translates its destination now, or for a backend that has gone: it "
        f"goes to {goes} as long as its packets come, and rules are not asked again. "
        + (
            "Each new try of the client from this port keeps it"
            if flow.state
            else "Long-lived UDP flows (DNS, SIP, VPN) do not recover by themselves"
        ),
        delete_fix(situation, flow),
    )


def _source(
    situation: Situation, flow: Flow, has: tuple[object, ...], wanted: list[tuple[str, str, int]], paths: list[Path]
) -> Finding | None:
    """What its source is translated to: an address of another uplink, or none since the rule came later."""
    sources = {address for address, _, _ in wanted}
    if has[0] in sources or not flow.source_address:
        return None
    now = ", ".join(sorted(sources))
    if has[0] == flow.source_address:
        return finding(
            situation,
            "untranslated",
            ERROR,
            f"a flow from {flow.source_address}",
            [f"conntrack: {flow_text(flow)}", f"rules: a new flow like it gets the source {now}"],
            "it is not translated: it began before the rule was there, and rules are asked only once for each flow. As "
            "long as it sends it stays so",
            delete_fix(situation, flow),
        )
    oif = next(
        (passed.oif for path in paths for passed in path.there.passed if passed.stack is situation.home and passed.oif),
        None,
    )
    owner = situation.home.owner(str(has[0]))
    if oif is None or owner is oif or (owner is None and has[0] in situation.local):
        return None
    if owner is None:
        return None  # another check reports addresses that are gone
    return finding(
        situation,
        "stale",
        ERROR,
        f"a flow translated to {has[0]}",
        [
            f"conntrack: {flow_text(flow)}",
            f"address: {has[0]} is on {owner}; its packets leave by {oif}",
            f"rules: a new flow like it gets the source {now}",
        ],
        f"its entry is from when packets left by {owner}: it keeps the source {has[0]}, and leaves by {oif}, where "
        "answers "
        "to that address do not come",
        delete_fix(situation, flow),
    )


def delete_fix(situation: Situation, flow: Flow) -> str:
    """The command that restarts one flow."""
    words = [
        "conntrack",
        "-D",
        "-p",
        flow.protocol,
        "-s",
        str(flow.source_address),
        "-d",
        str(flow.destination_address),
    ]
    if flow.source_port is not None and flow.protocol in ("tcp", "udp", "sctp", "dccp"):
        words += ["--sport", str(flow.source_port), "--dport", str(flow.destination_port)]
    if flow.family == "inet6":
        words[2:2] = ["-f", "ipv6"]
    if flow.zone is not None or situation.traffic.zoned:
        words += [_ZONES.get(flow.zone_direction or "", "--zone"), str(flow.zone or 0)]
    return pasted(words)


def local_ports(situation: Situation) -> Iterator[Finding]:
    """Ranges of ports that rules translate to, and in which programs of this machine listen."""
    from ..sockets.listing import LISTENING_STATES, Query, SocketListing

    ranges = [
        rule
        for rule in situation.rules
        if rule.kind in ("snat", "masquerade") and rule.ports is not None and "postrouting" in rule.hooks
    ]
    if not ranges:
        return
    listening = [
        found
        for batch in SocketListing(Query(("tcp", "udp"), states=LISTENING_STATES), [situation.again()]).batches()
        for found in batch
        if not (found.local_address or "").startswith(("127.", "::1"))
    ]
    for rule in ranges:
        assert rule.ports is not None
        first, last = rule.ports
        protocols = rule.protocols()
        if first == 1024 and last >= 60999:
            continue  # the ports that are anybody's
        own = sorted(
            {
                (found.protocol, found.local_port)
                for found in listening
                if first <= (found.local_port or 0) <= last and (protocols is None or found.protocol in protocols)
            }
        )
        for protocol, port in own[:3]:
            yield finding(
                situation,
                "local-port",
                ERROR,
                f"{protocol} port {port}",
                [
                    f"nftables: {rule}, ports {first}-{last}",
                    f"sock_diag: a program of this machine listens on {protocol} port {port}",
                ],
                f"the rule translates flows of others to port {port}, on which a program of this machine listens: "
                "packets "
                "for it are taken for answers to such a flow, and the other way round",
                "",
                f"choose ports that this machine does not listen on: leave {port} out of the range",
            )
