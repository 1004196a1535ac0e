"""``netinspect netstat -i``: the interface table."""

from __future__ import annotations

from ..errors import ExitStatus
from ..nouns.links import listing as links
from ..nouns.links import listing_addresses as addresses
from . import render_interfaces as layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..records import Address
    from .command import Netstat

_UP = 0x1
_FIELDS = ("name", "flag_bits", "mtu", "type_number", "address", "queue_length", "statistics", "mapping")


class Interfaces:
    """What `netstat -i` shows, once or again and again."""

    def __init__(self, command: Netstat) -> None:
        self._environment = command.environment
        self._everything = command.everything
        self._long = command.extended > 0
        self._only = command.interface
        self._title = layout.TITLE

    def once(self) -> int:
        """Lists once, and returns the exit status. Raises UsageError where the only one wanted does not exist."""
        listing = links.LinkListing(links.Query((self._only,) if self._only else ()))
        found = filter(self._shows, self._interfaces(listing))
        text = self._title + ("" if self._long else layout.HEADING)
        # The title is for the first time only.
        self._title = ""
        for interface in sorted(found, key=lambda interface: layout.sort_key(interface.name)):
            text += layout.long_rows(interface) if self._long else layout.short_row(interface)
        self._environment.write(text.encode("utf-8", "backslashreplace"))
        for problem in listing.problems:
            self._environment.complain(problem)
        return ExitStatus.INCOMPLETE if listing.problems else ExitStatus.OK

    def _shows(self, interface: layout.Interface) -> bool:
        return bool(interface.flags & _UP or self._everything or self._only)

    def _interfaces(self, listing: links.LinkListing) -> Iterator[layout.Interface]:
        labels = _by_label("inet", listing)
        ipv6 = _by_label("inet6", listing) if self._long else {}
        for batch in listing.batches():
            for row in zip(*map(batch.values, _FIELDS), strict=True):
                name, flags, mtu, kind, address, queue_length, statistics, mapping = row

                def interface(
                    label: str, *more: object, of: tuple[object, ...] = (flags, mtu, kind)
                ) -> layout.Interface:
                    return layout.Interface(label, *of, *more)  # type: ignore[arg-type]

                own = labels.get(name, {})
                same = (address, queue_length or 0)
                first = own.get(name)
                yield interface(name, *same, first and first[0], ipv6.get(name, {}).get(name, ()), statistics, mapping)
                for label, found in own.items():
                    if label != name:
                        yield interface(label, *same, found[0])


def _by_label(family: str, listing: links.LinkListing) -> dict[str, dict[str, list[Address]]]:
    """The addresses of each interface by their label; without one, by the interface's name."""
    found: dict[str, dict[str, list[Address]]] = {}
    of_family = addresses.AddressListing(addresses.Query((family,)))
    for batch in of_family.batches():
        address: Address
        for address in batch:
            of_interface = found.setdefault(address.interface, {})
            of_interface.setdefault(address.label or address.interface, []).append(address)
    if family == "inet":  # a kernel without IPv6 is no failure
        listing.problems += of_family.problems
    return found
