"""The live view of ``netinspect top``: what it is made of, or what is lacking for it."""

from __future__ import annotations

from ..engine.text import printable
from .drops import Drops
from .flows import Flows
from .health import Health
from .links import Links
from .nat import Nat
from .sockets import Sockets
from .source import Places, Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..nouns.conntrack.filter import FlowFilter
    from .command import Top

LACKING = "the live view needs Textual 8 (pip install 'netinspect[top]'): this is the plain table, as with --plain"


def missing() -> str:
    """What is lacking for the live view, and what there is instead; empty where it can be shown, and is loaded."""
    import gc

    # What is loaded stays: a collection on the way finds nothing, at a tenth of the time.
    gc.disable()
    try:
        from .view import app  # noqa: F401
    except ImportError:
        return LACKING
    finally:
        gc.enable()
    gc.freeze()
    return ""


def show(command: Top) -> int:
    """Shows the live view until it is left, and returns the exit status. Raises NetinspectError."""
    from .view.app import TopApp, run

    every = "all namespaces" if command.all_netns else ""
    tabs = sources(command)
    app = TopApp(
        tabs,
        interval=command.interval,
        group=command.by,
        sort=_sort(command, tabs[0]),
        place=every or ", ".join(map(printable, command.netns)),
        coloured=command.coloured,
    )
    with _Said(command):
        return run(app)


def sources(command: Top) -> list[Source]:
    """The tabs."""
    places = Places(command.places)
    where = ["--all-netns"] if command.all_netns else [word for name in command.netns for word in ("-N", name)]
    labelled = command.labelled

    def words(text: str) -> Sequence[str]:
        return ["netinspect", "top", "--once", *where, *command.selecting, *([text] if text else [])]

    def wanted(text: str) -> FlowFilter:
        from .command_filter import flow_filter

        return flow_filter(text, command.environment)

    sockets = Sockets(
        places,
        command.query,
        words,
        command.selection,
        where=where,
        labelled=labelled,
        text=command.filter,
    )
    counted = (tab(places, wanted, where, labelled=labelled) for tab in (Flows, Nat))
    others = (tab(places, where, labelled=labelled) for tab in (Links, Drops, Health))
    return [sockets, *counted, *others]


def _sort(command: Top, source: Source) -> str:
    """The column of the first tab that --sort names; with a - before it where its order is not the usual one."""
    if not command.sort:
        return ""
    field = command.sort[0].removeprefix("-")
    for column in source.columns(command.by):
        if field in column.fields:
            return column.name if command.sort[0].startswith("-") == column.right else f"-{column.name}"
    return ""


class _Said:
    """What would be complained of on standard error is not written over the screen: samples say it themselves."""

    def __init__(self, command: Top) -> None:
        self._environment = command.environment
        self._error = command.environment.error

    def __enter__(self) -> None:
        self._environment.error = lambda data: None

    def __exit__(self, *_: object) -> None:
        self._environment.error = self._error
