"""Hostile and damaged model files, each made from the good one by code.

An attack is what someone can do who writes to the artifact folder and to the DuckDB file, but
has no key: where the file changes, the row's SHA-256 and model digest are changed along with
it, so that the later defences are met and not only the first.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from mlops_assets_tests.core import crafted, fragile
from mlops_assets_tests.core.crafted import function, mapping, node, sequence, text, with_attribute

#: A module that leaves a mark when it is imported.
MARKED = "mlops_assets_marked_module"


def sha256(data: bytes) -> str:
    """Return the digest under which the store keeps a file."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Attack:
    """A file, a change of the row, or both.

    Attributes
    ----------
    refusal
        Pattern of the message that must refuse it: the defence that is meant to.
    content
        From the good file to the hostile one.
    row
        From the good row (JSON as Python has it) to columns that are changed.
    place
        What is done with the path of the file instead of writing content.
    of
        Which of the good files.
    """

    name: str
    refusal: str
    content: Callable[[bytes], bytes] | None = None
    row: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    place: Callable[[Path], None] | None = None
    keep_sha256: bool = False
    of: str = "trees"


class Evil:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def attacks(mark: Path) -> Iterator[Attack]:
    """Yield all attacks; those that run code would create ``mark``."""
    yield from _damaged()
    yield from _zips()
    yield from _schemas()
    yield from _types(mark)
    yield from _contents()
    yield from _rows()


def _damaged() -> Iterator[Attack]:
    def flipped(data: bytes) -> bytes:
        at = len(data) // 2
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    yield Attack("a flipped bit", "damaged or replaced", flipped, keep_sha256=True)
    yield Attack("other weights", "damaged or replaced", heavier, keep_sha256=True, of="linear")
    yield Attack("another version's file", "damaged or replaced", other_file, keep_sha256=True)
    yield Attack("no file", "cannot be read", place=Path.unlink)
    yield Attack("a folder", "no regular file|Is a directory", place=_replaced(Path.mkdir))
    yield Attack("a pipe", "no regular file", place=_replaced(os.mkfifo))
    yield Attack(
        "a device", "no regular file", place=_replaced(lambda p: p.symlink_to("/dev/zero"))
    )
    yield Attack("a circle of links", "cannot be read", place=_replaced(lambda p: p.symlink_to(p)))
    yield Attack("a huge file", "larger than the cap", place=lambda p: os.truncate(p, 2 << 30))
    yield Attack("a digest with a path", "no SHA-256", row=lambda r: {"artifact_sha256": "../../x"})
    yield Attack("an empty file", "empty", lambda data: b"")
    yield Attack("no zip", "no zip", lambda data: b"model" * 1000)
    yield Attack("only a zip's first bytes", "no zip", lambda data: data[:10])
    for share in (0.1, 0.5, 0.9):
        yield Attack(
            f"a file cut at {share:.0%}",
            "truncated",
            lambda data, share=share: data[: int(len(data) * share)],
        )
    yield Attack("a file without its last byte", "truncated", lambda data: data[:-1])
    yield Attack("bytes before", "no zip", lambda data: b"#!/bin/sh\n" + data)
    yield Attack("a zip before", "directory is not", lambda data: data + data)
    yield Attack("bytes behind", "truncated", lambda data: data + b"\0" * 100)


def _zips() -> Iterator[Attack]:
    def rebuilt(**how: Any) -> Callable[[bytes], bytes]:
        return lambda data: crafted.put_together(*crafted.taken_apart(data), **how)

    def bomb(data: bytes) -> bytes:
        schema, members = crafted.taken_apart(data)
        first = next(iter(members))
        members[first] = bytes(200 << 20)
        return crafted.put_together(schema, members, compression=zipfile.ZIP_DEFLATED)

    def sparse_bomb(data: bytes) -> bytes:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data.npy", bytes(200 << 20))
        schema, members = crafted.taken_apart(data)
        members["x.npz"] = inner.getvalue()
        schema["extra"] = node(
            "scipy.sparse._csr", "csr_matrix", "SparseMatrixNode", type="scipy", file="x.npz"
        )
        return crafted.put_together(schema, members)

    def member(**change: Any) -> Callable[[bytes], bytes]:
        def changed(data: bytes) -> bytes:
            schema, members = crafted.taken_apart(data)
            target = io.BytesIO()
            with zipfile.ZipFile(target, "w") as archive:
                for name, content in members.items():
                    archive.writestr(name, content)
                archive.writestr("schema.json", json.dumps(schema))
                info = zipfile.ZipInfo(change.pop("filename", "more.npy"))
                for name, value in change.items():
                    setattr(info, name, value)
                archive.writestr(info, b"content")
            return target.getvalue()

        return changed

    def encrypted(data: bytes) -> bytes:
        at = data.rindex(b"PK\x01\x02")
        return data[: at + 8] + b"\x01\x00" + data[at + 10 :]

    def renamed(data: bytes, new: bytes) -> bytes:
        """Another name of the same length, in both places."""
        _, members = crafted.taken_apart(data)
        old = next(iter(members)).encode()
        return data.replace(old, new + old[len(new) :])

    def announced(data: bytes, members: int) -> bytes:
        return data[:-14] + struct.pack("<HH", members, members) + data[-10:]

    def overlapping(data: bytes) -> bytes:
        """A directory that lists the same megabytes again and again."""
        entry_at, end_at = data.rindex(b"PK\x01\x02"), len(data) - 22
        entry = data[entry_at:end_at]
        count, size = struct.unpack("<HL", data[end_at + 10 : end_at + 16])
        copies = [entry.replace(b"schema.json", b"schema%04d" % i + b"x") for i in range(500)]
        end = bytearray(data[end_at:])
        end[8:16] = struct.pack(
            "<HHL", count + 500, count + 500, size + sum(len(c) for c in copies)
        )
        return data[:end_at] + b"".join(copies) + bytes(end)

    yield Attack("a zip bomb", "compressed", bomb)
    yield Attack("a bomb of overlapping members", "unpack to|path|twice", overlapping)
    yield Attack("a bomb in a sparse matrix", "would unpack", sparse_bomb)
    yield Attack("compressed members", "compressed", rebuilt(compression=zipfile.ZIP_DEFLATED))
    yield Attack("the same member twice", "twice", member(filename="schema.json"))
    yield Attack("an absolute name", "path", lambda d: renamed(d, b"/etc/x"))
    yield Attack("a name that leads out", "path", lambda d: renamed(d, b"../../x"))
    yield Attack("a name of another system", "path", lambda d: renamed(d, b"C:\\x"))
    yield Attack("a symbolic link", "symbolic link", member(external_attr=0o120777 << 16))
    yield Attack("an encrypted member", "encrypted", encrypted)
    yield Attack("a member that nothing names", "does not name", member())
    yield Attack("fewer members than announced", "announces", lambda d: announced(d, 60_000))
    yield Attack("more members than announced", "announces|directory of", lambda d: announced(d, 5))
    yield Attack("a zip with 64-bit sizes", "more than", lambda d: announced(d, 0xFFFF))
    yield Attack("a directory of unannounced size", "directory", lambda d: announced(d, 1))


def _schemas() -> Iterator[Attack]:
    def replaced(schema: bytes) -> Callable[[bytes], bytes]:
        return lambda data: crafted.put_together(schema, crafted.taken_apart(data)[1])

    def without_schema(data: bytes) -> bytes:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for name, content in crafted.taken_apart(data)[1].items():
                archive.writestr(name, content)
        return target.getvalue()

    def nested(depth: int) -> crafted.Schema:
        inner = text(0)
        for _ in range(depth):
            inner = sequence("list", inner)
        return inner

    def missing(schema: crafted.Schema) -> None:
        next(n for n in crafted.nodes(schema) if "file" in n)["file"] = "gone.npy"

    def one_identity(schema: crafted.Schema) -> None:
        arrays = [n for n in crafted.nodes(schema) if "file" in n]
        arrays[-1]["__id__"] = arrays[0]["__id__"]

    def laughs(data: bytes) -> bytes:
        """Each list holds the one before ten times; only the first time in full."""
        inner, identity = text("ha"), 1
        for identity in range(1, 31):
            inner = sequence("list", inner, *({"__id__": identity - 1} for _ in range(9)))
            inner["__id__"] = identity
            inner["content"][1:] = [sequence("list") | {"__id__": identity - 1} for _ in range(9)]
        return with_attribute(data, inner)

    def as_it_was(data: bytes) -> bytes:
        return crafted.with_schema(data, lambda s: {**s, "protocol": -1})

    yield Attack("no schema", "no schema.json", without_schema)
    yield Attack("a schema that is no JSON", "no JSON", replaced(b"{"))
    yield Attack("a schema in no encoding", "no JSON", replaced(b'{"\xff\xfe": 1}'))
    yield Attack("a schema that is a list", "no JSON object", replaced(b"[]"))
    yield Attack("an empty schema", "does not name", replaced(b"{}"))
    yield Attack("a number that is none", "no JSON", replaced(b'{"a": NaN}'))
    yield Attack("the same key twice", "same key", replaced(b'{"a": 1, "a": 2}'))
    yield Attack("brackets without end", "nested", replaced(b'{"a":' + b"[" * 200_000))
    yield Attack("deep nesting", "nested", lambda d: with_attribute(d, nested(150)))
    yield Attack("too many nodes", "nodes", replaced(b'{"a": [' + b"[]," * 1_000_001 + b"0]}"))
    yield Attack(
        "an array that is not there", "not in it", lambda d: crafted.with_schema(d, missing)
    )
    yield Attack(
        "one id, two arrays", "under the id", lambda d: crafted.with_schema(d, one_identity)
    )
    yield Attack("a billion laughs", "under the id", laughs)
    yield Attack("a protocol from before", "cannot be loaded", as_it_was)
    yield Attack(
        "an unknown loader",
        "cannot be loaded",
        lambda d: with_attribute(d, node("builtins", "str", "ShellNode", content="ls")),
    )


def _types(mark: Path) -> Iterator[Attack]:
    touch = f"touch {mark}"
    system = function("posix", "system")

    def extra(name: str, value: crafted.Schema, refusal: str = "not trusted") -> Attack:
        return Attack(name, refusal, lambda data: with_attribute(data, value))

    def partial(target: crafted.Schema, *arguments: crafted.Schema) -> crafted.Schema:
        return node(
            "functools",
            "partial",
            "PartialNode",
            content={
                "func": target,
                "args": sequence("tuple", *arguments),
                "kwds": mapping(),
                "namespace": text(None),
            },
        )

    yield extra("os.system", system)
    yield extra("eval", function("builtins", "eval"))
    yield extra("eval as a type", node("builtins", "eval", "TypeNode"))
    yield extra("a partial of os.system", partial(system, text(touch)))
    yield extra(
        "a call of os.system by its constructor",
        node(
            "posix", "system", "ConstructorFromReduceNode", content=sequence("tuple", text(touch))
        ),
    )
    yield extra(
        "a process by its constructor",
        node(
            "subprocess",
            "Popen",
            "ConstructorFromReduceNode",
            content=sequence("tuple", text(["touch", str(mark)])),
        ),
    )
    # CVE-2025-54412: the operator that is called is not the one that is shown.
    yield extra(
        "a hidden operator",
        node(
            "operator",
            "methodcaller",
            "OperatorFuncNode",
            attrs=sequence("tuple", text("__reduce__")),
        ),
    )
    yield extra(
        "an operator that calls",
        node("operator", "call", "OperatorFuncNode", attrs=sequence("tuple", system, text(touch))),
    )
    yield extra(
        "an operator of another module",
        node("posix", "system", "OperatorFuncNode", attrs=sequence("tuple", text(touch))),
        "cannot be loaded",
    )
    # CVE-2025-54413: a method of a trusted object is not itself trusted.
    yield extra(
        "a method of a trusted object",
        node("builtins", "str", "MethodNode", content={"obj": text("x"), "func": "__reduce_ex__"}),
    )
    yield extra(
        "a method of another object than shown",
        node("builtins", "int", "MethodNode", content={"obj": text("x"), "func": "format"}),
        "cannot be loaded",
    )
    # A loss was imported before it was looked at.
    yield extra(
        "a loss that is imported",
        node(
            MARKED,
            "Loss",
            "LossNode",
            content=mapping(),
            __reduce__={"args": sequence("tuple")},
        ),
    )
    yield extra("a module that is imported", function(MARKED, "anything"))
    yield extra("an object of the main program", node("__main__", "Evil", "ObjectNode"))
    yield extra(
        "a default that is os.system",
        node(
            "collections",
            "defaultdict",
            "DefaultDictNode",
            content={"main": mapping(), "default_factory": system},
        ),
    )
    # Keys are made by calling their type.
    yield extra(
        "a key that is run",
        node(
            "builtins",
            "dict",
            "DictNode",
            content={touch: text(1)},
            key_types=sequence("list", node("posix", "system", "TypeNode")),
        ),
    )
    yield extra(
        "a random generator that is another function",
        node(
            "numpy.random._generator",
            "Generator",
            "RandomGeneratorNode",
            content={
                "bit_generator": mapping(bit_generator=text("set_bit_generator")),
                "seed_seq": mapping(entropy=text(1)),
            },
        ),
    )

    def itself_trusted(data: bytes) -> bytes:
        hostile = with_attribute(data, system)
        return crafted.with_schema(
            hostile, lambda s: {**s, "trusted": ["posix.system"], "trusted_types": ["posix.system"]}
        )

    yield Attack("a file that trusts itself", "not trusted", itself_trusted)
    yield Attack("a pickle", "no zip", lambda data: _pickled(Evil(str(mark))))
    yield Attack("a joblib file", "no zip", lambda data: _dumped(Evil(str(mark))))
    yield Attack(
        "a pickle in an array",
        "cannot be loaded",
        lambda data: _pickled_array(data, Evil(str(mark))),
    )


def _contents() -> Iterator[Attack]:
    def nodes_of(field: str, value: int) -> Callable[[bytes], bytes]:
        def change(array: np.ndarray) -> None:
            if array.dtype.names and field in array.dtype.names:
                array[field][0] = value

        return lambda data: crafted.with_arrays(data, change)

    def position(schema: crafted.Schema) -> None:
        for found in crafted.nodes(schema):
            content = found.get("content")
            if isinstance(content, dict) and "pos" in content:
                content["pos"] = text(2**31 - 1)

    def no_categories(data: bytes) -> bytes:
        def change(array: np.ndarray) -> None:
            if array.dtype.names and "bitset_idx" in array.dtype.names:
                array["bitset_idx"][array["is_categorical"] != 0] = 10**6

        return crafted.with_arrays(data, change)

    def neighbours(array: np.ndarray) -> None:
        if array.dtype == np.int64 and array.ndim == 1 and len(array) > 50:
            array[0] = 10**9

    def other_type(data: bytes) -> bytes:
        def change(array: np.ndarray) -> None:
            if array.dtype.names and "left" in array.dtype.names:
                array["left"][array["is_leaf"] == 0] = 0

        return crafted.with_arrays(data, change)

    def attributes(name: str, value: Any) -> Callable[[bytes], bytes]:
        def change(schema: crafted.Schema) -> None:
            for found in crafted.nodes(schema):
                if found["__class__"] in ("RandomForestClassifier",):
                    found["content"]["content"][name] = text(value)

        return lambda data: crafted.with_schema(data, change)

    def trusted(name: str) -> Callable[[bytes], bytes]:
        value = node(fragile.__name__, name, "ObjectNode", content=mapping(a=text(1)))
        return lambda data: with_attribute(data, value)

    yield Attack(
        "a random state out of bounds",
        "position",
        lambda d: crafted.with_schema(d, position),
        of="network",
    )
    behind = "not behind it"
    yield Attack("a tree's child out of bounds", behind, nodes_of("left_child", 10**8), of="forest")
    yield Attack("a tree that runs in circles", behind, nodes_of("right_child", 0), of="forest")
    yield Attack("a tree's child below zero", behind, nodes_of("left_child", -5), of="forest")
    yield Attack(
        "a tree's feature out of bounds",
        "asks for feature",
        nodes_of("feature", 10**8),
        of="forest",
    )
    yield Attack(
        "a forest for more features", "features", attributes("n_features_in_", 1), of="forest"
    )
    yield Attack("a boosted tree's child out of bounds", behind, nodes_of("left", 4 * 10**9))
    yield Attack("a boosted tree that runs in circles", behind, other_type)
    yield Attack(
        "a boosted tree's feature out of bounds", "asks for", nodes_of("feature_idx", 10**9)
    )
    yield Attack("categories out of bounds", "categories", no_categories)
    yield Attack(
        "neighbours out of bounds",
        "neighbours",
        lambda d: crafted.with_arrays(d, neighbours),
        of="neighbours",
    )
    yield Attack("a crash", "crashed the process.*SIGSEGV", trusted("Crashing"))
    yield Attack("an exit", "crashed the process.*status 3", trusted("Exiting"))
    yield Attack("a hoard", "memory", trusted("Hoarding"))
    yield Attack("tampered weights, rehashed", "golden row", heavier, of="linear")
    yield Attack("another model, rehashed", "golden row", other_file, of="linear")


def _rows() -> Iterator[Attack]:
    def library(name: str, version: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def change(row: dict[str, Any]) -> dict[str, Any]:
            libraries = row["environment"]["libraries"] | {name: version}
            return {"environment": row["environment"] | {"libraries": libraries}}

        return change

    def golden(change: Callable[[list[list[str]]], Any]) -> Callable[[dict[str, Any]], Any]:
        def changed(row: dict[str, Any]) -> dict[str, Any]:
            outputs = [list(said) for said in row["golden"]["outputs"]]
            change(outputs)
            return {"golden": row["golden"] | {"outputs": outputs}}

        return changed

    def last_bit(outputs: list[list[str]]) -> None:
        outputs[3][0] = np.nextafter(float.fromhex(outputs[3][0]), 2).hex()

    def older(data: bytes) -> bytes:
        schema, members = crafted.taken_apart(data)
        for found in crafted.nodes(schema):
            content = found.get("content")
            if isinstance(content, dict) and "_sklearn_version" in content:
                content["_sklearn_version"] = text("0.24.0")
        return crafted.put_together(schema, members)

    for name in ("scikit-learn", "skops", "numpy"):
        yield Attack(f"another {name}", f"registered with {name} 0.1", row=library(name, "0.1"))
    yield Attack("no libraries", "unknown version", row=lambda r: {"environment": {}})
    yield Attack("a file of another scikit-learn", "written by scikit-learn 0.24.0", older)
    yield Attack("an edited digest", "holds the model", row=lambda r: {"model_digest": "0" * 64})
    yield Attack("no digest", "without a model digest", row=lambda r: {"model_digest": None})
    yield Attack("a golden output's last bit", "golden row 3", row=golden(last_bit))
    yield Attack("a golden row less", "golden rows", row=golden(lambda o: o.pop()))
    yield Attack("no golden rows", "without golden rows", row=lambda r: {"golden": None})
    yield Attack(
        "the file of another version",
        "holds the model",
        row=lambda r: {"artifact_sha256": sha256(OTHER["ridge"])},
    )


def heavier(data: bytes) -> bytes:
    """Weights that are a little larger."""

    def change(array: np.ndarray) -> None:
        if array.dtype == np.float64 and array.size:
            array *= 1.001

    return crafted.with_arrays(data, change)


def other_file(data: bytes) -> bytes:
    """Another good model."""
    return OTHER["ridge"]


#: Good files by name; filled by the test that makes them.
OTHER: dict[str, bytes] = {}


def _replaced(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def _pickled(value: Any) -> bytes:
    import pickle

    return pickle.dumps(value)


def _dumped(value: Any) -> bytes:
    target = io.BytesIO()
    joblib.dump(value, target)
    return target.getvalue()


def _pickled_array(data: bytes, value: Any) -> bytes:
    target = io.BytesIO()
    np.save(target, np.array([value], dtype=object), allow_pickle=True)
    schema, members = crafted.taken_apart(data)
    members[next(iter(members))] = target.getvalue()
    return crafted.put_together(schema, members)


def marked_module(folder: Path, mark: Path) -> None:
    """Make the module importable that leaves the mark."""
    (folder / f"{MARKED}.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    sys.path.insert(0, str(folder))
