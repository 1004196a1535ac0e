"""What this machine supports (netinspect capabilities)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Capability(NamedTuple):
    """Whether one part of a view can be shown here, as a probe found it."""

    view: Annotated[str, "the command that shows it: sockets, routes, groups, conntrack …; names: those of all tables"]
    name: Annotated[str, "what is shown"]
    state: Annotated[str, "yes, no, partial, or unknown if the probe was inconclusive"]
    evidence: Annotated[str, "the probe and its result"]
    lost: Annotated[str | None, "what is lost, unless the state is yes"] = None
    remedy: Annotated[str | None, "how to get it: a command, a privilege, a kernel option or release"] = None
