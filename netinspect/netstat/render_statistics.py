"""``netstat -s`` as net-tools 2.10 lays it out: its words, its order, and the counters that it has no words for.

net-tools has words for some counters, and shows those under the kernel's name where they are not 0 that it has no
words for; which these are, its release 2.10 decides: some of its words are never found, since its tables are not
in order, and scripts know the kernel's names instead. Where this differs from later releases, 2.10 is right.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Table = tuple[str, Sequence[tuple[str, int]]]

ALWAYS, NONZERO, INPUT, OUTPUT, HIDDEN = "always", "nonzero", "input", "output", "hidden"
"""When a counter is shown: always; where it is not 0; in the histogram of ICMP types in or out; never."""

_INDENTS = {ALWAYS: 4, NONZERO: 4, INPUT: 8, OUTPUT: 8}
_HISTOGRAMS = {INPUT: "ICMP input histogram:", OUTPUT: "ICMP output histogram:"}

_PROTOCOLS = {
    "Ip": "raw",
    "Icmp": "raw",
    "Tcp": "tcp",
    "Udp": "udp",
    "TcpExt": "tcp",
    "Sctp": "sctp",
    "Ip6": "raw",
    "Icmp6": "raw",
    "Udp6": "udp",
}
"""The option that each table goes with. Tables that net-tools does not know are shown whatever the options are."""

TABLES: dict[str, dict[str, tuple[str, str]]] = {
    "Ip": {
        "DefaultTTL": (HIDDEN, ""),
        "InReceives": (ALWAYS, "{} total packets received"),
        "InHdrErrors": (NONZERO, "{} with invalid headers"),
        "InAddrErrors": (NONZERO, "{} with invalid addresses"),
        "ForwDatagrams": (ALWAYS, "{} forwarded"),
        "InUnknownProtos": (NONZERO, "{} with unknown protocol"),
        "InDiscards": (ALWAYS, "{} incoming packets discarded"),
        "InDelivers": (ALWAYS, "{} incoming packets delivered"),
        "OutRequests": (ALWAYS, "{} requests sent out"),
        "OutDiscards": (NONZERO, "{} outgoing packets dropped"),
        "OutNoRoutes": (NONZERO, "{} dropped because of missing route"),
        "ReasmTimeout": (NONZERO, "{} fragments dropped after timeout"),
        "ReasmReqds": (NONZERO, "{} reassemblies required"),
        "ReasmOKs": (NONZERO, "{} packets reassembled ok"),
        "ReasmFails": (NONZERO, "{} packet reassemblies failed"),
        "FragOKs": (NONZERO, "{} outgoing packets fragmented ok"),
        "FragFails": (NONZERO, "{} outgoing packets failed fragmentation"),
        "FragCreates": (NONZERO, "{} fragments created"),
    },
    "Icmp": {
        "InMsgs": (ALWAYS, "{} ICMP messages received"),
        "InErrors": (ALWAYS, "{} input ICMP message failed"),
        "InDestUnreachs": (INPUT, "destination unreachable: {}"),
        "InTimeExcds": (INPUT, "timeout in transit: {}"),
        "InParmProbs": (INPUT, "wrong parameters: {}"),
        "InSrcQuenchs": (INPUT, "source quenches: {}"),
        "InRedirects": (INPUT, "redirects: {}"),
        "InEchos": (INPUT, "echo requests: {}"),
        "InEchoReps": (INPUT, "echo replies: {}"),
        "InTimestamps": (INPUT, "timestamp request: {}"),
        "InTimestampReps": (INPUT, "timestamp reply: {}"),
        "InAddrMasks": (INPUT, "address mask request: {}"),
        "InAddrMaskReps": (INPUT, "address mask replies: {}"),
        "OutMsgs": (ALWAYS, "{} ICMP messages sent"),
        "OutErrors": (ALWAYS, "{} ICMP messages failed"),
        "OutDestUnreachs": (OUTPUT, "destination unreachable: {}"),
        "OutTimeExcds": (OUTPUT, "time exceeded: {}"),
        "OutParmProbs": (OUTPUT, "wrong parameters: {}"),
        "OutSrcQuenchs": (OUTPUT, "source quench: {}"),
        "OutRedirects": (OUTPUT, "redirect: {}"),
        "OutEchos": (OUTPUT, "echo requests: {}"),
        "OutEchoReps": (OUTPUT, "echo replies: {}"),
        "OutTimestamps": (OUTPUT, "timestamp requests: {}"),
        "OutTimestampReps": (OUTPUT, "timestamp replies: {}"),
        "OutAddrMasks": (OUTPUT, "address mask requests: {}"),
        "OutAddrMaskReps": (OUTPUT, "address mask replies: {}"),
    },
    "Tcp": {
        "RtoAlgorithm": (HIDDEN, ""),
        "RtoMin": (HIDDEN, ""),
        "RtoMax": (HIDDEN, ""),
        "MaxConn": (HIDDEN, ""),
        "ActiveOpens": (ALWAYS, "{} active connection openings"),
        "PassiveOpens": (ALWAYS, "{} passive connection openings"),
        "AttemptFails": (ALWAYS, "{} failed connection attempts"),
        "EstabResets": (ALWAYS, "{} connection resets received"),
        "CurrEstab": (ALWAYS, "{} connections established"),
        "InSegs": (ALWAYS, "{} segments received"),
        "OutSegs": (ALWAYS, "{} segments sent out"),
        "RetransSegs": (ALWAYS, "{} segments retransmitted"),
        "InErrs": (ALWAYS, "{} bad segments received"),
        "OutRsts": (ALWAYS, "{} resets sent"),
    },
    "Udp": {
        "InDatagrams": (ALWAYS, "{} packets received"),
        "NoPorts": (ALWAYS, "{} packets to unknown port received"),
        "InErrors": (ALWAYS, "{} packet receive errors"),
        "OutDatagrams": (ALWAYS, "{} packets sent"),
        "RcvbufErrors": (ALWAYS, "{} receive buffer errors"),
        "SndbufErrors": (ALWAYS, "{} send buffer errors"),
    },
    "TcpExt": {
        "SyncookiesSent": (NONZERO, "{} SYN cookies sent"),
        "SyncookiesRecv": (NONZERO, "{} SYN cookies received"),
        "SyncookiesFailed": (NONZERO, "{} invalid SYN cookies received"),
        "EmbryonicRsts": (NONZERO, "{} resets received for embryonic SYN_RECV sockets"),
        "PruneCalled": (NONZERO, "{} packets pruned from receive queue because of socket buffer overrun"),
        "RcvPruned": (NONZERO, "{} packets pruned from receive queue"),
        "OfoPruned": (NONZERO, "{} packets dropped from out-of-order queue because of socket buffer overrun"),
        "OutOfWindowIcmps": (NONZERO, "{} ICMP packets dropped because they were out-of-window"),
        "LockDroppedIcmps": (NONZERO, "{} ICMP packets dropped because socket was locked"),
        "TW": (NONZERO, "{} TCP sockets finished time wait in fast timer"),
        "TWRecycled": (NONZERO, "{} time wait sockets recycled by time stamp"),
        "PAWSActive": (NONZERO, "{} active connections rejected because of time stamp"),
        "PAWSEstab": (NONZERO, "{} packets rejected in established connections because of timestamp"),
        "DelayedACKs": (NONZERO, "{} delayed acks sent"),
        "DelayedACKLocked": (NONZERO, "{} delayed acks further delayed because of locked socket"),
        "DelayedACKLost": (NONZERO, "Quick ack mode was activated {} times"),
        "ListenOverflows": (NONZERO, "{} times the listen queue of a socket overflowed"),
        "ListenDrops": (NONZERO, "{} SYNs to LISTEN sockets dropped"),
        "TCPHPHits": (ALWAYS, "{} packet headers predicted"),
        "TCPPureAcks": (NONZERO, "{} acknowledgments not containing data payload received"),
        "TCPHPAcks": (NONZERO, "{} predicted acknowledgments"),
        "TCPRenoRecovery": (NONZERO, "{} times recovered from packet loss due to fast retransmit"),
        "TCPSACKReorder": (NONZERO, "Detected reordering {} times using SACK"),
        "TCPRenoReorder": (NONZERO, "Detected reordering {} times using reno fast retransmit"),
        "TCPTSReorder": (NONZERO, "Detected reordering {} times using time stamp"),
        "TCPFullUndo": (NONZERO, "{} congestion windows fully recovered without slow start"),
        "TCPPartialUndo": (NONZERO, "{} congestion windows partially recovered using Hoe heuristic"),
        "TCPLossUndo": (NONZERO, "{} congestion windows recovered without slow start after partial ack"),
        "TCPRenoFailures": (NONZERO, "{} timeouts after reno fast retransmit"),
        "TCPLossFailures": (NONZERO, "{} timeouts in loss state"),
        "TCPFastRetrans": (NONZERO, "{} fast retransmits"),
        "TCPSlowStartRetrans": (NONZERO, "{} retransmits in slow start"),
        "TCPRcvCollapsed": (NONZERO, "{} packets collapsed in receive queue due to low socket buffer"),
        "TCPAbortOnData": (NONZERO, "{} connections reset due to unexpected data"),
        "TCPAbortOnClose": (NONZERO, "{} connections reset due to early user close"),
        "TCPAbortOnMemory": (NONZERO, "{} connections aborted due to memory pressure"),
        "TCPAbortOnTimeout": (NONZERO, "{} connections aborted due to timeout"),
        "TCPAbortOnLinger": (NONZERO, "{} connections aborted after user close in linger timeout"),
        "TCPAbortFailed": (NONZERO, "{} times unable to send RST due to no memory"),
        "TCPMemoryPressures": (NONZERO, "TCP ran low on memory {} times"),
        "PAWSPassive": (NONZERO, "{} passive connections rejected because of time stamp"),
        "SockMallocOOM": (NONZERO, "Ran {} times out of system memory during packet sending"),
        "TCPAbortOnSyn": (NONZERO, "{} connections reset due to unexpected SYN"),
        "TCPDirectCopyFromBacklog": (NONZERO, "{} bytes directly in process context from backlog"),
        "TCPFACKReorder": (NONZERO, "Detected reordering {} times using FACK"),
        "TCPForwardRetrans": (NONZERO, "{} forward retransmits"),
        "TCPHPHitsToUser": (NONZERO, "{} packet headers predicted and directly queued to user"),
        "TCPLostRetransmits": (NONZERO, "{} retransmits lost"),
        "TCPPrequeued": (NONZERO, "{} packets directly queued to recvmsg prequeue"),
        "TCPSchedulerFailed": (NONZERO, "{} times receiver scheduled too late for direct processing"),
    },
    "Sctp": {
        "SctpAborteds": (ALWAYS, "{} Number of Aborteds "),
        "SctpActiveEstabs": (ALWAYS, "{} Active Associations"),
        "SctpChecksumErrors": (ALWAYS, "{} Number of Packets with invalid Checksum"),
        "SctpCurrEstab": (ALWAYS, "{} Current Associations"),
        "SctpFragUsrMsgs": (ALWAYS, "{} Number of messages fragmented"),
        "SctpInCtrlChunks": (ALWAYS, "{} Number of control chunks received"),
        "SctpInOrderChunks": (ALWAYS, "{} Number of ordered chunks received"),
        "SctpInSCTPPacks": (ALWAYS, "{} Number of SCTP packets received"),
        "SctpInUnorderChunks": (ALWAYS, "{} Number of Unordered chunks received"),
        "SctpOutCtrlChunks": (ALWAYS, "{} Number of control chunks sent"),
        "SctpOutOfBlues": (ALWAYS, "{} Number of Out of Blue packets"),
        "SctpOutOrderChunks": (ALWAYS, "{} Number of ordered chunks sent"),
        "SctpOutSCTPPacks": (ALWAYS, "{} Number of SCTP packets sent"),
        "SctpOutUnorderChunks": (ALWAYS, "{} Number of Unordered chunks sent"),
        "SctpPassiveEstabs": (ALWAYS, "{} Passive Associations"),
        "SctpReasmUsrMsgs": (ALWAYS, "{} Number of messages reassembled "),
        "SctpShutdowns": (ALWAYS, "{} Number of Graceful Terminations"),
    },
    "Ip6": {
        "Ip6InReceives": (ALWAYS, "{} total packets received"),
        "Ip6InHdrErrors": (NONZERO, "{} with invalid headers"),
        "Ip6InTooBigErrors": (NONZERO, "{} with packets too big"),
        "Ip6InNoRoutes": (NONZERO, "{} incoming packets with no route"),
        "Ip6InAddrErrors": (NONZERO, "{} with invalid addresses"),
        "Ip6InUnknownProtos": (NONZERO, "{} with unknown protocol"),
        "Ip6InTruncatedPkts": (NONZERO, "{} with truncated packets"),
        "Ip6InDiscards": (ALWAYS, "{} incoming packets discarded"),
        "Ip6InDelivers": (ALWAYS, "{} incoming packets delivered"),
        "Ip6OutForwDatagrams": (ALWAYS, "{} forwarded"),
        "Ip6OutRequests": (ALWAYS, "{} requests sent out"),
        "Ip6OutDiscards": (NONZERO, "{} outgoing packets dropped"),
        "Ip6OutNoRoutes": (NONZERO, "{} dropped because of missing route"),
        "Ip6ReasmTimeout": (NONZERO, "{} fragments dropped after timeout"),
        "Ip6ReasmReqds": (NONZERO, "{} reassemblies required"),
        "Ip6ReasmOKs": (NONZERO, "{} packets reassembled ok"),
        "Ip6ReasmFails": (NONZERO, "{} packet reassemblies failed"),
        "Ip6FragOKs": (NONZERO, "{} outgoing packets fragmented ok"),
        "Ip6FragFails": (NONZERO, "{} outgoing packets failed fragmentation"),
        "Ip6FragCreates": (NONZERO, "{} fragments created"),
        "Ip6InMcastPkts": (NONZERO, "{} incoming multicast packets"),
        "Ip6OutMcastPkts": (NONZERO, "{} outgoing multicast packets"),
    },
    "Icmp6": {
        "Icmp6InMsgs": (ALWAYS, "{} ICMP messages received"),
        "Icmp6InErrors": (ALWAYS, "{} input ICMP message failed"),
        "Icmp6OutMsgs": (ALWAYS, "{} ICMP messages sent"),
        "Icmp6InDestUnreachs": (INPUT, "destination unreachable: {}"),
        "Icmp6InPktTooBigs": (INPUT, "packets too big: {}"),
        "Icmp6InTimeExcds": (INPUT, "received ICMPv6 time exceeded: {}"),
        "Icmp6InParmProblems": (INPUT, "parameter problem: {}"),
        "Icmp6InEchos": (INPUT, "echo requests: {}"),
        "Icmp6InEchoReplies": (INPUT, "echo replies: {}"),
        "Icmp6InGroupMembQueries": (INPUT, "group member queries: {}"),
        "Icmp6InGroupMembResponses": (INPUT, "group member responses: {}"),
        "Icmp6InGroupMembReductions": (INPUT, "group member reductions: {}"),
        "Icmp6InRouterSolicits": (INPUT, "router solicits: {}"),
        "Icmp6InRouterAdvertisements": (INPUT, "router advertisement: {}"),
        "Icmp6InNeighborSolicits": (INPUT, "neighbour solicits: {}"),
        "Icmp6InNeighborAdvertisements": (INPUT, "neighbour advertisement: {}"),
        "Icmp6InRedirects": (INPUT, "redirects: {}"),
        "Icmp6OutDestUnreachs": (OUTPUT, "destination unreachable: {}"),
        "Icmp6OutPktTooBigs": (OUTPUT, "packets too big: {}"),
        "Icmp6OutTimeExcds": (OUTPUT, "sent ICMPv6 time exceeded: {}"),
        "Icmp6OutParmProblems": (OUTPUT, "parameter problem: {}"),
        "Icmp6OutEchos": (OUTPUT, "echo requests: {}"),
        "Icmp6OutEchoReplies": (OUTPUT, "echo replies: {}"),
        "Icmp6OutGroupMembQueries": (OUTPUT, "group member queries: {}"),
        "Icmp6OutGroupMembResponses": (OUTPUT, "group member responses: {}"),
        "Icmp6OutGroupMembReductions": (OUTPUT, "group member reductions: {}"),
        "Icmp6OutRouterSolicits": (OUTPUT, "router solicits: {}"),
        "Icmp6OutNeighborSolicits": (OUTPUT, "neighbor solicits: {}"),
        "Icmp6OutNeighborAdvertisements": (OUTPUT, "neighbor advertisements: {}"),
        "Icmp6OutRedirects": (OUTPUT, "redirects: {}"),
    },
    "Udp6": {
        "Udp6InDatagrams": (ALWAYS, "{} packets received"),
        "Udp6NoPorts": (ALWAYS, "{} packets to unknown port received"),
        "Udp6InErrors": (ALWAYS, "{} packet receive errors"),
        "Udp6OutDatagrams": (ALWAYS, "{} packets sent"),
    },
}
"""Words for counters, and when they are shown."""


def text(tables: Iterable[Table], protocols: frozenset[str] | set[str]) -> str:
    """The tables whose protocols are asked for (raw, tcp, udp, sctp), and those that net-tools does not know."""
    return "".join(f"{line}\n" for line in _Layout().lines(tables, protocols))


class _Layout:
    """Lays out tables one after the other. What was shown last decides the indent of what net-tools has no words for,
    even from one table to the next.
    """

    def __init__(self) -> None:
        self._last = ALWAYS

    def lines(self, tables: Iterable[Table], protocols: frozenset[str] | set[str]) -> Iterator[str]:
        for title, counters in tables:
            protocol = _PROTOCOLS.get(title)
            known = TABLES.get(title, {})
            if protocol is not None:
                self._last = ALWAYS
                if protocol not in protocols:
                    continue
            yield f"{title}:"
            for counter, value in counters:
                # net-tools reads all of them as unsigned numbers.
                yield from self._counter(known.get(counter), counter, value & 0xFFFF_FFFF_FFFF_FFFF)

    def _counter(self, entry: tuple[str, str] | None, counter: str, value: int) -> Iterator[str]:
        if entry is None:
            if value:
                yield f"{' ' * _INDENTS[self._last]}{counter}: {value}"
            return
        when, words = entry
        if when == HIDDEN:
            return
        if when in _HISTOGRAMS and self._last != when:
            yield f"{' ' * _INDENTS[self._last]}{_HISTOGRAMS[when]}"
        if value or when == ALWAYS:
            yield f"{' ' * _INDENTS[when]}{words.format(value)}"
        self._last = when
