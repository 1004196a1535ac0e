"""Every function of the package that takes bytes of others apart is reached by a target of the fuzzers.

What counts is found in the source: calls that take bytes or text apart, or that list directories and read links. A new
reader fails here until a target reaches it, or until it stands below with why it needs none.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import FrameType

from fuzz_inputs import mutated_message, mutated_text, seeds
from fuzz_targets import MESSAGES, TARGETS

PACKAGE = Path(__file__).parents[2] / "netinspect"
READING = {
    *("unpack", "unpack_from", "iter_unpack", "from_bytes", "fromhex", "inet_ntop", "loads", "decompress"),
    *("recv", "recvmsg", "recv_into", "recvfrom", "recvfrom_into", "getxattr"),
    *("listdir", "scandir", "readlink", "splitlines", "table_lines"),
}
_INPUTS = 12
"""Made of each target's corpus, beside what is in it."""

WITHOUT = {
    "bytecode.py": "a file of the package",
    "engine/bpf/kernel.py": "answers of bpf(2) to what we loaded ourselves",
    "engine/bpf/task_files.py:_Reading._take": "what our own program writes",
    "engine/containers/engines.py:_Exchange.go_on": "receives; what it received is `docker` and `podman`",
    "engine/descriptors.py": "names of directories and links, and kcmp(2)",
    "engine/files.py": "opens, writes and renames files; what is in them is read elsewhere",
    "engine/help.py": "texts of the package",
    "engine/netlink/acknowledgments.py:acknowledgments": "answers to a lab's own requests",
    "engine/netlink/subscription.py:Subscription._drops": "getsockopt(2)",
    "engine/prefixes.py:within": "addresses that decoders have checked",
    "engine/rtnetlink.py:labels": "MPLS labels that decoders have checked",
    "engine/watched.py": "our own output",
    "lab/": "what a lab made: its processes, and their /proc; its files are `registry`, `topology` and `fault`",
    "lab_directory.py:names": "names of files; what is in them is `registry`",
    "manual/": "files of the package",
    "netfilter/tracer.py:Tracer._send": "acknowledgments of our own requests",
    "netstat/render_interfaces.py:_address_bytes": "a field of a record",
    "nouns/conntrack/decode.py:_bits_set": "a mask of any length",
    "nouns/capabilities/listing_prober.py:Prober._configuration": "lines of what `proc` reads",
    "nouns/drops/names.py:_file": "a file of the package",
    "nouns/drops/listing_account.py:_known": "a file of the package",
    "nouns/drops/listing_account.py:Account._rules": "counters of rules that `ruleset` decodes",
    "nouns/groups/command.py:_address": "an address that was typed, checked by inet_pton",
    "nouns/groups/names.py:_link": "a link-layer address that the decoder has made",
    "nouns/groups/events.py:_Watched.received": "receives",
    "nouns/nat/diagnose": "records, rules and packets that `ruleset` and `heard` take apart",
    "nouns/nat/listing.py:_is_private": "addresses that decoders have checked",
    "nouns/nat/listing_state.py:ranges_of": "rules that `ruleset` takes apart",
    "nouns/path/": "records of other nouns, and our own packets",
    "nouns/routing/decode.py:_destination_bits": "destinations that the decoder has checked",
    "nouns/routing/decode_details.py:_ioam6": "sizes that its shape has checked",
    "nouns/routing/listing_interfaces.py:_number": "an attribute of four bytes, checked",
    "nouns/sockets/owners_cgroups.py": "names of directories",
    "engine/copies.py:copies_on_their_way": "descriptors in a socket's queue",
    "nouns/statistics/counters.py": "a file of the package",
    "top/meter.py:Meter.packed_rates": "counters that `flows` has packed",
    "procfs.py:_command_line_of_threads": "names of directories; the lines are `proc`",
    "procfs.py:other_threads": "names of directories that are numbers",
    "procfs.py:socket_protocol": "getxattr(2)",
}
"""Modules or functions that no target reaches, each with the reason."""


def readers(path: Path) -> Iterator[tuple[str, int]]:
    """The functions of a module that take something apart: name with its class, and the line of its first decorator."""

    def visit(node: ast.AST, name: str) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                if any(called in READING for called in calls(child.body)):
                    yield name + child.name, min([child.lineno, *(one.lineno for one in child.decorator_list)])
                yield from visit(child, f"{name}{child.name}.")
            elif isinstance(child, ast.ClassDef):
                yield from visit(child, f"{name}{child.name}.")
            else:
                yield from visit(child, name)

    return visit(ast.parse(path.read_text()), "")


def calls(body: list[ast.stmt]) -> Iterator[str]:
    """The names of what is called there, without what functions inside call."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", ""))
        waiting.extend(ast.iter_child_nodes(node))


def reached() -> set[tuple[str, int]]:
    """File and line of every function that the targets call, with their corpus and what is made of it."""
    found: set[tuple[str, int]] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            found.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

    for name, target in TARGETS.items():
        random, known = Random(name), seeds(name) or [b""]
        make: Callable[[Random, list[bytes]], bytes] = mutated_message if name in MESSAGES else mutated_text
        inputs = [*known, *(make(random, known) for _ in range(_INPUTS * (8 if name == "commands" else 1)))]
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            for data in inputs:
                try:
                    target.read(data)
                except Exception:
                    continue  # other tests say what may be raised
        finally:
            sys.setprofile(before)
    return found


def test_every_reader_is_reached_by_a_target() -> None:
    found = reached()
    missing, unknown = [], set(WITHOUT)
    for path in sorted(PACKAGE.rglob("*.py")):
        module = str(path.relative_to(PACKAGE))
        for name, line in readers(path):
            excused = {key for key in WITHOUT if f"{module}:{name}".startswith(key)}
            unknown -= excused
            # What the whole commands reach depends on the machine: who is excused may be reached.
            if not excused and (str(path), line) not in found:
                missing.append(f"{module}:{name}")
    assert missing == [], "\n".join(missing)
    assert unknown == set(), "these are gone"
