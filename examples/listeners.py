"""Which processes listen, and on what: one line each, with the container or unit that they are in."""

import netinspect


def shown(name: str) -> str:
    """A name on one line: a process calls itself what it likes."""
    return name if name.isprintable() else ascii(name)


with netinspect.sockets("tcp", states="listen", processes=True, cgroups=True) as listeners:
    for socket in listeners:
        for process in socket.processes or ():
            home = shown(process.container or process.unit or "-")
            print(f"{socket.local_address}:{socket.local_port}  {shown(process.name)} ({process.pid})  {home}")
        if not socket.processes:
            print(f"{socket.local_address}:{socket.local_port}  {socket.owner_reason}")
    for problem in listeners.problems:
        print(f"incomplete: {problem}")
