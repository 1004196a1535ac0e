"""A policy rule as text, in ip-rule(8)'s words."""

from __future__ import annotations

from ...engine.text import unknown_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...records import Rule


def selector_text(rule: Rule) -> str:
    """What the rule is for: ``from 10.0.0.0/8 fwmark 0x1/0xff``."""
    words = ["not"] if rule.inverted else []
    words.append(f"from {_host(rule.source) if rule.source else 'all'}")
    if rule.destination:
        words.append(f"to {_host(rule.destination)}")
    if rule.tos is not None:
        words.append(f"tos {rule.tos:#04x}")
    if rule.mark is not None:
        mark = f"{rule.mark:#x}" if rule.mark else "0"
        words.append(f"fwmark {mark}{_mask(rule.mask, 0xFFFFFFFF)}")
    for word, interface, detached in (
        ("iif", rule.input_interface, "iif_detached"),
        ("oif", rule.output_interface, "oif_detached"),
    ):
        if interface is not None:
            words.append(f"{word} {interface}" + (" [detached]" if detached in rule.flags else ""))
    if rule.l3mdev:
        words.append("l3mdev")
    for word, numbers, bits in (
        ("uidrange", rule.uids, None),
        ("sport", rule.source_ports, rule.source_port_mask),
        ("dport", rule.destination_ports, rule.destination_port_mask),
    ):
        if numbers is not None:
            same = numbers[0] == numbers[1] and word != "uidrange"
            words.append(
                (f"{word} {numbers[0]}" if same else f"{word} {numbers[0]}-{numbers[1]}") + _mask(bits, 0xFFFF)
            )
    if rule.ip_protocol is not None:
        words.append(f"ipproto {rule.ip_protocol}")
    if rule.dscp is not None:
        words.append(f"dscp {rule.dscp}{_mask(rule.dscp_mask, 0x3F)}")
    if rule.flow_label is not None:
        words.append(f"flowlabel {rule.flow_label:#x}{_mask(rule.flow_label_mask, 0xFFFFF)}")
    if rule.tunnel_id is not None:
        words.append(f"tun_id {rule.tunnel_id}")
    words += [f"[flags {flag}]" for flag in rule.flags if flag.startswith("0x")]
    words += map(unknown_text, rule.unknown_attributes)
    return " ".join(words)


def _mask(bits: int | None, all_of_them: int) -> str:
    return "" if bits in (None, all_of_them) else f"/{bits:#x}"


def action_text(rule: Rule) -> str:
    """What the rule does: ``lookup main suppress_prefixlength 0``."""
    if rule.action == "goto":
        words = [f"goto {rule.goto}" + (" [unresolved]" if "unresolved" in rule.flags else "")]
    elif rule.action == "lookup":
        words = ["lookup [l3mdev-table]" if rule.l3mdev else f"lookup {rule.table}"]
    else:
        words = [rule.action]
    if rule.suppress_prefix_length is not None:
        words.append(f"suppress_prefixlength {rule.suppress_prefix_length}")
    if rule.suppress_interface_group is not None:
        words.append(f"suppress_ifgroup {rule.suppress_interface_group}")
    if rule.realms is not None:
        source, destination = rule.realms >> 16, rule.realms & 0xFFFF
        words.append(f"realms {source}/{destination}" if source else f"realms {destination}")
    return " ".join(words)


def rule_text(rule: Rule) -> str:
    """The whole rule on one line: ``32766: from all lookup main``."""
    return f"{rule.priority}: {selector_text(rule)} {action_text(rule)}"


def _host(prefix: str) -> str:
    address, _, length = prefix.partition("/")
    return address if length == ("128" if ":" in address else "32") else prefix
