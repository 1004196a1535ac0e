"""Protocol statistics (netinspect stats)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Statistic(NamedTuple):
    """One figure that the kernel keeps: a counter, which only rises, or a level, which goes up and down."""

    group: Annotated[str, "the table it is of, as the kernel names it: Ip, Icmp6, TcpExt, sockstat, link, neighbour …"]
    counter: Annotated[str, "its name, as the kernel has it"]
    interface: Annotated[str | None, "interface or neighbour table; None where it is of the whole namespace"]
    value: Annotated[int, "its value"]
    kind: Annotated[str, "counter (rises since the namespace was made), level (now), or setting"]
    unit: Annotated[str | None, "what is counted: packets, segments, bytes …; None where that is not known"]
    rate: Annotated[float | None, "change in a second, with --rates; None where it was not asked for"]
    change: Annotated[int | None, "change since the sample of --since; None where it was not asked for"]
    reset: Annotated[bool | None, "whether it began anew since that sample, so that the change is the least it can be"]
    meaning: Annotated[str | None, "what it counts; None where this version does not know it"]
    source: Annotated[str, "where it was read: procfs with the file, rtnetlink, ctnetlink"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None


class CounterMeaning(NamedTuple):
    """What a counter means (netinspect stats explain)."""

    group: Annotated[str, "the table it is of"]
    counter: Annotated[str, "its name, as the kernel has it"]
    kind: Annotated[str, "counter (only rises), level (current value), or setting"]
    unit: Annotated[str | None, "what is counted"]
    meaning: Annotated[str, "what it counts"]
    netstat: Annotated[str | None, "how netstat -s writes it, where it has words of its own"]
    checks: Annotated[tuple[str, ...], "the checks of `netinspect stats health` that look at it"]
    source: Annotated[str, "source of the value"]


class HealthCheck(NamedTuple):
    """One thing that an administrator should look at first (netinspect stats health)."""

    check: Annotated[str, "what was looked at"]
    state: Annotated[str, "ok, warning, critical, or unknown if the kernel does not report it"]
    value: Annotated[float | None, "the figure that decides"]
    unit: Annotated[str, "its unit: percent, or what is counted"]
    warning: Annotated[float, "from here on the state is warning"]
    critical: Annotated[float | None, "critical from here on; None if there is no such level"]
    found: Annotated[str, "what was found, in words, with the counters that are not 0"]
    advice: Annotated[str, "what it means, and what to do about it"]
    reason: Annotated[str, "why these thresholds, with their source"]
    netns: Annotated[str | None, "network namespace, where several are looked at"] = None
