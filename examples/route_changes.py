"""What a command changes of routes, rules, links and addresses: route_changes.py COMMAND [ARGUMENT …]."""

import subprocess
import sys

import netinspect

NOUNS = ("routes", "rules", "links", "addresses")

before = netinspect.take_snapshot(NOUNS)
status = subprocess.call(sys.argv[1:]) if sys.argv[1:] else 0
for change in netinspect.compare(before, netinspect.take_snapshot(NOUNS)):
    what = change.what if change.what.isprintable() else ascii(change.what)  # interfaces may have any name
    print(f"{change.change:8} {change.noun:10} {what}")
sys.exit(status)
