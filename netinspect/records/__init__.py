"""The typed records: one frozen type per thing, each field with its meaning and unit.

The JSON schema is derived from these annotations (``netinspect schema``). Records are named tuples, because
``map(Socket._make, zip(...))`` builds hundreds of thousands a second, which no other frozen type does. Each noun has
a module of its own, loaded when one of its records is first asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .addresses import Address as Address
    from .capabilities import Capability as Capability
    from .conditions import ConditionResult as ConditionResult
    from .containers import Container as Container
    from .containers import PublishedPort as PublishedPort
    from .differences import Difference as Difference
    from .drops import Drop as Drop
    from .drops import DropCount as DropCount
    from .drops import DropCounter as DropCounter
    from .explanations import Explanation as Explanation
    from .flows import ConntrackCount as ConntrackCount
    from .flows import ConntrackStatistic as ConntrackStatistic
    from .flows import Expectation as Expectation
    from .flows import Flow as Flow
    from .flows import FlowEvent as FlowEvent
    from .flows import FlowGroup as FlowGroup
    from .flows import FlowRates as FlowRates
    from .groups import BridgeGroup as BridgeGroup
    from .groups import GroupEvent as GroupEvent
    from .groups import GroupSocket as GroupSocket
    from .groups import Membership as Membership
    from .groups import MulticastHop as MulticastHop
    from .groups import MulticastInterface as MulticastInterface
    from .groups import MulticastRoute as MulticastRoute
    from .link_counters import LinkRates as LinkRates
    from .link_counters import LinkStatistics as LinkStatistics
    from .link_kinds import Bond as Bond
    from .link_kinds import BondPort as BondPort
    from .link_kinds import Bridge as Bridge
    from .link_kinds import BridgePort as BridgePort
    from .link_kinds import Hsr as Hsr
    from .link_kinds import Ipvlan as Ipvlan
    from .link_kinds import Macsec as Macsec
    from .link_kinds import Macvlan as Macvlan
    from .link_kinds import Tun as Tun
    from .link_kinds import Tunnel as Tunnel
    from .link_kinds import Vlan as Vlan
    from .link_kinds import Vrf as Vrf
    from .link_kinds import Vxlan as Vxlan
    from .link_kinds import Xfrm as Xfrm
    from .links import Link as Link
    from .links import XdpProgram as XdpProgram
    from .nat import Finding as Finding
    from .nat import InsideHost as InsideHost
    from .nat import OutsideAddress as OutsideAddress
    from .nat import Translation as Translation
    from .neighbours import Neighbour as Neighbour
    from .neighbours import NeighbourTable as NeighbourTable
    from .path import Path as Path
    from .path import PathEvent as PathEvent
    from .path import PathPacket as PathPacket
    from .path import PathStep as PathStep
    from .routes import AffectedSocket as AffectedSocket
    from .routes import Encapsulation as Encapsulation
    from .routes import NextHop as NextHop
    from .routes import NextHopMember as NextHopMember
    from .routes import NextHopObject as NextHopObject
    from .routes import Route as Route
    from .routes import RouteCount as RouteCount
    from .routes import RouteMetrics as RouteMetrics
    from .rules import Rule as Rule
    from .sockets import CongestionInfo as CongestionInfo
    from .sockets import Memory as Memory
    from .sockets import MptcpInfo as MptcpInfo
    from .sockets import Process as Process
    from .sockets import Socket as Socket
    from .sockets import SocketCount as SocketCount
    from .sockets import TcpInfo as TcpInfo
    from .sockets import Timer as Timer
    from .statistics import CounterMeaning as CounterMeaning
    from .statistics import HealthCheck as HealthCheck
    from .statistics import Statistic as Statistic
    from .top import GroupRates as GroupRates
    from .top import SocketRates as SocketRates
    from .unknown import UnknownAttribute as UnknownAttribute

MODULES = {
    "Address": "addresses",
    "AffectedSocket": "routes",
    "Bond": "link_kinds",
    "BondPort": "link_kinds",
    "Bridge": "link_kinds",
    "BridgeGroup": "groups",
    "BridgePort": "link_kinds",
    "Capability": "capabilities",
    "ConditionResult": "conditions",
    "CongestionInfo": "sockets",
    "ConntrackCount": "flows",
    "ConntrackStatistic": "flows",
    "CounterMeaning": "statistics",
    "Container": "containers",
    "Difference": "differences",
    "Drop": "drops",
    "DropCount": "drops",
    "DropCounter": "drops",
    "Encapsulation": "routes",
    "Expectation": "flows",
    "Explanation": "explanations",
    "Finding": "nat",
    "Flow": "flows",
    "FlowEvent": "flows",
    "FlowGroup": "flows",
    "FlowRates": "flows",
    "GroupEvent": "groups",
    "GroupRates": "top",
    "GroupSocket": "groups",
    "HealthCheck": "statistics",
    "Hsr": "link_kinds",
    "InsideHost": "nat",
    "Ipvlan": "link_kinds",
    "Link": "links",
    "LinkRates": "link_counters",
    "LinkStatistics": "link_counters",
    "Macsec": "link_kinds",
    "Macvlan": "link_kinds",
    "Membership": "groups",
    "Memory": "sockets",
    "MptcpInfo": "sockets",
    "MulticastHop": "groups",
    "MulticastInterface": "groups",
    "MulticastRoute": "groups",
    "Neighbour": "neighbours",
    "NeighbourTable": "neighbours",
    "NextHop": "routes",
    "NextHopMember": "routes",
    "NextHopObject": "routes",
    "OutsideAddress": "nat",
    "Path": "path",
    "PathEvent": "path",
    "PathPacket": "path",
    "PathStep": "path",
    "Process": "sockets",
    "PublishedPort": "containers",
    "Route": "routes",
    "RouteCount": "routes",
    "RouteMetrics": "routes",
    "Rule": "rules",
    "Socket": "sockets",
    "SocketCount": "sockets",
    "SocketRates": "top",
    "Statistic": "statistics",
    "TcpInfo": "sockets",
    "Timer": "sockets",
    "Translation": "nat",
    "Tun": "link_kinds",
    "Tunnel": "link_kinds",
    "UnknownAttribute": "unknown",
    "Vlan": "link_kinds",
    "Vrf": "link_kinds",
    "Vxlan": "link_kinds",
    "XdpProgram": "links",
    "Xfrm": "link_kinds",
}
"""Every record and the module it is in."""

if not TYPE_CHECKING:  # a type checker would take any name for a record

    def __getattr__(name):
        module = MODULES.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(__import__(f"{__name__}.{module}", fromlist=(name,)), name)
