"""Types as the kernel's, made by hand (linux/btf.h)."""

from __future__ import annotations

import struct


class Types:
    """A table of types, made by hand."""

    def __init__(self) -> None:
        self.strings = bytearray(b"\0")
        self.types = b""
        self.count = 0

    def name(self, text: str) -> int:
        at = len(self.strings)
        self.strings += text.encode() + b"\0"
        return at if text else 0

    def add(self, name: str, kind: int, third: int, *words: int, members: int = 0, flag: int = 0) -> int:
        info = flag << 31 | kind << 24 | members
        self.types += struct.pack(f"=III{len(words)}I", self.name(name), info, third, *words)
        self.count += 1
        return self.count

    def structure(self, name: str, *members: tuple[str, int, int], kind: int = 4, flag: int = 0) -> int:
        words = [word for member, of, offset in members for word in (self.name(member), of, offset)]
        return self.add(name, kind, 64, *words, members=len(members), flag=flag)

    def data(self) -> bytes:
        header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.strings))
        return header + self.types + bytes(self.strings)


def some() -> Types:
    types = Types()
    number = types.add("int", 1, 4, 32)
    pointer = types.add("", 2, number)
    inner = types.structure("", ("deep", number, 0), ("deeper", number, 32))
    typedef = types.add("inner_t", 8, inner)
    const = types.add("", 10, typedef)
    union = types.structure("", ("either", pointer, 0), ("or", const, 0), kind=5)
    types.structure("outer", ("first", number, 0), ("", union, 64), ("last", typedef, 128))
    types.structure("bits", ("a", number, 3 << 24 | 0), ("b", number, 1 << 24 | 40), flag=1)
    types.add("reasons", 6, 4, types.name("REASON_NONE"), 0, types.name("REASON_ONE"), 7, members=2)
    types.add("large", 19, 8, types.name("X"), 1, 0, members=1)
    prototype = types.add("", 13, 0, *(0, pointer) * 5, members=5)
    types.add("btf_trace_event", 8, types.add("", 2, prototype))
    for kind, words in ((3, (1, 1, 4)), (7, ()), (14, (1,)), (17, (0,)), (16, ()), (12, ())):
        types.add("other", kind, 1, *words)
    return types
