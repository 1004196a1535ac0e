"""The JSON schema of the records, derived from their annotations (JSON Schema 2020-12)."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_PLAIN = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}


def schema(record: type) -> dict[str, Any]:
    """The schema of one record. No field is required: the options and `--columns` decide which are given."""
    return {"$schema": DIALECT, "title": record.__name__, **_object(record)}


def array_schema(record: type) -> dict[str, Any]:
    """The schema of the JSON output: an array of records. NDJSON has one such record a line."""
    return {"$schema": DIALECT, "title": f"list of {record.__name__}", "type": "array", "items": _object(record)}


def _object(record: type) -> dict[str, Any]:
    hints = get_type_hints(record, include_extras=True)
    return {
        "type": "object",
        "description": (record.__doc__ or "").partition("\n")[0],
        "properties": {name: _value(hint) for name, hint in hints.items()},
        "additionalProperties": False,
    }


def _value(hint: Any) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return {**_value(arguments[0]), "description": arguments[1]}
    if origin in (Union, types.UnionType):
        return _either([_value(argument) for argument in arguments])
    if origin is tuple:
        return {"type": "array", "items": _value(arguments[0])}
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    return _object(hint)


def _either(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    if all(set(item) == {"type"} for item in schemas):
        return {"type": [item["type"] for item in schemas]}
    return {"anyOf": schemas}
