"""The remote addresses whose connections have the longest round trips, from TCP's own state.

Usage: slow_peers.py [FILTER], a filter as ss(8) has it, such as 'dport = :443'.
"""

import sys
from collections import defaultdict

import netinspect

trips: dict[str, list[float]] = defaultdict(list)
for socket in netinspect.sockets("tcp", states="established", filter=" ".join(sys.argv[1:]), tcp_info=True):
    if socket.tcp_info is not None and socket.remote_address is not None:
        trips[socket.remote_address].append(socket.tcp_info.rtt)

for address, found in sorted(trips.items(), key=lambda item: -max(item[1]))[:10]:
    print(f"{max(found):9.3f} ms  {address}  {len(found)} connections")
