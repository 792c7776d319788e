"""From when on something unusual is worth saying: declared limits, all in one object.

Each measure is held against a practical limit *and* against how much it varies from day to day;
how is written in ``judging``. What the defaults were set on, and what they do elsewhere, is told
in docs/quality.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Limits. Shares are of a day's rows, from 0 to 1.

    Attributes
    ----------
    window
        Days before a day that say what is usual.
    least_days
        Of those, the fewest good ones (with rows and without an incident) to judge by.
    least_rows
        Values of a column, or rows, below which nothing is said about them.
    missing, not_finite
        By how much the share without a (finite) value must exceed the highest usual one.
    unseen
        Share of rows in categories that were not there in the window.
    lost
        Usual share of a category that is there every day, to be missed when it is not.
    one_value
        Usual share of the most frequent value up to which a column counts as varying.
    run
        Least readings in a row that can be a stuck sensor, and ``run_times`` the usual longest.
    repeats
        Share of rows whose key another row has.
    copies
        Share of rows that equal another in all but the key, above the highest usual one.
    few, many
        Rows as a share of the same weekday's usual number.
    tail
        Usual share of the rows after the day's last hour, to be missed when there are none.
    future, future_hours
        Share of times that lie further ahead than any usual one, and by how many hours.
    hours
        Share of rows that are at another hour of the day than usually (total variation).
    novel
        Share of numbers that were not among the values of the window, where few usually are.
    flipped
        How a label's rates in groups go with the usual ones: 1 as ever, -1 reversed.
    """

    window: int = 28
    least_days: int = 14
    least_rows: int = 20
    missing: float = 0.2
    not_finite: float = 0.01
    unseen: float = 0.03
    lost: float = 0.02
    one_value: float = 0.9
    run: int = 12
    run_times: float = 1.75
    repeats: float = 0.01
    copies: float = 0.2
    few: float = 0.6
    many: float = 1.6
    tail: float = 0.03
    future: float = 0.01
    future_hours: float = 24.0
    hours: float = 0.15
    novel: float = 0.6
    flipped: float = -0.2
