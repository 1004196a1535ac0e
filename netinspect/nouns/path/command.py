"""``netinspect path``: what this machine would do with a packet, and with the answer to it."""

from __future__ import annotations

from ...engine.options import Flag, Group, One, Option, Unfit, seconds, within
from ...engine.output import NAMESPACES, ListingCommand, output_group
from ...engine.table import Field
from ...engine.text import digits, number
from ...errors import ExitStatus, UsageError
from .filter_words import FlowWords, flow_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.table import Column
    from .listing_stack import Stack
    from .listing_stacks import Stacks
    from .walk_path import Path

_LARGEST_MARK = 0xFFFFFFFF


def _mark(text: str) -> int:
    mark = number(text)
    if mark is None or mark > _LARGEST_MARK:
        raise Unfit("a number of 32 bits, as 0x51")
    return mark


def _protocol(text: str) -> int:
    if digits(text) is not None:
        return within(0, 255)(text)
    try:
        found = flow_words([text]).protocol
    except UsageError:
        found = None
    if found is None:
        raise Unfit("a protocol's name or number")
    return found


_LISTED = output_group("path")
_OUTPUT = Group(_LISTED.title, *(option for option in _LISTED.options if option.long != "watch"))
"""Without --watch of listings: here it is to see what happens."""


class PathCommand(ListingCommand):
    """One command line of ``netinspect path``."""

    name = "path"
    operands = "SOURCE DESTINATION[:PORT]"
    summary = (
        "Follows a packet through this machine, hop by hop: what each interface, setting, rule, route and socket would "
        "do with it, through other network namespaces, and the same for the reply. Sends "
        "and changes nothing without --probe."
    )
    record = "PathStep"

    protocol = One[int | None](None)
    source_port = One[int | None](None)
    iif = One[str | None](None)
    mark = One[int](0)
    sender = One[str | None](None)
    probe = Flag()
    yes = Flag()
    follow = Flag()
    duration = One[float | None](None)

    groups = (
        Group(
            "Packet",
            Option("p", "protocol", "tcp (the default), udp, icmp … or a number", "NAME", to=protocol.value(_protocol)),
            Option("", "source-port", "source port; default any", "PORT", to=source_port.value(within(1, 65535))),
            Option(
                "",
                "iif",
                "interface on which the packet arrives; default: the one that leads to SOURCE",
                "NAME",
                to=iif.value(str),
            ),
            Option("", "mark", "firewall mark of the packet", "MARK", to=mark.value(_mark)),
            Option(
                "",
                "from-namespace",
                "network namespace that sends the packet; default: it arrives here, or is sent from here if SOURCE is "
                "a local address",
                "NAME|PID|PATH",
                to=sender.value(str),
            ),
        ),
        Group(
            "See it happen (root)",
            Option(
                "",
                "probe",
                "send one packet of the flow and show what happened to it next to the prediction: the rules it met "
                "(nftrace), its conntrack entry, the kernel's reason if it was dropped",
                to=probe.on,
                excludes=("watch",),
            ),
            Option("y", "yes", "do not ask before --probe sends the packet", to=yes.on),
            Option(
                "W",
                "watch",
                "the same for real packets of the flow, until interrupted; sends nothing",
                to=follow.on,
            ),
            Option(
                "",
                "for",
                "stop after SECONDS; default for --probe: 1",
                "SECONDS",
                to=duration.value(seconds(above=0)),
            ),
        ),
        NAMESPACES,
        _OUTPUT,
    )
    notes = (
        "A flow may also be written as `a -> b:443`, `tcp a b 443`, `src a dst b dport 443`, or pasted from `conntrack "
        "-L`, `netinspect nat` (also a record in JSON), ss, netstat, tcpdump, Wireshark, `nft monitor trace`, the "
        "kernel's log, or the errors and logs of programs (ssh, curl, sshd, web servers); "
        "`any` stands for any likely source.\n"
        "The last line is the verdict: arrives; leaves, if nothing here stops it and the rest is beyond this machine; "
        "fails, with the first step that stops it, why, and what to do; or unknown, if a condition could not be "
        "decided. Exit status: 0 it arrives or leaves, 4 it does not, 3 unknown."
    )

    flow: FlowWords

    def check(self) -> None:
        """Reads the flow. Raises UsageError."""
        self.flow = flow_words(self.words)
        if self.protocol is not None:
            self.flow.protocol = self.protocol
        if self.source_port is not None:
            self.flow.source_port = self.source_port
        if self.flow.destination is None or "/" in self.flow.destination:
            raise UsageError("path takes two addresses, SOURCE and DESTINATION[:PORT] (see `netinspect path --help`)")
        if len(self.netns) > 1 or self.all_netns:
            raise UsageError("give one network namespace for the path")
        if not (self.probe or self.follow):
            for given, name in ((self.yes, "yes"), (self.duration, "for")):
                if given:
                    raise UsageError(f"--{name} goes with --probe or --watch")

    @property
    def known_fields(self) -> Sequence[str]:
        """The fields of a step or, where it is watched, of an event."""
        from ... import records

        return records.PathEvent._fields if self.probe or self.follow else records.PathStep._fields

    def screen(self) -> str:
        """What happens is shown as it does; a packet that is sent is asked for."""
        return "" if self.probe or self.follow else super().screen()

    def run(self) -> int:
        """Walks and, where asked to, watches. Raises NetinspectError."""
        if not self.probe and not self.follow:
            return super().run()
        self.record = "PathEvent"
        from .command_probe import run_observed

        return run_observed(self)

    def once(self) -> int:
        """Walks once, and returns the exit status."""
        from .listing_stacks import Stacks
        from .walk_steps import ARRIVES, FAILS, LEAVES

        stacks = Stacks(closely=True)
        try:
            place = self.places()[0]
            place.open()
            found = self.walked(stacks, stacks.of(place))
        finally:
            stacks.close()
        if self.format == "table" and self.chosen is None and not self.sort:
            from ...engine.terminal import report
            from .render import lines

            report(self, "".join(f"{line}\n" for line in lines(found.steps)))
        else:
            self.write_records(found.steps)
        if found.verdict in (ARRIVES, LEAVES):
            return ExitStatus.OK
        return ExitStatus.FOUND if found.verdict == FAILS else ExitStatus.INCOMPLETE

    def walked(self, stacks: Stacks, home: Stack) -> Path:
        """The path of the packet that is asked for."""
        from .walk_path import asked

        return asked(stacks, home, self.flow, iif=self.iif, mark=self.mark, sender=self.sender)

    @property
    def fields(self) -> list[str]:
        """The fields of the structured formats: a step always has its namespace."""
        return self.chosen if self.chosen is not None else list(self.known_fields)

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        return Field(title, field, _cell)

    def table_columns(self) -> list[Column]:
        """The columns of a table, where it is sorted."""
        return [Field(field, field, _cell) for field in self.known_fields]


def _cell(value: object) -> str:
    from ...records import PathPacket

    if isinstance(value, PathPacket):
        from .render import packet_text

        return packet_text(value)
    return "; ".join(value) if isinstance(value, tuple) else str(value)


COMMAND = PathCommand
