"""Short forms for the columns of the contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandera.pandas as pa


def column(dtype: Any, description: str, *, unit: str | None = None, **options: Any) -> pa.Column:
    """A column with its description and, where it has one, its unit."""
    import pandera.pandas as pa

    metadata = {"unit": unit} if unit else None
    return pa.Column(dtype, description=description, metadata=metadata, **options)


def time(description: str, **options: Any) -> pa.Column:
    """A time in UTC."""
    return column("datetime64[ns]", description, unit="UTC", **options)


def measure(description: str, unit: str, low: float, high: float) -> pa.Column:
    """A number within bounds that may be missing."""
    import pandera.pandas as pa

    return column(float, description, unit=unit, nullable=True, checks=pa.Check.in_range(low, high))
