"""netinspect: show the Linux kernel's network state, read over netlink.

    import netinspect

    with netinspect.sockets("tcp", states="listen", processes=True) as listeners:
        for socket in listeners:
            print(socket.local_address, socket.local_port, socket.processes)

Each function lists one noun as typed records (``netinspect.records``). A listing is an iterator and a context manager;
at its end ``problems`` lists what could not be read. Every error is a NetinspectError (``netinspect.errors``).
``netinspect.conditions`` has what ``wait_for`` and ``check`` wait for.
docs/api.md has an example for each function.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .lab_places import Labs


def __getattr__(name: str) -> object:
    # The command line starts without the names of the API. Types: __init__.pyi.
    from .api import NAMES, found

    if name == "__all__":
        return NAMES
    know_kinds()
    return found(name)


def know_kinds() -> None:
    """Lets labs name network namespaces."""
    from .environment import KINDS

    KINDS["lab"] = _labs


def _labs() -> "Labs":
    from .lab_places import Labs

    return Labs()


def __dir__() -> list[str]:
    from .api import NAMES, SUBMODULES

    return sorted({*globals(), "__all__", *NAMES, *SUBMODULES})
