"""Every noun declares a column for each field of its record, and nothing else that is not named as an extra."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import netinspect
from netinspect import records
from netinspect.engine.json_schema import array_schema
from netinspect.engine.schema import Schema

PACKAGE = Path(netinspect.__file__).parent
MODULES = [
    ".".join(("netinspect", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in sorted(PACKAGE.rglob("*.py"))
    if "Schema" in path.read_text()
]
FOUND = [
    pytest.param(value, id=f"{module}:{name}")
    for module in MODULES
    for name, value in vars(import_module(module)).items()
    if isinstance(value, Schema)
]


@pytest.mark.parametrize("schema", FOUND)
def test_a_schema_covers_the_fields_of_its_record(schema: Schema) -> None:
    fields = set(getattr(records, schema.record)._fields)
    assert fields - schema.columns.keys() == set()
    assert schema.columns.keys() - fields == schema.extra


def test_the_nouns_that_are_decoded_as_columns_have_a_schema() -> None:
    found = {parameter.values[0].record for parameter in FOUND}  # type: ignore[attr-defined]
    expected = {"Socket", "TcpInfo", "CongestionInfo", "Memory", "Route", "Neighbour", "Rule", "Link", "LinkStatistics"}
    assert found >= expected | {"Address", "Flow", "FlowEvent", "Expectation", "Translation"}


def test_only_declared_columns_have_request_needs() -> None:
    from netinspect.nouns.sockets.decode_common import SOCKET
    from netinspect.nouns.sockets.request import NEEDS, needed

    assert NEEDS.keys() <= SOCKET.columns.keys()
    assert needed(["inode"]) == set()
    assert needed(["inode", "mptcp_info", "memory"]) == {"tcp_info", "memory"}


@pytest.mark.parametrize("record", [records.Socket, records.Difference, records.Finding])
def test_a_schema_is_one(record: type) -> None:
    # The tests of each noun validate what it writes, and take the schema itself for granted: to check it takes long.
    Draft202012Validator.check_schema(array_schema(record))
