"""netinspect: what the Linux kernel knows of its network, asked over netlink.

``sockets``, ``flows`` and ``translations`` are the Python API's entries; the records they give are in
``netinspect.records``, the errors they raise in ``netinspect.errors``.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["flows", "sockets", "translations"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .api import sockets as sockets
    from .api_flows import flows as flows
    from .api_flows import translations as translations


def __getattr__(name: str) -> object:
    # Loaded when asked for: the command line starts without it.
    if name == "sockets":
        from .api import sockets

        return sockets
    if name in ("flows", "translations"):
        from . import api_flows

        return getattr(api_flows, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
