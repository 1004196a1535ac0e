"""Conditions on what the kernel has, waited for and asserted: sockets, routes, flows, groups, links, addresses.

Each noun's conditions are in a module ``of_…``; ``wait.wait`` waits for one of them, ``until.until`` is the loop that
the pytest plugin has, too.
"""
