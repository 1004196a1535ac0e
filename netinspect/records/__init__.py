"""The typed records: one frozen type per thing, each field with its meaning and unit.

The JSON schema is derived from these annotations (``netinspect schema``). Records are named tuples, because
``map(Socket._make, zip(...))`` builds hundreds of thousands a second, which no other frozen type does. Each noun has
a module of its own, loaded when one of its records is first asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .capabilities import Capability as Capability
    from .explanations import Explanation as Explanation
    from .flows import ConntrackCount as ConntrackCount
    from .flows import ConntrackStatistic as ConntrackStatistic
    from .flows import Expectation as Expectation
    from .flows import Flow as Flow
    from .flows import FlowEvent as FlowEvent
    from .flows import FlowGroup as FlowGroup
    from .sockets import CongestionInfo as CongestionInfo
    from .sockets import Memory as Memory
    from .sockets import MptcpInfo as MptcpInfo
    from .sockets import Process as Process
    from .sockets import Socket as Socket
    from .sockets import SocketCount as SocketCount
    from .sockets import TcpInfo as TcpInfo
    from .sockets import Timer as Timer

MODULES = {
    "Capability": "capabilities",
    "CongestionInfo": "sockets",
    "ConntrackCount": "flows",
    "ConntrackStatistic": "flows",
    "Expectation": "flows",
    "Explanation": "explanations",
    "Flow": "flows",
    "FlowEvent": "flows",
    "FlowGroup": "flows",
    "Memory": "sockets",
    "MptcpInfo": "sockets",
    "Process": "sockets",
    "Socket": "sockets",
    "SocketCount": "sockets",
    "TcpInfo": "sockets",
    "Timer": "sockets",
}
"""Every record and the module it is in."""


def __getattr__(name: str) -> type:
    module = MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    record: type = getattr(__import__(f"{__name__}.{module}", fromlist=(name,)), name)
    return record
