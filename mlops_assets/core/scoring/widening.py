"""The one widening table: what a column that is given becomes under a type that is wanted.

``TABLE`` is data. ``casting`` obeys it and ``markdown`` prints it, so that what is enforced
and what is documented cannot differ. Which kind a column is belongs in ``column_kinds``; what
a model wants, and everything that concerns more than types, in ``signature``.

A type is ``boolean``, ``integer`` or ``number``, which the estimator gets as float64 with
missing as NaN, or ``category``: Python strings in an object column, missing NaN as well. It is
NaN and not None in both, because scikit-learn's encoders and imputers take None for one more
category (measured with 1.9.1: SimpleImputer and OrdinalEncoder's ``encoded_missing_value``
pass it by). Widths are no part of a type: all of them become float64.

No value is changed, ever: the estimator gets the number that was given, or the column is
refused. For decimals, which binary floats hold in few cases, the same number means: the
shortest text of the float64 is the decimal again. That is so for every decimal of up to 15
significant digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlops_assets.core.scoring import column_kinds as kinds

BOOLEAN, INTEGER, NUMBER, CATEGORY = "boolean", "integer", "number", "category"
TYPES = (BOOLEAN, INTEGER, NUMBER, CATEGORY)


@dataclass(frozen=True)
class Rule:
    """What becomes of one kind of column under one type.

    Attributes
    ----------
    verdict
        ``as is``: the type's own kind; ``widened``: every value has its equal in the type;
        ``checked``: taken if every value passes the checks; ``refused``.
    checks
        Of the values, in order: ``exact`` (float64 holds it), ``whole``, ``binary``.
    reason
        Why it is refused, or what is checked.
    """

    verdict: str
    reason: str = ""
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A row of the table: the types of a kind, what it is recorded as, and its four rules.

    ``remedy`` says what to do about a column of this kind where it is refused.
    """

    dtypes: str
    recorded: str | None
    rules: Mapping[str, Rule]
    remedy: str


def _row(dtypes: str, recorded: str | None, rules: Sequence[Rule], remedy: str) -> Row:
    return Row(dtypes, recorded, dict(zip(TYPES, rules, strict=True)), remedy)


def _never(dtypes: str, reason: str, remedy: str) -> Row:
    return _row(dtypes, None, [Rule("refused", reason)] * len(TYPES), remedy)


_AS_IS = Rule("as is")
_WIDENED = Rule("widened")
_0_OR_1 = Rule("checked", "only 0 and 1", ("binary",))
_WHOLE = Rule("checked", "whole and below 2**53", ("whole",))
_HELD = Rule("checked", "float64 holds it", ("exact",))
_HELD_0_OR_1 = Rule("checked", "only 0 and 1", ("exact", "binary"))
_HELD_WHOLE = Rule("checked", "whole and below 2**53", ("exact", "whole"))
_DIGITS = Rule("checked", "float64 keeps its digits", ("exact",))
_WITHIN = Rule("checked", "up to 2**53", ("exact",))
_NO_TEXT = Rule("refused", "numbers are never written as text")
_NOT_READ = Rule("refused", "text is never read as numbers")

_AS_TEXT = "if it names a category, cast it to VARCHAR in the feature view and train a version"
_AS_NUMBER = "cast it to a number in the feature view, or train a version on the text"
_DERIVE = "derive a number from it in the feature view, such as an hour or an age in days"

TABLE: Mapping[str, Row] = {
    kinds.BOOLEANS: _row(
        "bool, boolean, bool[pyarrow], Python bool",
        BOOLEAN, [_AS_IS, _WIDENED, _WIDENED, _NO_TEXT], _AS_TEXT,
    ),
    kinds.SMALL_INTEGERS: _row(
        "int8, int16, int32, uint8, uint16, uint32; nullable and Arrow as well",
        INTEGER, [_0_OR_1, _AS_IS, _WIDENED, _NO_TEXT], _AS_TEXT,
    ),
    kinds.INTEGERS: _row(
        "int64, uint64; nullable and Arrow as well; Python int",
        INTEGER, [_HELD_0_OR_1, _WITHIN, _WITHIN, _NO_TEXT], _AS_TEXT,
    ),
    kinds.FLOATS: _row(
        "float16, float32, float64; nullable and Arrow as well",
        NUMBER, [_0_OR_1, _WHOLE, _AS_IS, _NO_TEXT], _AS_TEXT,
    ),
    kinds.LONG_FLOATS: _row(
        "longdouble",
        NUMBER, [_HELD_0_OR_1, _HELD_WHOLE, _HELD, _NO_TEXT], _AS_TEXT,
    ),
    kinds.PYTHON_NUMBERS: _row(
        "object",
        NUMBER, [_HELD_0_OR_1, _HELD_WHOLE, _HELD, _NO_TEXT], _AS_TEXT,
    ),
    kinds.DECIMALS: _row(
        "decimal128[pyarrow], decimal256[pyarrow], Python Decimal",
        NUMBER, [_HELD_0_OR_1, _HELD_WHOLE, _DIGITS, _NO_TEXT], _AS_TEXT,
    ),
    kinds.TEXT: _row(
        "str, string, string[pyarrow], large_string[pyarrow], Python str",
        CATEGORY, [_NOT_READ, _NOT_READ, _NOT_READ, _AS_IS], _AS_NUMBER,
    ),
    kinds.CATEGORIES_OF_TEXT: _row(
        "category, dictionary[pyarrow]",
        CATEGORY, [_NOT_READ, _NOT_READ, _NOT_READ, _WIDENED], _AS_NUMBER,
    ),
    kinds.CATEGORIES_OF_OTHERS: _never(
        "category, dictionary[pyarrow]",
        "codes and amounts look the same here",
        "cast it in the feature view: to VARCHAR if it names a category, else to a number",
    ),
    kinds.TIMESTAMPS: _never(
        "datetime64 of any unit, timestamp[pyarrow], Python datetime",
        "a time is no number of a stated unit and origin", _DERIVE,
    ),
    kinds.ZONED_TIMESTAMPS: _never(
        "datetime64 and timestamp[pyarrow] with a time zone",
        "a time is no number of a stated unit, origin and zone", _DERIVE,
    ),
    kinds.DATES: _never(
        "date32[pyarrow], date64[pyarrow], Python date",
        "a date is no number of a stated unit and origin", _DERIVE,
    ),
    kinds.DURATIONS: _never(
        "timedelta64 of any unit, duration[pyarrow], Python timedelta",
        "a duration is no number of a stated unit",
        "derive a number of a stated unit in the feature view, such as minutes",
    ),
    kinds.OTHER_TIMES: _never(
        "period, interval, time[pyarrow], Python time",
        "it is neither numbers nor text", _DERIVE,
    ),
    kinds.BYTES: _never(
        "binary[pyarrow], Python bytes",
        "bytes are no text without a stated encoding", "decode it in the feature view",
    ),
    kinds.OBJECTS: _never(
        "object, list[pyarrow], struct[pyarrow], types of other libraries",
        "it is neither numbers nor text",
        "derive a number or a text from it in the feature view, such as a length or an element",
    ),
    kinds.MIXTURE: _never(
        "object",
        "no type holds them all without changing some",
        "make it one kind in the feature view, or derive one from it",
    ),
    kinds.COMPLEX: _never(
        "complex64, complex128, Python complex",
        "a float would lose the imaginary part",
        "derive numbers from it in the feature view, such as real part and modulus",
    ),
    kinds.NOTHING: _row(
        "object, null[pyarrow]; every kind above that is not refused under all types",
        None, [Rule("as is", "all missing")] * len(TYPES), "",
    ),
}  # fmt: skip


def markdown() -> str:
    """Return the table for the documentation, as ``docs/registry.md`` has it."""
    lines = [
        "| a column of | such as | recorded as | " + " | ".join(TYPES) + " | why refused |",
        "|---" * (4 + len(TYPES)) + "|",
    ]
    for kind, row in TABLE.items():
        rules = row.rules.values()
        cells = [
            f"{rule.verdict}: {rule.reason}" if rule.verdict == "checked" else rule.verdict
            for rule in rules
        ]
        why = dict.fromkeys(rule.reason for rule in rules if rule.verdict == "refused")
        shown = [kind, row.dtypes, row.recorded or "–", *cells, "; ".join(why) or "–"]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines)
