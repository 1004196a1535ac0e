"""How many translated flows each inside host has, and over which outside addresses."""

from collections import Counter

import netinspect

counts: Counter[tuple[str | None, str | None]] = Counter()
with netinspect.translations() as flows:
    for flow in flows:
        counts[flow.inside_address, flow.outside_address] += 1
    for note in flows.notes:
        print(note)

for (inside, outside), count in counts.most_common(10):
    print(f"{count:6}  {inside} as {outside}")
