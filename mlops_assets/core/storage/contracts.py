"""What a pandera schema means here: column types for DDL, and which rows keep the contract.

One schema is the only statement of a table's columns. From it come the DuckDB types and
descriptions (``columns``), and the split of a frame into rows that are used and rows that
are set aside with reasons (``validate``). Types and missing values are judged here, more
strictly than pandera does: only lossless conversions, no column that is not declared, no
infinite numbers unless the column's metadata has ``{"finite": False}``. Converting single
values belongs in ``coercion``, declared checks and duplicates in ``row_checks``; reading
files, days and tolerances belong in ``landing``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_assets.core.storage import coercion
from mlops_assets.core.storage.row_checks import ContractError, RowProblems, check_rows
from mlops_assets.vocabulary import DeclarationError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pandera.pandas as pa

    from mlops_assets.vocabulary import FeatureView, Source

#: pandera type name to DuckDB type. Pandas' nullable types differ by a capital letter.
_TYPES = {
    **{numpy_name: name for name, numpy_name in coercion.INTEGERS.items()},
    **{numpy_name: name for name, numpy_name in coercion.FLOATS.items()},
    "bool": "BOOLEAN",
    "boolean": "BOOLEAN",
    "str": "VARCHAR",
    "object": "VARCHAR",
    "category": "VARCHAR",
    "date": "DATE",
}


#: Schemas that have been made, by the object that declares them; it is kept, so that its id
#: stays its own.
_made: dict[int, tuple[Source | FeatureView, pa.DataFrameSchema]] = {}


def schema_of(declared: Source | FeatureView) -> pa.DataFrameSchema:
    """Return the declared contract, made once: pandera takes milliseconds for it."""
    if id(declared) not in _made:
        _made[id(declared)] = (declared, declared.schema())
    return _made[id(declared)][1]


@dataclass(frozen=True)
class ColumnSpec:
    """A column of a table: its DuckDB type and what it means."""

    name: str
    type: str
    nullable: bool
    description: str = ""
    unit: str | None = None


@dataclass(frozen=True)
class Validated:
    """Rows that keep the contract, and those that do not.

    Attributes
    ----------
    good
        The conforming rows, typed as declared, in their order; the index holds each row's
        position (from 0) in the frame that was validated.
    rejects
        One row for each rejected row: ``row_number`` (position from 0), ``reason`` (text
        with the values) and ``rules`` (tuple: what was broken, without values).
    """

    good: pd.DataFrame
    rejects: pd.DataFrame


def columns(schema: pa.DataFrameSchema) -> list[ColumnSpec]:
    """Return the columns that ``schema`` declares, in its order.

    A column's unit is ``metadata={"unit": ...}``.

    Raises
    ------
    DeclarationError
        If the schema uses what has no meaning here (a column without type or with a type
        that DuckDB does not keep, patterns of names, parsers, an index).
    """
    where = f"schema {schema.name!r}" if schema.name else "schema"
    if schema.index is not None or getattr(schema, "parsers", None):
        raise DeclarationError(
            f"{where}: an index and parsers are not supported; declare columns, and change "
            "values in the source's loader"
        )
    result = []
    for name, column in schema.columns.items():
        if column.regex or getattr(column, "parsers", None):
            raise DeclarationError(f"{where}: column {name!r}: regex and parsers are not supported")
        result.append(
            ColumnSpec(
                name=str(name),
                type=_duckdb_type(column, f"{where}: column {name!r}"),
                nullable=bool(column.nullable),
                description=column.description or column.title or "",
                unit=(column.metadata or {}).get("unit"),
            )
        )
    return result


def _duckdb_type(column: Any, where: str) -> str:
    name = "none" if column.dtype is None else str(column.dtype)
    if name.startswith("datetime64") and "," not in name:
        return "TIMESTAMP"
    if name.startswith("string"):
        return "VARCHAR"
    known = _TYPES.get(name) or _TYPES.get(name.lower())
    if known is None:
        raise DeclarationError(
            f"{where}: type {name} is not supported. Use int, float, str, bool, pandera.Date, or "
            "'datetime64[us]' for times, which are UTC and carry no time zone"
        )
    return known


def conform(schema: pa.DataFrameSchema, frame: pd.DataFrame) -> tuple[pd.DataFrame, RowProblems]:
    """Give ``frame`` exactly the declared columns and types.

    Returns the frame in the schema's column order, with positions as index, and the rows
    with a value that is missing, infinite or not convertible without loss.

    Raises
    ------
    ContractError
        If columns are missing or unexpected, or no value of a column has its type. Lists
        every problem.
    """
    import pandas as pd

    specs = columns(schema)
    declared = {spec.name for spec in specs}
    names = [str(name) for name in frame.columns]
    problems = [
        f"column {spec.name!r} is missing"
        for spec in specs
        if spec.name not in names and schema.columns[spec.name].required
    ]
    problems += [f"column {n!r} is not declared" for n in dict.fromkeys(names) if n not in declared]
    problems += [f"column {n!r} is there twice" for n in dict.fromkeys(names) if names.count(n) > 1]
    if problems:
        raise ContractError(problems)
    frame = frame.reset_index(drop=True)
    series: dict[str, pd.Series] = {}
    rows = RowProblems()
    for spec in specs:
        if spec.name in names:
            given = frame[spec.name]
        else:
            given = pd.Series([None] * len(frame), dtype=object)
        converted, bad = coercion.coerce(given, spec.type)
        series[spec.name] = converted
        noun = coercion.NOUNS[spec.type]
        if bad.any():
            samples = given[bad]
            if bad.sum() == given.notna().sum():
                problems.append(
                    f"column {spec.name!r} should be {spec.type}, but holds {given.dtype} "
                    f"such as {samples.iloc[0]!r}"
                )
                continue
            rows.add(
                samples.index,
                f"{spec.name}: not {noun}",
                (f"{spec.name}: {value!r} is not {noun}" for value in samples),
            )
        _missing_and_infinite(schema.columns[spec.name], spec, converted, bad, rows)
    if problems:
        raise ContractError(problems)
    return pd.DataFrame(series, copy=False), rows


def _missing_and_infinite(
    column: Any, spec: ColumnSpec, values: pd.Series, bad: np.ndarray, rows: RowProblems
) -> None:
    import numpy as np

    if not spec.nullable:
        missing = values.isna().to_numpy() & ~bad
        if missing.any():
            rule = f"{spec.name}: is missing"
            rows.add(np.flatnonzero(missing), rule, [rule] * int(missing.sum()))
    if spec.type in coercion.FLOATS and (column.metadata or {}).get("finite", True):
        infinite = np.isinf(values.to_numpy())
        if infinite.any():
            rule = f"{spec.name}: is infinite"
            rows.add(np.flatnonzero(infinite), rule, [rule] * int(infinite.sum()))


def validate(schema: pa.DataFrameSchema, frame: pd.DataFrame, key: Sequence[str] = ()) -> Validated:
    """Split ``frame`` into the rows that keep the contract and those that do not.

    Rows with values of a wrong type, missing or infinite are rejected first; the declared
    checks see the others; duplicates are judged among those that are left. Of rows that
    are equal in every column the first is kept. Of rows with the same ``key`` and different
    values none is kept, because nothing says which is right. The outcome for a set of rows
    does not depend on their order.

    Parameters
    ----------
    schema
        The contract; column and frame checks that return one truth value judge the frame.
    frame
        Rows as read.
    key
        Columns that identify a row; none: duplicates are allowed.

    Raises
    ------
    ContractError
        If the frame as a whole cannot be used; lists every problem.
    DeclarationError
        If the schema or the key is unusable.
    """
    conformed, problems = conform(schema, frame)
    check_rows(schema, conformed, key, problems)
    return split(conformed, problems)


def split(frame: pd.DataFrame, problems: RowProblems) -> Validated:
    """Split a conformed frame into rows without and with problems."""
    import pandas as pd

    positions = sorted(problems.found)
    rejects = pd.DataFrame(
        {
            "row_number": pd.Series(positions, dtype="int64"),
            "reason": pd.Series(
                ["; ".join(reason for _, reason in problems.found[p]) for p in positions],
                dtype=object,
            ),
            "rules": pd.Series(
                [tuple(rule for rule, _ in problems.found[p]) for p in positions], dtype=object
            ),
        }
    )
    if not positions:
        return Validated(frame, rejects)
    good = frame.drop(index=positions)
    # Types that had to be nullable because of a rejected value become plain again.
    plain = {
        name: str(dtype).lower().replace("boolean", "bool")
        for name, dtype in good.dtypes.items()
        if pd.api.types.is_extension_array_dtype(dtype)
        and (pd.api.types.is_integer_dtype(dtype) or pd.api.types.is_bool_dtype(dtype))
        and bool(good[name].notna().all())
    }
    return Validated(good.astype(plain) if plain else good, rejects)
