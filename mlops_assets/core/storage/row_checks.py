"""Which rows break the declared checks or repeat a key, and the words for it.

The checks are pandera's, called one by one: ``DataFrameSchema.validate`` alone takes longer
than everything done here and in ``contracts`` (15 against 9 ms for 6,500 rows of 12 columns,
pandera 0.35) and turns row failures into text that would have to be parsed again. Column
types and missing values belong in ``contracts``, which calls this with a frame that has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlops_assets.vocabulary import DeclarationError

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa


class ContractError(ValueError):
    """A frame as a whole breaks its contract. ``problems`` has one sentence for each."""

    def __init__(self, problems: Iterable[str]):
        self.problems = list(problems)
        super().__init__("; ".join(self.problems))


@dataclass
class RowProblems:
    """Reasons by row position: what each row breaks, in general and with its value."""

    found: dict[int, list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, positions: Iterable[int], rule: str, reasons: Iterable[str]) -> None:
        """Note for each row the broken ``rule`` and the reason, which has the value."""
        for position, reason in zip(positions, reasons, strict=True):
            self.found.setdefault(int(position), []).append((rule, reason))

    def __bool__(self) -> bool:
        return bool(self.found)


def check_rows(
    schema: pa.DataFrameSchema,
    frame: pd.DataFrame,
    key: Sequence[str],
    problems: RowProblems,
    groups: pd.Series | None = None,
) -> bool:
    """Add to ``problems`` what the rows of a conformed frame break.

    Rows that already have problems are left out. ``groups`` (a label for each row, such as
    its day) separates rows that are never duplicates of each other. Returns whether the
    schema judges rows together (a check over a whole column, unique columns), so that the
    outcome for one group might depend on the others.

    Raises
    ------
    ContractError
        If a check that judges the whole frame fails.
    """
    unknown = [name for name in key if name not in schema.columns]
    if unknown:
        raise DeclarationError(f"key: {', '.join(unknown)} is not a column of the schema")
    rest = frame.drop(index=list(problems.found)) if problems else frame
    together = False
    failures: list[str] = []
    found = RowProblems()
    # A check sees at least one row: over none, a mean or a maximum means nothing.
    if len(rest):
        for name, column in schema.columns.items():
            for check in column.checks:
                values = rest[name]
                output = check(values).check_output if check.groupby is None else check(
                    rest, name
                ).check_output  # fmt: skip
                together |= _collect(check, output, values, f"{name}: ", found, failures)
        for check in schema.checks or ():
            together |= _collect(check, check(rest).check_output, None, "", found, failures)
    if failures:
        raise ContractError(failures)
    unique = [[n] for n, column in schema.columns.items() if column.unique]
    unique += _unique_sets(schema)
    together |= bool(unique)
    rest = rest.drop(index=list(found.found)) if found else rest
    for names in unique:
        _duplicates(rest, list(names), None, found)
    if key:
        _duplicates(rest, list(key), groups, found)
    for position, reasons in found.found.items():
        problems.found.setdefault(position, []).extend(reasons)
    return together


def _unique_sets(schema: pa.DataFrameSchema) -> list[list[str]]:
    unique: Any = schema.unique
    if not unique:
        return []
    if isinstance(unique, str):
        return [[unique]]
    return [unique] if isinstance(unique[0], str) else list(unique)


def _collect(
    check: Any,
    output: Any,
    values: pd.Series | None,
    prefix: str,
    found: RowProblems,
    failures: list[str],
) -> bool:
    """Note the failures in a check's output; return whether it judged the rows together."""
    import pandas as pd

    rule, describe = _wording(check)
    if not isinstance(output, (pd.Series, pd.DataFrame)):
        if not bool(output) and not check.raise_warning:
            failures.append(f"{prefix}{rule}")
        return True
    if isinstance(output, pd.DataFrame):
        output = output.all(axis=1)
    if check.raise_warning or bool(output.all()):
        return False
    failed = output.index[~output.to_numpy(dtype=bool)]
    reasons = (
        [f"{prefix}{rule}"] * len(failed)
        if values is None
        else [prefix + describe(value) for value in values.loc[failed]]
    )
    found.add(failed, f"{prefix}{rule}", reasons)
    return False


def _wording(check: Any) -> tuple[str, Callable[[Any], str]]:
    """Return the rule of a check in words, and a function that words it for a value."""
    own = check.error if check.error and not check.error.startswith(f"{check.name}(") else None
    own = own or check.description
    if own is None:
        phrase = _phrase(check.name, check.statistics or {})
        if phrase is not None:
            return phrase, lambda value: f"{_show(value)} {phrase}"
    rule = str(own or f"check {check.name or 'without name'} failed")
    return rule, lambda value: f"{_show(value)}: {rule}"


def _phrase(name: str | None, stated: Mapping[str, Any]) -> str | None:
    low, high = stated.get("min_value"), stated.get("max_value")
    if name == "in_range":
        opening = "" if stated.get("include_min", True) else "above "
        closing = "" if stated.get("include_max", True) else "below "
        return f"is not in range {opening}{_show(low)}..{closing}{_show(high)}"
    if name in ("isin", "notin"):
        listed = list(stated["allowed_values" if name == "isin" else "forbidden_values"])
        some = ", ".join(_show(v) for v in listed[:8]) + (", ..." if len(listed) > 8 else "")
        return f"is none of {some}" if name == "isin" else f"is one of {some}"
    if name == "str_length":
        exact = stated.get("exact_value")
        return f"has a length other than {exact if exact is not None else f'{low}..{high}'}"
    words = {
        "greater_than": ("is not greater than", "min_value"),
        "greater_than_or_equal_to": ("is less than", "min_value"),
        "less_than": ("is not less than", "max_value"),
        "less_than_or_equal_to": ("is greater than", "max_value"),
        "equal_to": ("is not", "value"),
        "not_equal_to": ("is", "value"),
        "str_matches": ("does not match", "pattern"),
        "str_contains": ("does not contain", "pattern"),
        "str_startswith": ("does not start with", "string"),
        "str_endswith": ("does not end with", "string"),
    }.get(name or "")
    return None if words is None else f"{words[0]} {_show(stated[words[1]])}"


def _show(value: Any) -> str:
    if hasattr(value, "item"):  # a numpy scalar, whose repr names its type
        value = value.item()
    return repr(value) if isinstance(value, str) else str(value)


def _duplicates(
    frame: pd.DataFrame, key: list[str], groups: pd.Series | None, found: RowProblems
) -> None:
    """Reject repeats of equal rows, and all rows whose key is shared by different ones."""
    import pandas as pd

    keys = frame[key]
    if not keys.duplicated().any():
        return
    if groups is not None:
        keys = keys.assign(**{"": groups.reindex(frame.index)})
    shared = keys.duplicated(keep=False)
    if not shared.any():
        return
    names = ", ".join(key)
    rows = frame[shared]
    whole = rows if groups is None else rows.assign(**{"": groups.reindex(rows.index)})
    repeated = whole.duplicated(keep="first")
    different = pd.Series(False, index=rows.index)
    distinct = keys.loc[rows.index[~repeated]]
    clashing = distinct[distinct.duplicated(keep=False)].drop_duplicates()
    if len(clashing):
        marked = keys.loc[rows.index].merge(clashing, how="left", indicator=True)
        different = pd.Series((marked["_merge"] == "both").to_numpy(), index=rows.index)

    def words(index: Any) -> Iterable[str]:
        return (
            ", ".join(f"{n}={_show(v)}" for n, v in zip(key, values, strict=True))
            for values in frame.loc[index, key].itertuples(index=False)
        )

    clash = rows.index[different]
    found.add(
        clash,
        f"{names}: other rows with this key have other values",
        (f"other rows with the key {text} have other values" for text in words(clash)),
    )
    repeat = rows.index[repeated & ~different]
    found.add(
        repeat,
        f"{names}: repeats an equal row",
        (f"repeats an equal row with the key {text}" for text in words(repeat)),
    )
