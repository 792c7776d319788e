"""What a model file must look like before anything in it is interpreted.

A skops file is a zip of ``schema.json``, a tree of nodes, and of the arrays that the nodes
name. Here the zip and the tree are checked as data: sizes, counts, depth, names, and that
nodes and members fit together. No type is looked up and no module imported; whether the
types may be loaded belongs in ``artifacts`` and ``guard``.

The store writes members uncompressed. So a compressed member is not ours, members cannot
add up to more than the file, and there are no zip bombs to measure.
"""

from __future__ import annotations

import io
import json
import stat
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_assets.core.artifacts.model_digest import SchemaReader
from mlops_assets.core.artifacts.refusal import ArtifactError

MAX_BYTES = 1 << 30
#: Members of a zip without the 64-bit extension: 65,534. A tree of a forest takes four.
MAX_MEMBERS = 0xFFFE
#: Bytes of the zip's directory for each member: 46 and the name.
MAX_DIRECTORY_ENTRY = 256
MAX_SCHEMA_BYTES = 64 << 20
#: Objects and lists in the schema. 40 boosted trees have 1,400, a forest of 1,000 has 40,000.
MAX_NODES = 1_000_000
#: Nesting of the schema. Boosted trees behind a column transformer have 27; skops' own reader
#: needs three Python frames for two levels, of which there are 1,000.
MAX_DEPTH = 200
#: Sparse matrices are zips of their own, and compressed.
MAX_SPARSE_RATIO = 100
MAX_SPARSE_FLOOR = 64 << 20

SCHEMA = "schema.json"
_END = struct.Struct("<4s4H2LH")


@dataclass(frozen=True)
class Contents:
    """A model file taken apart.

    Attributes
    ----------
    schema
        The tree of nodes in canonical form, see ``model_digest``.
    types
        Names of all types that its nodes name, as ``module.name``.
    versions
        Versions of scikit-learn that its estimators say they were fitted with.
    """

    schema: dict[str, Any]
    types: frozenset[str]
    versions: frozenset[str]


def open_file(data: bytes) -> Contents:
    """Take the bytes of a model file apart.

    Raises
    ------
    ArtifactError
        If they are no zip as the store writes it, or exceed one of the caps of this module.
    """
    announced = _announced_members(data)
    members: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = archive.infolist()
            if len(listed) != announced:
                raise ArtifactError(f"it holds {len(listed)} members and announces {announced}")
            _refuse_odd_members(listed, len(data))
            for member in listed:
                members[member.filename] = archive.read(member)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise ArtifactError(f"it is a damaged zip: {error}") from error
    if SCHEMA not in members:
        raise ArtifactError(f"it has no {SCHEMA}, so it is no skops file")
    text = members.pop(SCHEMA)
    for name, content in members.items():
        if name.endswith(".npz"):
            _refuse_sparse_bomb(name, content)
    return _parse(text, members)


def _announced_members(data: bytes) -> int:
    """Return how many members the end record announces.

    Requires the end record at the very end and a directory just before it, which excludes
    bytes before and after. Python's reader goes by the directory's size and ignores the
    count, so the size is limited by the count before the directory is read.
    """
    if not data:
        raise ArtifactError("it is empty")
    if len(data) < _END.size or data[:4] != b"PK\x03\x04":
        raise ArtifactError("it is no zip and therefore no skops file")
    signature, disk, first, here, members, size, offset, comment = _END.unpack(data[-_END.size :])
    if signature != b"PK\x05\x06" or comment:
        raise ArtifactError("it is a truncated zip, or one with something behind its end")
    if disk or first or here != members:
        raise ArtifactError("it is a part of a zip of several files")
    if members > MAX_MEMBERS or size == 0xFFFFFFFF or offset == 0xFFFFFFFF:
        raise ArtifactError(f"it has more than {MAX_MEMBERS} members or 4 GB")
    if offset + size != len(data) - _END.size:
        raise ArtifactError("it is a zip whose directory is not where its end says")
    if size > members * MAX_DIRECTORY_ENTRY:
        raise ArtifactError(f"it is a zip with a directory of {size} bytes for {members} members")
    return members


def _refuse_odd_members(listed: list[zipfile.ZipInfo], file_bytes: int) -> None:
    seen: set[str] = set()
    total = 0
    for member in listed:
        name = member.filename
        if name in seen:
            raise ArtifactError(f"it holds {name!r} twice")
        seen.add(name)
        if "/" in name or "\\" in name or "\0" in name or ":" in name or name in ("", ".", ".."):
            raise ArtifactError(f"it holds a member with a path, {name!r}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ArtifactError(f"its member {name!r} is a symbolic link")
        if member.flag_bits & 0x1:
            raise ArtifactError(f"its member {name!r} is encrypted")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ArtifactError(f"its member {name!r} is compressed, which the store never does")
        total += member.file_size
        if name == SCHEMA and member.file_size > MAX_SCHEMA_BYTES:
            raise ArtifactError(f"its schema has {member.file_size} bytes, over {MAX_SCHEMA_BYTES}")
    if total > file_bytes:
        raise ArtifactError(f"it would unpack to {total} bytes, from {file_bytes}")


def _parse(text: bytes, members: Mapping[str, bytes]) -> Contents:
    nodes = text.count(b"{") + text.count(b"[")
    if nodes > MAX_NODES:
        raise ArtifactError(f"its schema has {nodes} nodes, over {MAX_NODES}")
    reader = SchemaReader(members)
    try:
        schema = json.loads(
            text, parse_constant=_refuse_constant, object_pairs_hook=reader.object_of
        )
    except RecursionError as error:
        raise ArtifactError(f"its schema is nested deeper than {MAX_DEPTH}") from error
    except ValueError as error:
        raise ArtifactError(f"its schema is no JSON: {error}") from error
    if not isinstance(schema, dict):
        raise ArtifactError("its schema is no JSON object")
    _refuse_depth(schema)
    if unnamed := sorted(set(members) - reader.named):
        raise ArtifactError(f"it holds {unnamed[0]!r}, which its schema does not name")
    return Contents(schema, frozenset(reader.types), frozenset(reader.versions))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _refuse_depth(schema: dict[str, Any]) -> None:
    level: list[Any] = [schema]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise ArtifactError(f"its schema is nested deeper than {MAX_DEPTH}")


def _refuse_sparse_bomb(name: str, content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as inner:
            unpacked = sum(member.file_size for member in inner.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ArtifactError(f"its sparse matrix {name!r} is damaged: {error}") from error
    allowed = max(MAX_SPARSE_FLOOR, MAX_SPARSE_RATIO * len(content))
    if unpacked > allowed:
        raise ArtifactError(
            f"its sparse matrix {name!r} would unpack to {unpacked} bytes, over {allowed}"
        )
