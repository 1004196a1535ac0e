"""The command that has a chain accept a packet, in the language of whoever made the chain."""

from __future__ import annotations

from .walk_steps import iptables_chain, nft_name, pasted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...netfilter.decode import Chain
    from .walk import Walk
    from .walk_packet import Packet


def opening(chain: Chain, hook: str, packet: Packet, walk: Walk) -> str:
    """The command that lets exactly this packet pass a chain; of what is known of it."""
    rules = walk.rules_of(walk.last_stack)
    protocol = {6: "tcp", 17: "udp", 132: "sctp", 33: "dccp"}.get(packet.protocol)
    six = packet.family == "inet6"
    if (known := rules.ruleset.iptables(chain)) is not None:
        program, table = known
        command = [program] if table == "filter" else [program, "-t", table]
        command += ["-I", iptables_chain(chain.name), "-s", packet.source, "-d", packet.destination]
        if protocol:
            command += ["-p", protocol]
            if packet.reply and packet.source_port:
                command += ["--sport", str(packet.source_port)]
            elif packet.destination_port and not packet.reply:
                command += ["--dport", str(packet.destination_port)]
        return pasted([*command, "-j", "ACCEPT"])
    version = "ip6" if six else "ip"
    words = [f"{version} saddr {packet.source} {version} daddr {packet.destination}"]
    if protocol and packet.reply and packet.source_port:
        words.append(f"{protocol} sport {packet.source_port}")
    elif protocol and packet.destination_port and not packet.reply:
        words.append(f"{protocol} dport {packet.destination_port}")
    where = f"{chain.family} {nft_name(chain.table)} {nft_name(chain.name)}"
    return pasted(["nft", f"insert rule {where} {' '.join(words)} accept"])
