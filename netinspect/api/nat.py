"""The Python API of `netinspect nat diagnose` and `netinspect path`: findings, and a packet's way, as records."""

from __future__ import annotations

from ..engine.listing import BaseListing
from ..engine.schema import rows_of
from ..engine.text import digits
from ..errors import UsageError
from ..nouns.conntrack.filter import FlowFilter
from ..nouns.nat.diagnose import diagnosed
from ..nouns.path.filter_words import FlowWords, flow_words
from ..nouns.path.listing_stacks import Stacks
from ..nouns.path.walk_path import asked
from ..records import Path
from .listed import Listed, places_of, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..engine.columns import Batch
    from ..engine.places import Place
    from ..records import Finding

    Texts = str | Iterable[str]

_LARGEST_MARK = 0xFFFFFFFF
_LARGEST_PORT = 65535


def diagnose(
    flow: Texts | None = None, *, sample: float = 1.0, netns: Texts | None = None, all_netns: bool = False
) -> Listed[Finding]:
    """What breaks address translation on this gateway, or will, as Finding records: none if all is well.

    ``flow`` is one that does not work, as people write or paste it: ``10.0.0.2 -> 198.51.100.1:443``, ``tcp a b 443``,
    a line of conntrack(8) or tcpdump(8). Its way is followed, and what stops it comes first. Counters are watched for
    ``sample`` seconds. Nothing is changed or sent. ``severity`` is error, warning or note.

    Raises UsageError for a flow that makes no sense, and while iterating NamespaceError, NetlinkError and
    ConntrackError. ``problems`` has the namespaces that could not be looked at.
    """
    if not 0 <= sample < float("inf"):
        raise UsageError(f"sample is 0 or more seconds, not {sample}")
    words = None if flow is None else _words(flow)
    return Listed("Finding", _Findings(words, sample, places_of(netns, all_netns)))


def path(
    source: str,
    destination: str,
    *,
    protocol: str | int = "tcp",
    source_port: int | None = None,
    iif: str | None = None,
    mark: int = 0,
    from_namespace: str | None = None,
    netns: str | None = None,
) -> Path:
    """What this machine would do with a packet, hop by hop, and with the answer to it. Sends and changes nothing.

    ``source`` is an address, ``any``, or ADDRESS:PORT; ``destination`` is an address, or ADDRESS:PORT. ``iif`` is the
    interface that the packet arrives on, by default the one that leads to its source; ``from_namespace`` the network
    namespace that sends it, by name, process id or path; ``netns`` the one to look from. ``steps`` of the Path has what
    each interface, setting, rule, route and socket does with it, through other network namespaces too.

    Raises UsageError, NamespaceError and NetlinkError. What cannot be decided makes the verdict ``unknown``.
    """
    flow = _words([source, destination])
    if flow.destination is None or "/" in flow.destination:
        raise UsageError(f"path takes the address of a destination, not {destination!r}")
    flow.protocol = _protocol(protocol)
    if source_port is not None:
        if not 1 <= source_port <= _LARGEST_PORT:
            raise UsageError(f"{source_port} is not a port")
        flow.source_port = source_port
    if not 0 <= mark <= _LARGEST_MARK:
        raise UsageError(f"{mark} is not a mark of 32 bits")
    stacks = Stacks(closely=True)
    try:
        (place,) = places_of(netns, False)
        place.open()
        found = asked(stacks, stacks.of(place), flow, iif=iif, mark=mark, sender=from_namespace)
        steps = tuple(found.steps)
    finally:
        stacks.close()
    end = steps[-1]
    return Path(
        found.verdict,
        found.why,
        found.cause,
        found.evidence,
        end.fix,
        end.advice,
        found.packet.record(),
        steps,
    )


class _Findings(BaseListing):
    """The findings of each namespace."""

    def __init__(self, words: FlowWords | None, sample: float, places: Sequence[Place]) -> None:
        super().__init__(places)
        self._words = words
        self._sample = sample

    def _place(self, place: Place) -> Iterator[Batch]:
        yield rows_of(diagnosed(place, self._words, FlowFilter(), self._sample), "Finding")


def _words(flow: Texts) -> FlowWords:
    return flow_words(flow.split() if isinstance(flow, str) else list(several(flow)))


def _protocol(protocol: str | int) -> int:
    number = digits(protocol) if isinstance(protocol, str) else protocol
    if number is None:
        try:
            number = flow_words([str(protocol)]).protocol
        except UsageError:
            pass
    if number is None:
        raise UsageError(f"{protocol!r} is not a protocol's name or number")
    if not 0 <= number <= 255:
        raise UsageError(f"{protocol} is not the number of a protocol")
    return number
