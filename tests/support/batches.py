"""Batches for tests of what takes columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netinspect.engine.schema import Schema
from netinspect.nouns.sockets.decode_common import SOCKET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netinspect.engine.columns import Batch


def batch_of(count: int, columns: Mapping[str, Any], record: str = "Socket") -> Batch:
    """``count`` rows of these columns; the record's other fields are None."""
    fields = SOCKET if record == "Socket" else Schema.of_fields(record)
    return fields.wider(name for name in columns if name not in fields.columns).given(count, columns)
