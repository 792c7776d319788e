"""One digest for equal models: what a file says, without how it happened to be written.

Two files of equal models differ: skops names arrays and objects by their memory address, and
the zip carries the time. The SHA-256 of a file says that these are the bytes of then; the
digest here, that this is the model of then: training again from the same data with the same
code and libraries gives it again, in another process too.

It is the SHA-256 of the schema as compact JSON in a canonical form, in which

- a reference to a member is the SHA-256 of the member's content,
- objects' ids are left out. Whether two equal values are one object (``0.5`` written twice or
  once) says nothing about a model and differs between ways to come by it. Instead, what
  occurs again under an id must be what it was the first time: skops' reader takes the first
  and ignores the rest, so that a file could otherwise show one thing and load another, or
  grow beyond measure while it is read,
- the members of sets are in the order of their JSON: Python's own depends on the process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mlops_assets.core.artifacts.refusal import ArtifactError


def model_digest(schema: Mapping[str, Any]) -> str:
    """Return the digest of a schema in canonical form, 64 hexadecimal digits."""
    return hashlib.sha256(_text(schema).encode()).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


class SchemaReader:
    """Brings the objects of a schema into canonical form while they are parsed.

    Parameters
    ----------
    members
        The file's other members, by name.

    Attributes
    ----------
    named
        The members that nodes refer to.
    types
        ``module.name`` of each type that nodes name.
    versions
        Versions of scikit-learn that estimators were fitted with.
    """

    def __init__(self, members: Mapping[str, bytes]) -> None:
        self.named: set[str] = set()
        self.types: set[str] = set()
        self.versions: set[str] = set()
        self._digests = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
        self._seen: dict[int, dict[str, Any]] = {}

    def object_of(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Return the canonical form of an object whose children have theirs.

        Raises
        ------
        ArtifactError
            If it names a member that is not there, a key occurs twice, or something else
            has its id.
        """
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ArtifactError("its schema holds an object with the same key twice")
        if "__loader__" not in found:
            return found
        self.types.add(f"{found.get('__module__')}.{found.get('__class__')}")
        if "file" in found:
            name = str(found["file"])
            if name not in self._digests:
                raise ArtifactError(f"its schema names {name!r}, which is not in it")
            self.named.add(name)
            found["file"] = self._digests[name]
        content = found.get("content")
        if found["__loader__"] == "SetNode" and isinstance(content, list):
            content.sort(key=_text)
        elif isinstance(content, dict) and "_sklearn_version" in content:
            self.versions.add(_said(content["_sklearn_version"]))
        identity = found.pop("__id__", None)
        if identity is not None:
            if not isinstance(identity, int):
                raise ArtifactError(f"its schema has an object with the id {identity!r}")
            before = self._seen.setdefault(identity, found)
            if before is not found and before != found:
                raise ArtifactError(
                    f"its schema shows two different objects under the id {identity}: "
                    f"{before.get('__class__')} and {found.get('__class__')}"
                )
        return found


def _said(node: Any) -> str:
    """Return the text of a node that holds a string, as far as it is one."""
    return str(node.get("content")).strip('"') if isinstance(node, dict) else str(node)
