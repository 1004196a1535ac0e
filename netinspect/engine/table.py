"""Tables for people: fixed columns, streamed. Widths come from the first rows, so a short table fits its content.

The same writer serves ten rows and a million, in flat memory: nothing is held back but the first rows. Every text is
made printable.
"""

from __future__ import annotations

from _operator import add
from itertools import repeat

from .columns import NONE, diverse
from .rows import Cell, Endpoints, Texts, digits_of, literal, padded, rows
from .text import printable, printable_column, unknown_texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from .columns import Batch

_MEASURED_ROWS = 500
"""Rows whose cells decide the widths. What comes later and is wider pushes its row to the right, as in ss."""

WIDEST = 64
"""What a single cell can make of its column: a name of a hundred characters would push the rest off the screen."""


class Column:
    """One column of a table. ``texts`` gives the cells of a batch; they need not be printable yet."""

    field = ""
    """The field of the record that it shows, where it shows one."""

    def __init__(self, title: str, texts: Callable[[Batch], Iterable[str]], *, right: bool = False) -> None:
        self.title = title
        self.width = len(title)
        self.last = False
        """Whether it ends the row: then it is not padded."""
        self.texts = texts
        self.right = right
        self._padded = Texts(self._pad)

    def measure(self, batch: Batch) -> None:
        """Widens the column to what this batch needs."""
        widths = map(len, printable_column(list(self.texts(batch))))
        self.width = max(self.width, min(max(widths, default=0), WIDEST))

    def heading(self) -> str:
        """The title, padded like a cell."""
        return self._aligned(self.title)

    def cells(self, batch: Batch) -> Sequence[Cell]:
        """What makes up this column in the rows of a batch: one cell, as a rule."""
        return (self.cell(batch),)

    def cell(self, batch: Batch) -> Cell:
        """The cell of each row of a batch."""
        texts = list(self.texts(batch))
        if diverse(texts):
            return Cell(self._directive(), printable_column(texts))
        return Cell(map(self._padded.__getitem__, texts))

    def _directive(self) -> str:
        """What aligns a text as a cell, in a format string."""
        end = "\n" if self.last else " "
        if self.right:
            return f"%{self.width}s{end}"
        return f"%s{end}" if self.last else f"%-{self.width}s{end}"

    def _pad(self, text: str) -> str:
        return literal(self._aligned(printable(text)))

    def _aligned(self, text: str) -> str:
        if self.right:
            text = text.rjust(self.width)
        elif not self.last:
            text = text.ljust(self.width)
        return text + ("\n" if self.last else " ")


class Field(Column):
    """A column that shows one field of the record."""

    def __init__(
        self,
        title: str,
        field: str,
        show: Callable[[Any], str] = str,
        *,
        number: bool = False,
        hexadecimal: bool = False,
        kept: bool = True,
    ) -> None:
        """``show`` makes the text of a value that is not None.

        ``number`` says that the values are whole numbers, to be shown as they are, ``hexadecimal`` that they are to be
        shown so; ``kept`` that equal values are frequent, so that their text is worth keeping.
        """
        super().__init__(title, self._values, right=number)
        self.field = field
        self._number = number
        self._hexadecimal = hexadecimal
        self._kept = kept
        if field == "unknown_attributes":
            show = unknown_texts
        self._show = "{:x}".format if hexadecimal else show
        self._shown = Texts(self._text)

    def _text(self, value: Any) -> str:
        return "-" if value is None else self._show(value)

    def _values(self, batch: Batch) -> Iterable[str]:
        column = batch.column(self.field)
        values = column.values(batch.count)
        if column.constant:
            return repeat(self._shown[column.value], batch.count)
        if self._show is str and None not in column:
            values = list(values)
            if values and isinstance(values[0], str):
                return values
        return map(self._shown.__getitem__ if self._kept else self._text, values)

    def measure(self, batch: Batch) -> None:
        column = batch.column(self.field)
        if column.constant or not self._number or None in column:
            super().measure(batch)
            return
        values = list(column.values(batch.count))
        if values:
            self.width = max(self.width, len(str(max(values))), len(str(min(values))))

    def _numbers(self, values: Iterable[int], code: str) -> Cell:
        if self.last and not self.right:
            return Cell(f"%{code}\n", values)
        digits = digits_of(values, code) if isinstance(values, list) else 0
        directive = padded(code, self.width, digits, right=self.right)
        return Cell(f"{directive[:-1]}\n" if self.last else directive, values)

    def cell(self, batch: Batch) -> Cell:
        column = batch.column(self.field)
        if column.constant:
            return Cell(self._pad(self._shown[column.value]))
        if self._number and None not in column:
            return self._numbers(column.values(batch.count), "d")
        if self._hexadecimal and None not in column:
            return self._numbers(column.values(batch.count), "x")
        if column.plain and self._show is str:
            return Cell(self._directive(), column.values(batch.count))
        return super().cell(batch)


class Endpoint(Column):
    """An address with its port: ``side`` is local or remote.

    ``show_host`` and ``show_port`` give names; where they are None, addresses and ports are shown as numbers.
    """

    def __init__(
        self,
        title: str,
        side: str,
        show_host: Callable[[str], str] | None = None,
        show_port: Callable[[str, int], str] | None = None,
    ) -> None:
        super().__init__(title, self._endpoints)
        self._address = f"{side}_address"
        self._port = f"{side}_port"
        self._key = "inode" if side == "local" else "peer_inode"
        self._side = side
        self._show_host = show_host
        self._show_port = show_port
        self._numeric: dict[str, Endpoints] = {}

    def measure(self, batch: Batch) -> None:
        if self._is_numeric(batch):
            addresses = batch.values(self._address)
            ports = batch.values(self._port)
            brackets = 2 if batch.column("family").value == "inet6" else 0
            # With the colon. What is measured is few rows, so no cache is filled.
            lengths = [len(address or "*") for address in addresses]
            longest = max(map(add, lengths, map(len, map(str, ports))), default=0) + 1 + brackets
            self.width = max(self.width, min(longest, WIDEST))
        else:
            super().measure(batch)

    def _is_numeric(self, batch: Batch) -> bool:
        """Whether all cells are addresses as numbers, with ports as numbers: so are nearly all."""
        ports = batch.column(self._port)
        family = batch.column("family")
        return (
            self._show_host is None
            and self._show_port is None
            and family.constant
            and family.value in ("inet", "inet6")
            and (self._side != "local" or batch.column("interface") is NONE)
            and not ports.constant
            and batch.column(self._address) is not NONE
            and all(batch.values(self._port))
        )

    def cells(self, batch: Batch) -> Sequence[Cell]:
        if not self._is_numeric(batch):
            return super().cells(batch)
        endpoints = self._numeric_endpoints(batch.column("family").value)
        return endpoints.cells(batch.column(self._address), batch.count, list(batch.values(self._port)))

    def _numeric_endpoints(self, family: str) -> Endpoints:
        """Made when the width is known."""
        endpoints = self._numeric.get(family)
        if endpoints is None:
            brackets = "[]" if family == "inet6" else ("", "")
            endpoints = self._numeric[family] = Endpoints(0 if self.last else self.width, *brackets)
        return endpoints

    def _endpoints(self, batch: Batch) -> Iterable[str]:
        return map(
            self._endpoint,
            batch.values("protocol"),
            batch.values(self._address),
            batch.values(self._port),
            batch.values("interface"),
            batch.values(self._key),
        )

    def _endpoint(
        self, protocol: str, address: str | None, port: int | None, interface: str | None, inode: int | None
    ) -> str:
        if protocol == "unix":
            # Two ends of a connection find each other by inode, since most have no name.
            return f"{address or '*'} {inode if inode is not None else '*'}"
        if protocol == "packet":
            return f"{address}:{interface or '*'}" if self._side == "local" else "*"
        if protocol == "xdp":
            return _queue(interface, port) if self._side == "local" else "*"
        if protocol == "netlink":
            if self._side == "local":
                return f"{address}:{port or 'kernel'}"
            return str(port) if port else "*"
        host = _host((self._show_host or str)(address or "*"))
        if interface is not None and self._side == "local":
            host += f"%{interface}"
        if not port:
            return f"{host}:*"
        return f"{host}:{self._show_port(protocol, port) if self._show_port else port}"


def _queue(interface: str | None, number: int | None) -> str:
    """A queue of an interface, counted from 0; ``*`` where the socket is not bound."""
    return "*" if interface is None else f"{interface}:q{number}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


class Table:
    """Writes a table of these columns; ``add`` each batch, then ``end``."""

    def __init__(self, columns: Sequence[Column], write: Callable[[bytes], object], *, heading: bool = True) -> None:
        self._columns = columns
        self._write = write
        self._heading = heading
        self._held: list[Batch] | None = []
        columns[-1].last = True

    def add(self, batch: Batch) -> None:
        """Writes the rows of a batch, or holds them while the widths are still being found."""
        if not batch.count:
            return
        if self._held is None:
            self._put(batch)
            return
        self._held.append(batch)
        if sum(map(len, self._held)) >= _MEASURED_ROWS:
            self._start()

    def flush(self, to_come: Sequence[Batch] = ()) -> None:
        """Writes what is held back, in columns that are wide enough for the rows to come as well."""
        if self._held:
            self._start(to_come)

    def start(self) -> None:
        """Writes what is held back, at least the heading: rows come one by one from now on."""
        if self._held is not None:
            self._start()

    def end(self) -> None:
        """Writes what is held back, at least the heading."""
        if self._held is not None:
            self._start()

    def _start(self, to_come: Sequence[Batch] = ()) -> None:
        held, self._held = self._held or [], None
        for column in self._columns:
            for batch in (*held, *to_come):
                column.measure(batch)
        if self._heading:
            self._write("".join([column.heading() for column in self._columns]).encode())
        for batch in held:
            self._put(batch)

    def _put(self, batch: Batch) -> None:
        text = rows(batch.count, [cell for column in self._columns for cell in column.cells(batch)])
        self._write(text.encode("utf-8", "backslashreplace"))
