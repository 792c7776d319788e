"""Model files made by hand: a skops file taken apart, changed and put together again."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Schema = dict[str, Any]


def taken_apart(data: bytes) -> tuple[Schema, dict[str, bytes]]:
    """Return the schema and the other members of a skops file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(members.pop("schema.json")), members


def put_together(schema: Schema | bytes, members: dict[str, bytes], **how: Any) -> bytes:
    """Return the skops file of a schema and members."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", **how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        text = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
        archive.writestr("schema.json", text)
    return target.getvalue()


def with_schema(data: bytes, change: Callable[[Schema], Any]) -> bytes:
    """Return the file with its schema changed in place, or by what ``change`` returns."""
    schema, members = taken_apart(data)
    changed = change(schema)
    return put_together(schema if changed is None else changed, members)


def nodes(schema: Any) -> Iterator[Schema]:
    """Yield the nodes of a schema, the outer ones first."""
    if isinstance(schema, dict):
        if "__loader__" in schema:
            yield schema
        for child in schema.values():
            yield from nodes(child)
    elif isinstance(schema, list):
        for child in schema:
            yield from nodes(child)


def with_arrays(data: bytes, change: Callable[[np.ndarray], None]) -> bytes:
    """Return the file with each of its arrays as ``change`` leaves it."""
    schema, members = taken_apart(data)
    for name, content in members.items():
        if name.endswith(".npy"):
            array = np.load(io.BytesIO(content))
            change(array)
            target = io.BytesIO()
            np.save(target, array)
            members[name] = target.getvalue()
    return put_together(schema, members)


def node(module: str, name: str, loader: str, **more: Any) -> Schema:
    """Return a node of a schema."""
    return {"__class__": name, "__module__": module, "__loader__": loader, **more}


def function(module: str, name: str) -> Schema:
    """Return the node of a function."""
    return node(module, name, "FunctionNode")


def text(value: Any) -> Schema:
    """Return the node of a JSON value."""
    return node("builtins", "str", "JsonNode", content=json.dumps(value), is_json=True)


def sequence(kind: str, *items: Schema) -> Schema:
    """Return the node of a list or tuple."""
    return node("builtins", kind, f"{kind.capitalize()}Node", content=list(items))


def mapping(**items: Schema) -> Schema:
    """Return the node of a dictionary."""
    keys = sequence("list", *(node("builtins", "str", "TypeNode") for _ in items))
    return node("builtins", "dict", "DictNode", content=items, key_types=keys)


def with_attribute(data: bytes, value: Schema) -> bytes:
    """Return the file with one more attribute of its outermost estimator."""

    def change(schema: Schema) -> None:
        attributes = schema["content"]
        attributes["content"]["extra_"] = value
        attributes["key_types"]["content"].append(node("builtins", "str", "TypeNode"))

    return with_schema(data, change)
