"""An assembler for BPF: methods that append instructions, and labels to jump to (Documentation/bpf/standardization).

Registers are numbers: 0 is what a call returns, 1 to 5 are its arguments and lost by it, 6 to 9 are kept, and 10 points
behind the stack's 512 bytes.
"""

from __future__ import annotations

from _struct import pack
from sys import byteorder

from ...uapi.bpf import BPF_PSEUDO_MAP_FD, BPF_FUNC_probe_read_kernel

FRAME = 10
_SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
_LOAD, _STORE, _ATOMIC = 0x61, 0x63, 0xC3
_FARTHEST = 1 << 15


class Assembler:
    """A program that grows."""

    def __init__(self) -> None:
        self._instructions: list[tuple[int, int, int, int]] = []
        """Code, registers, offset, immediate value."""
        self._labels: dict[str, int] = {}
        self._jumps: dict[int, str] = {}

    def _add(self, code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> None:
        registers = target | source << 4 if byteorder == "little" else target << 4 | source
        self._instructions.append((code, registers, offset, value))

    def move(self, target: int, source: int) -> None:
        """``target = source``."""
        self._add(0xBF, target, source)

    def set(self, target: int, value: int) -> None:
        """``target = value``, of 32 bits with a sign."""
        self._add(0xB7, target, value=value)

    def add(self, target: int, source: int) -> None:
        """``target += source``."""
        self._add(0x0F, target, source)

    def add_value(self, target: int, value: int) -> None:
        """``target += value``."""
        self._add(0x07, target, value=value)

    def mask(self, target: int, value: int) -> None:
        """``target &= value``, of 32 bits with a sign."""
        self._add(0x57, target, value=value)

    def load(self, size: int, target: int, base: int, offset: int) -> None:
        """``target = *(base + offset)``, of ``size`` bytes."""
        self._add(_LOAD | _SIZES[size], target, base, offset)

    def store(self, size: int, base: int, offset: int, source: int) -> None:
        """``*(base + offset) = source``, of ``size`` bytes."""
        self._add(_STORE | _SIZES[size], base, source, offset)

    def count(self, base: int, offset: int, source: int) -> None:
        """``*(base + offset) += source``, of 8 bytes, at once (BPF_ATOMIC | BPF_ADD)."""
        self._add(_ATOMIC | _SIZES[8], base, source, offset)

    def map(self, target: int, descriptor: int) -> None:
        """``target`` is the map of this descriptor."""
        self._add(0x18, target, BPF_PSEUDO_MAP_FD, value=descriptor)
        self._add(0)

    def call(self, function: int) -> None:
        """Calls a helper (bpf-helpers(7))."""
        self._add(0x85, value=function)

    def read(self, to: int, size: int, base: int, offset: int) -> None:
        """Copies ``size`` bytes of the kernel's memory from ``base + offset`` to the stack: zeros where it has none."""
        self.move(1, FRAME)
        self.add_value(1, to)
        self.set(2, size)
        self.move(3, base)
        self.add_value(3, offset)
        self.call(BPF_FUNC_probe_read_kernel)

    def read_pointer(self, target: int, scratch: int, base: int, offset: int) -> None:
        """``target = *(base + offset)`` of the kernel's memory, through 8 bytes of the stack."""
        self.read(scratch, 8, base, offset)
        self.load(8, target, FRAME, scratch)

    def label(self, name: str) -> None:
        """Jumps to ``name`` come here."""
        self._labels[name] = len(self._instructions)

    def jump(self, name: str) -> None:
        """Goes on at the label."""
        self._jump(name, 0x05)

    def jump_if(self, register: int, value: int, name: str) -> None:
        """Goes on at the label where the register's lower 32 bits are ``value``, which has no sign."""
        self._jump(name, 0x16, register, value)

    def jump_if_not(self, register: int, value: int, name: str) -> None:
        """Goes on at the label where the register's 64 bits are not ``value``, which has a sign of 32 bits."""
        self._jump(name, 0x55, register, value)

    def _jump(self, name: str, code: int, register: int = 0, value: int = 0) -> None:
        self._jumps[len(self._instructions)] = name
        self._add(code, register, value=value)

    def exit(self) -> None:
        """Ends with 0."""
        self.set(0, 0)
        self._add(0x95)

    def program(self) -> bytes:
        """The instructions. Raises ValueError for a jump to nowhere, or one that is too far."""
        made = []
        for number, (code, registers, offset, value) in enumerate(self._instructions):
            name = self._jumps.get(number)
            if name is not None:
                if name not in self._labels:
                    raise ValueError(f"no label {name!r}")
                offset = self._labels[name] - number - 1
                if not -_FARTHEST <= offset < _FARTHEST:
                    raise ValueError(f"the label {name!r} is {offset} instructions away")
            made.append(pack("=BBhI", code, registers, offset, value & 0xFFFFFFFF))
        return b"".join(made)
