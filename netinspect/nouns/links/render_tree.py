"""Links as a tree: the ports of a bridge, bond or VRF below it, and what is on top of a link below that link."""

from __future__ import annotations

from ...engine.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...records import Link


def tree(links: Sequence[Link]) -> str:
    """The drawing, a line for each link and relation, with a separate tree for each network namespace."""
    namespaces = dict.fromkeys(link.netns for link in links)
    lines: list[str] = []
    for namespace in namespaces:
        inside = [link for link in links if link.netns == namespace]
        if namespace is not None:
            lines.append(f"namespace {printable(namespace)}")
        lines += _Drawing(inside).lines()
    return "".join(f"{line}\n" for line in lines)


class _Drawing:
    def __init__(self, links: Sequence[Link]) -> None:
        self._names = {link.name: link for link in links}
        self._below: dict[str, list[Link]] = {}
        self._roots = []
        for link in links:
            above = self._above(link)
            for name in above:
                self._below.setdefault(name, []).append(link)
            if not above:
                self._roots.append(link)

    def _above(self, link: Link) -> list[str]:
        """The links below which this one is drawn: its master, and the link that it is on top of."""
        found = [link.master] if link.master in self._names else []
        # The ends of a veth are equals: neither is on top of the other.
        if link.kind != "veth" and link.parent_namespace is None and link.parent in self._names:
            found.append(link.parent)
        return [name for name in dict.fromkeys(found) if name is not None and name != link.name]

    def lines(self) -> list[str]:
        lines: list[str] = []
        drawn: set[str] = set()
        for root in self._roots:
            self._draw(root, "", "", drawn, lines)
        for link in self._names.values():
            if link.name not in drawn:  # each below another, in a ring
                self._draw(link, "", "", drawn, lines)
        return lines

    def _draw(self, link: Link, first: str, rest: str, drawn: set[str], lines: list[str]) -> None:
        lines.append(first + _described(link))
        if link.name in drawn:
            return
        drawn.add(link.name)
        children = self._below.get(link.name, [])
        for number, child in enumerate(children, 1):
            last = number == len(children)
            self._draw(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "), drawn, lines)


def _described(link: Link) -> str:
    words = [printable(link.name), link.kind or link.type, link.state]
    if link.vlan_id is not None:
        words.append(f"id {link.vlan_id}")
    if link.vni is not None:
        words.append(f"vni {link.vni}")
    if link.mode is not None:
        words.append(f"mode {link.mode}")
    if link.parent is not None and (link.kind == "veth" or link.parent_namespace is not None):
        words.append(f"peer {printable(link.parent)}" if link.kind == "veth" else f"on {printable(link.parent)}")
        if link.parent_namespace is not None:
            words.append(f"in namespace {printable(link.parent_namespace)}")
    return " ".join(words)
