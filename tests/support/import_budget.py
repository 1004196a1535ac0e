"""What the hot paths may not import."""

from __future__ import annotations

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
    )
)
"""Modules that cost milliseconds to load."""
