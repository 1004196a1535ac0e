"""The counters of this machine that are not 0 and count something lost, as lines that Prometheus reads."""

import netinspect

LOST = ("drop", "err", "fail", "overflow", "prune", "discard", "noport")

for counter in netinspect.statistics(nonzero=True):
    if any(word in counter.counter.lower() for word in LOST):
        labels = f'group="{counter.group}",counter="{counter.counter}"'
        if counter.interface is not None:
            labels += f',interface="{counter.interface}"'
        print(f"netinspect_lost_total{{{labels}}} {counter.value}")
