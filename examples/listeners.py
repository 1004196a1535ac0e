"""Which processes listen, and on what: one line each, with the container or unit that they are in."""

import netinspect

with netinspect.sockets("tcp", states="listen", processes=True, cgroups=True) as listeners:
    for socket in listeners:
        for process in socket.processes or ():
            home = process.container or process.unit or "-"
            print(f"{socket.local_address}:{socket.local_port}  {process.name} ({process.pid})  {home}")
        if not socket.processes:
            print(f"{socket.local_address}:{socket.local_port}  {socket.owner_reason}")
    for problem in listeners.problems:
        print(f"incomplete: {problem}")
