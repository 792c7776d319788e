"""What can be said of a column, and of a method on it, in words that code can test.

Data are never a reason to raise here: a column that is empty, constant or of another kind than
its reference has a status. Programming errors (an unknown method, no such column anywhere)
raise, and do so where the question is asked, in ``compare``.
"""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a column holds."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    #: Nothing but missing values in a type that could hold anything.
    UNKNOWN = "unknown"
    #: Lists, structures, blobs, intervals.
    UNSUPPORTED = "unsupported"


class Status(StrEnum):
    """Whether a number was found, and if not, why.

    An alarm is possible with ``OK`` and ``CONSTANT_REFERENCE`` only.
    """

    OK = "ok"
    #: Both sides hold one value, the same: every distance is 0.
    CONSTANT = "constant"
    #: The reference holds one value and the current rows do not: nothing that is in units of
    #: the reference's spread exists. The Kolmogorov-Smirnov statistic, the share of rows that
    #: left the value (on the one side that more left to), decides instead.
    CONSTANT_REFERENCE = "constant_reference"
    #: Values exist, fewer than ``MIN_ROWS`` on a side: measured, not judged.
    TOO_FEW = "too_few"
    NO_ROWS_REFERENCE = "no_rows_reference"
    NO_ROWS_CURRENT = "no_rows_current"
    #: There are rows, but each value is missing or infinite.
    NO_VALUES_REFERENCE = "no_values_reference"
    NO_VALUES_CURRENT = "no_values_current"
    NO_COLUMN_REFERENCE = "no_column_reference"
    NO_COLUMN_CURRENT = "no_column_current"
    #: Such as numbers that have become text.
    KIND_CHANGED = "kind_changed"
    UNSUPPORTED = "unsupported"
    #: Of a method: not for this kind of column.
    NOT_APPLICABLE = "not_applicable"
    #: Of a method: needs the rows of both sides, and one is a stored profile.
    NEEDS_ROWS = "needs_rows"
    #: Of a method: its formula has no value here, such as a test with no degree of freedom.
    UNDEFINED = "undefined"


class Finding(StrEnum):
    """What was noticed beside the distance, on either side."""

    MISSING = "missing"
    INFINITE = "infinite"
    NEW_CATEGORIES = "new_categories"
    LOST_CATEGORIES = "lost_categories"
    #: Rare categories were counted together: there are more than ``MAX_CATEGORIES``.
    POOLED = "pooled"


#: With fewer values than this on either side nothing is judged.
MIN_ROWS = 20


def availability(rows: int, values: int, *, of_reference: bool) -> Status:
    """Return ``OK`` where a side has values, else what it lacks."""
    if values > 0:
        return Status.OK
    if of_reference:
        return Status.NO_VALUES_REFERENCE if rows else Status.NO_ROWS_REFERENCE
    return Status.NO_VALUES_CURRENT if rows else Status.NO_ROWS_CURRENT
