"""What broken data come from, and what a diagnosis says. Finding it belongs in ``diagnosing``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Why data are broken, the most specific first."""

    SCHEMA_CHANGE = "schema_change"
    DUPLICATE_LOAD = "duplicate_load"
    TIMEZONE_SHIFT = "timezone_shift"
    FUTURE_TIMESTAMPS = "future_timestamps"
    TRUNCATED_FILE = "truncated_file"
    HALF_VOLUME = "half_volume"
    LABEL_FLIP = "label_flip"
    UNIT_CHANGE = "unit_change"
    CATEGORY_RENAME = "category_rename"
    CONSTANT_COLUMN = "constant_column"
    STUCK_SENSOR = "stuck_sensor"
    NULL_BURST = "null_burst"
    # What is broken without a sign of how.
    NOT_FINITE = "not_finite"
    NEW_CATEGORIES = "new_categories"
    LOST_CATEGORIES = "lost_categories"
    NO_ROWS = "no_rows"
    UNUSUAL_VOLUME = "unusual_volume"
    CONTRACT = "contract_broken"


#: What a person can do, by cause.
ADVICE = {
    Cause.SCHEMA_CHANGE: "ask the provider what changed; have the day sent as declared, or change "
    "the contract and land the day again",
    Cause.DUPLICATE_LOAD: "have the day sent again once, and look why the load ran twice",
    Cause.TIMEZONE_SHIFT: "look in which time zone the provider wrote the times; have the day "
    "sent in UTC",
    Cause.FUTURE_TIMESTAMPS: "look at the clock or the date format of what wrote the times; have "
    "the day sent again",
    Cause.TRUNCATED_FILE: "the transfer stopped early: have the whole day sent again",
    Cause.HALF_VOLUME: "look for a part, page or partition of the delivery that is missing; have "
    "it sent and land the day again",
    Cause.LABEL_FLIP: "look how the label is coded; do not train on these days until it is "
    "corrected",
    Cause.UNIT_CHANGE: "convert the values in the source's loader, or have the day sent in the "
    "declared unit",
    Cause.CATEGORY_RENAME: "map the new name to the old one in the source's loader, or train on "
    "the new one once there are enough rows",
    Cause.CONSTANT_COLUMN: "look for a default that is filled in where the value should be; have "
    "the day sent again",
    Cause.STUCK_SENSOR: "look at the instrument; treat its readings of these hours as missing",
    Cause.NULL_BURST: "look whether the provider still fills the column; have the day sent again",
    Cause.NOT_FINITE: "look for a division by zero where the column is computed",
    Cause.NEW_CATEGORIES: "look whether they are real; models treat them as unknown",
    Cause.LOST_CATEGORIES: "look whether a part of the delivery is missing",
    Cause.NO_ROWS: "look whether the delivery is late or has failed",
    Cause.UNUSUAL_VOLUME: "compare with the provider's own count",
    Cause.CONTRACT: "read the rows in quarantine with their reasons; have the day sent again",
}

#: Causes that make all of a day's rows unfit to say what is usual, and its other findings
#: consequences.
WHOLE_DAY = frozenset(
    {
        *(Cause.SCHEMA_CHANGE, Cause.DUPLICATE_LOAD, Cause.TRUNCATED_FILE, Cause.HALF_VOLUME),
        *(Cause.NO_ROWS, Cause.UNUSUAL_VOLUME, Cause.CONTRACT),
    }
)


@dataclass(frozen=True)
class Diagnosis:
    """What is broken about a day.

    Attributes
    ----------
    column
        ``None``: the rows as a whole, and no column tells it.
    size
        How much, in words: "values are 1.609 × the usual (miles → kilometres)".
    factor
        The same as a number where there is one: the factor, the hours, the share.
    evidence
        In words, with the numbers.
    """

    cause: Cause
    column: str | None
    size: str
    evidence: str
    factor: float | None = None

    @property
    def advice(self) -> str:
        """What to do."""
        return ADVICE[self.cause]

    @property
    def key(self) -> tuple[Cause, str | None]:
        """Diagnoses of several days with the same key are one incident."""
        return self.cause, self.column
