"""What the hot paths may not import."""

from __future__ import annotations

SITE = frozenset(("os", "_collections_abc", "stat", "struct"))
"""What the module site loads, or is as easily gone without: scripts/netinspect starts without it."""

HEAVY = frozenset(
    (
        *(
            "argparse",
            "asyncio",
            "collections",
            "contextlib",
            "dataclasses",
            "enum",
            "functools",
            "inspect",
            "ipaddress",
            "json",
        ),
        *("logging", "pathlib", "pyroute2", "re", "scapy", "shutil", "signal", "socket", "subprocess", "tabulate"),
        *("tempfile", "threading", "tokenize", "typing", "weakref"),
        *SITE,
    )
)
"""Modules that cost milliseconds to load."""
