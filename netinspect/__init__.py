"""netinspect: what the Linux kernel knows of its network, asked over netlink.

``sockets`` is the Python API's entry; the records it gives are in ``netinspect.records``, the errors it raises in
``netinspect.errors``.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["sockets"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .api import sockets as sockets


def __getattr__(name: str) -> object:
    # Loaded when asked for: the command line starts without it.
    if name == "sockets":
        from .api import sockets

        return sockets
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
