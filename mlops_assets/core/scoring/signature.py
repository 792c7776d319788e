"""What a model version demands of a frame of features, and what it answers with.

How a signature is made when a version is trained, and how it is enforced at every scoring.
Which types become which belongs in ``widening``; calling the estimator in ``scoring``.

The signature
-------------
A version's is JSON and never changes::

    {"inputs":  [{"name", "type", "nullable"}                      boolean, integer, number
                 {"name", "type", "nullable", "categories"} ...],  category
     "output":  {"problem", "classes", "prior", "columns": [{"name", "type", ...}]},
     "rules":   {"extra_columns", "on_unseen_category", "on_missing"}}

``nullable``
    Whether the training data had missing values.
``categories``
    The values seen in training, sorted; ``None`` where there were more than
    ``DOMAIN_VALUES``, or longer ones than ``DOMAIN_CHARACTERS`` in all: then
    ``category_count`` says how many. The range of numbers is no part of the contract: it is
    in the drift reference.
``classes``
    Sorted; the positive class of a binary problem is the second, as in scikit-learn: True, 1,
    or the last in alphabetical order; ``None`` for regression.
``prior``
    What the *baseline* predicts, from all training labels. Classification:
    ``{"rates": [...]}`` in the order of ``classes``; regression: ``{"median", "mean"}``.
``columns``
    Of ``scoring.predict``: none is ever missing.
``rules``
    As the model was declared when the version was trained; see ``Model``.

Signatures from before there were ``rules``, ``categories`` or finer types than number and
category are enforced as far as they go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_assets.core.scoring.casting import Offence, cast
from mlops_assets.core.scoring.column_kinds import NOTHING, kind_of
from mlops_assets.core.scoring.widening import BOOLEAN, CATEGORY, INTEGER, NUMBER, TABLE

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_assets.vocabulary import Model

#: Most values of a category that are recorded as its domain, and most characters of them.
DOMAIN_VALUES = 1_000
DOMAIN_CHARACTERS = 100_000
#: Columns of a training set that are no features.
NOT_FEATURES = frozenset(
    {"row_key", "as_of", "partition_date", "label", "label_known_at", "split", "row_ordinal"}
)
#: Columns that this project carries beside features, and that so are never extra.
_CARRIED = NOT_FEATURES | {"ordinal"}
#: What is enforced where nothing was declared.
_RULES = {"extra_columns": "ignore", "on_unseen_category": "allow", "on_missing": "allow"}


@dataclass(frozen=True)
class Mismatch:
    """One way in which a frame does not fit.

    Attributes
    ----------
    wanted
        ``None``: the column is not wanted at all.
    row, value
        Position of the first row that is the cause, and the value there; ``None`` if no
        single row is.
    """

    column: str
    found: str
    wanted: str | None
    reason: str
    remedy: str
    row: int | None = None
    value: Any = None

    def __str__(self) -> str:
        text = f"{self.column} is {self.found}"
        if self.wanted is not None:
            text += f", not {self.wanted}"
        if self.reason:
            text += f": {self.reason}"
        if self.row is not None:
            text += f" (row {self.row}: {_short(self.value)})"
        return f"{text}; {self.remedy}"


class SignatureError(ValueError):
    """A frame does not fit a model's signature; ``mismatches`` and the message have them all."""

    def __init__(self, what: str, mismatches: Sequence[Mismatch]) -> None:
        shown = [str(mismatch) for mismatch in mismatches]
        listed = shown[0] if len(shown) == 1 else "".join(f"\n  - {one}" for one in shown)
        super().__init__(f"{what}: {listed}")
        self.mismatches = tuple(mismatches)


def rules(model: Model) -> dict[str, str]:
    """Return what a model declares about frames, for the signature of its next version."""
    return {name: getattr(model, name) for name in _RULES}


def inputs(frame: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the input part of a signature, in the order of ``columns``.

    Without any value, a column counts as a category if its type says text, else as what its
    type says, or as a number.

    Raises
    ------
    SignatureError
        If a column is nothing that a model can be trained on.
    """
    described, mismatches = [], []
    for name in columns:
        values: Any = frame[name]
        kind = kind_of(values)
        type_ = NUMBER if kind == NOTHING else TABLE[kind].recorded
        if type_ is None:
            row = TABLE[kind]
            found = f"{values.dtype} ({kind})"
            reason = row.rules[NUMBER].reason
            mismatches.append(Mismatch(name, found, "numbers or text", reason, row.remedy))
            continue
        missing = bool(values.isna().any())
        described.append({"name": name, "type": type_, "nullable": missing})
        if type_ == CATEGORY:
            described[-1] |= _domain(values)
    if mismatches:
        raise SignatureError("The features cannot be trained on", mismatches)
    return described


def _domain(values: pd.Series) -> dict[str, Any]:
    found = [value for value in values.unique().tolist() if isinstance(value, str)]
    if len(found) > DOMAIN_VALUES or sum(map(len, found)) > DOMAIN_CHARACTERS:
        return {"categories": None, "category_count": len(found)}
    return {"categories": sorted(found)}


def output_columns(problem: str, classes: Sequence[Any] | None) -> list[dict[str, Any]]:
    """Return names and types of what ``scoring.predict`` answers with.

    Probabilities are from 0 to 1. Whatever a problem has no use for is left out here, and
    holds nothing there.
    """
    number = {"type": NUMBER, "nullable": False}
    if classes is None:
        return [{"name": "prediction", **number}]
    types = {bool: BOOLEAN, int: INTEGER}
    predicted = {"type": types.get(type(classes[0]), CATEGORY), "nullable": False}
    probability = {**number, "minimum": 0, "maximum": 1}
    columns = [{"name": "prediction", **predicted}, {"name": "score", **probability}]
    if problem == "multiclass":
        return [*columns, {"name": "scores", **probability, "by": [str(c) for c in classes]}]
    return columns


def refuse_unenforceable(signature: Mapping[str, Any]) -> None:
    """Raise if a rule was declared that the training data leave nothing to enforce by.

    Raises
    ------
    SignatureError
        If unseen categories are to be refused and a column has too many for a domain.
    """
    if _rule(signature, "on_unseen_category") != "refuse":
        return
    endless = [
        Mismatch(
            column["name"],
            f"of {column['category_count']} categories",
            f"up to {DOMAIN_VALUES} of {DOMAIN_CHARACTERS} characters",
            "on_unseen_category is 'refuse'",
            "leave the column out, group its values in the feature view, or allow unseen ones",
        )
        for column in signature["inputs"]
        if column["type"] == CATEGORY and column.get("categories") is None
    ]
    if endless:
        raise SignatureError("The domain of a category is not recorded", endless)


def conform(frame: pd.DataFrame, signature: Mapping[str, Any]) -> dict[str, np.ndarray | pd.Series]:
    """Return the columns of the signature, in its order, each as ``casting.cast`` makes it.

    Raises
    ------
    SignatureError
        If any does not fit; with every mismatch of the frame.
    TypeError
        If it is no frame: without names, columns could only be guessed at.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"Features are a pandas DataFrame with the columns of the signature, not "
            f"{type(frame).__name__}; make one of it, with names"
        )
    mismatches: list[Mismatch] = []
    taken: dict[str, np.ndarray | pd.Series] = {}
    unseen = _rule(signature, "on_unseen_category") == "refuse"
    missing = _rule(signature, "on_missing") == "refuse"
    there = frame.columns
    unique = there.is_unique
    for column in signature["inputs"]:
        name, wanted = column["name"], column["type"]
        if name not in there:
            mismatches.append(Mismatch(name, "missing", None, f"wanted as {wanted}", _ADD))
            continue
        values: Any = frame[name]
        if not unique and values.ndim > 1:
            mismatches.append(
                Mismatch(name, f"there {values.shape[1]} times", "once", "", "keep one of them")
            )
            continue
        made = cast(values, wanted)
        if isinstance(made, Offence):
            found = f"{values.dtype} ({kind_of(values)})"
            mismatches.append(
                Mismatch(name, found, wanted, made.reason, made.remedy, made.row, made.value)
            )
            continue
        if missing and not column["nullable"]:
            mismatches += _missing(name, values)
        if unseen and wanted == CATEGORY:
            mismatches += _unseen(name, made, column.get("categories"))
        taken[name] = made
    if _rule(signature, "extra_columns") == "refuse":
        mismatches += _extra(there, signature)
    if mismatches:
        raise SignatureError(
            f"The features do not fit the model's signature ({len(mismatches)} mismatches of "
            f"{len(signature['inputs'])} columns)",
            mismatches,
        )
    return taken


_ADD = "correct the feature view, or train a version without it"


def _rule(signature: Mapping[str, Any], name: str) -> str:
    return signature.get("rules", {}).get(name, _RULES[name])


def _missing(name: str, values: pd.Series) -> list[Mismatch]:
    gone = values.isna().to_numpy()
    if not gone.any():
        return []
    found = f"missing in {int(gone.sum())} of {len(values)} rows"
    reason = "training had none, and on_missing is 'refuse'"
    remedy = "fill it in the feature view, or allow it and train a version"
    return [Mismatch(name, found, "always there", reason, remedy, int(gone.argmax()))]


def _unseen(name: str, made: Any, categories: Sequence[str] | None) -> list[Mismatch]:
    if categories is None:  # recorded before there were domains
        return []
    known = set(categories)
    new = [value for value in made.dropna().unique().tolist() if value not in known]
    if not new:
        return []
    more = f" and {len(new) - 5} more" if len(new) > 5 else ""
    found = ", ".join(map(_short, new[:5])) + more
    wanted = f"one of the {len(known)} categories of training"
    remedy = "map it to a known one in the feature view, or train a version that has seen it"
    row = int((made == new[0]).to_numpy().argmax())
    return [Mismatch(name, found, wanted, "on_unseen_category is 'refuse'", remedy, row, new[0])]


def _extra(there: pd.Index, signature: Mapping[str, Any]) -> list[Mismatch]:
    known = _CARRIED.union(column["name"] for column in signature["inputs"])
    reason = "not in the signature, and extra_columns is 'refuse'"
    remedy = "take it out of the model's features, or train a version with it"
    return [
        Mismatch(str(name), "extra", None, reason, remedy) for name in there if name not in known
    ]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
