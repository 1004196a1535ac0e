"""Protocol statistics (netinspect stats)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Statistic(NamedTuple):
    """One figure that the kernel keeps: a counter, which only rises, or a level, which goes up and down."""

    group: Annotated[str, "its table, as the kernel names it: Ip, Icmp6, TcpExt, sockstat, link, neighbour …"]
    counter: Annotated[str, "its name, as the kernel has it"]
    interface: Annotated[str | None, "interface or neighbour table; None for the whole namespace"]
    value: Annotated[int, "its value"]
    kind: Annotated[str, "counter (since the namespace was created), level (current value), or setting"]
    unit: Annotated[str | None, "unit: packets, segments, bytes …; None if unknown"]
    rate: Annotated[float | None, "change per second; None without --rates"]
    change: Annotated[int | None, "change since the sample of --since; None without it"]
    reset: Annotated[bool | None, "whether it restarted at 0 since that sample: the change is then a lower bound"]
    meaning: Annotated[str | None, "what it counts; None if this release does not know it"]
    source: Annotated[str, "source: procfs with the file, rtnetlink, ctnetlink"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None


class CounterMeaning(NamedTuple):
    """What a counter means (netinspect stats explain)."""

    group: Annotated[str, "its table"]
    counter: Annotated[str, "its name, as the kernel has it"]
    kind: Annotated[str, "counter (only rises), level (current value), or setting"]
    unit: Annotated[str | None, "what is counted"]
    meaning: Annotated[str, "what it counts"]
    netstat: Annotated[str | None, "its text in netstat -s, if it has one"]
    checks: Annotated[tuple[str, ...], "checks of `netinspect stats health` that use it"]
    source: Annotated[str, "source of the value"]


class HealthCheck(NamedTuple):
    """One thing that an administrator should look at first (netinspect stats health)."""

    check: Annotated[str, "name of the check"]
    state: Annotated[str, "ok, warning, critical, or unknown if the kernel does not report it"]
    value: Annotated[float | None, "value compared with the thresholds"]
    unit: Annotated[str, "its unit: percent, or that of the counters"]
    warning: Annotated[float, "threshold of warning"]
    critical: Annotated[float | None, "threshold of critical; None if there is none"]
    found: Annotated[str, "what was found, in words, with the counters that are not 0"]
    advice: Annotated[str, "what it means, and what to do about it"]
    reason: Annotated[str, "why these thresholds, with their source"]
    netns: Annotated[str | None, "network namespace, where several are looked at"] = None
