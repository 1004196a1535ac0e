"""The counters of this machine that are not 0 and count something lost, as lines that Prometheus reads."""

import netinspect

LOST = ("drop", "err", "fail", "overflow", "prune", "discard", "noport")


def label(value: str) -> str:
    """A label's value: an interface may have any name."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


for counter in netinspect.statistics(nonzero=True):
    if any(word in counter.counter.lower() for word in LOST):
        labels = f"group={label(counter.group)},counter={label(counter.counter)}"
        if counter.interface is not None:
            labels += f",interface={label(counter.interface)}"
        print(f"netinspect_lost_total{{{labels}}} {counter.value}")
