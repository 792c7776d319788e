"""What is known of a holdout that could make its numbers too good: the evidence.

Looked up in the registry and counted in the snapshots' files; whether it refuses belongs in
``holdout_rules``. A holdout is worth something only if neither model has seen its rows, all of
it was known at the cutoff, each row counts once, and not too many versions have been judged on
it before.

What makes two rows the same
----------------------------
Their row key. A source whose key names a new row each day (a customer, a machine) has the same
keys in training and holdout by its nature: where more than ``RECURRING`` of the training rows
share their key with a row of another moment, it is the key *and* the moment. That two rows are
of the same customer is not looked at: most models are to be used on entities they know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.core.storage.days import day_start
from mlops_assets.core.storage.digests import content_digest

if TYPE_CHECKING:
    import duckdb

    from mlops_assets.core.models.snapshots import TrainingSet
    from mlops_assets.core.registry import ModelVersion

#: Share of training rows with the key of another moment's row up to which a key names one row.
RECURRING = 0.01

KEY = "row_key"
KEY_AND_MOMENT = "row_key, as_of"


@dataclass(frozen=True)
class TrainedOn:
    """What a contender was trained on, beside the holdout.

    Attributes
    ----------
    trained_until
        First day after its training window and after its last training row.
    shared_rows, example
        Training rows that are rows of the holdout, and the key of one. ``None``: the file of
        its training set is gone.
    """

    version: int
    training_digest: str
    trained_until: date
    shared_rows: int | None
    example: str | None = None


@dataclass(frozen=True)
class HoldoutEvidence:
    """What was found out about a holdout.

    Attributes
    ----------
    digest
        Content digest of its rows: keys, moments, features, labels.
    start, end
        Its first day, and the day after its last: the cutoff.
    identity
        What makes two rows the same, see the module.
    repeated_rows, repeated
        Rows that are there already, and the key of one.
    rows_outside
        Rows of other days, or whose moment lies at or after the end of the last.
    labels_outside
        Rows whose label became known only at or after the cutoff, or nobody knows when.
    uses
        Earlier versions decided on with a holdout that has a day in common with this one.
    other_rows
        Rows that the champion was scored on and that are not those of the holdout.
    """

    digest: str
    start: date
    end: date
    rows: int
    identity: str
    repeated_rows: int
    repeated: str | None
    rows_outside: int
    labels_outside: int
    uses: int
    challenger: TrainedOn
    champion: TrainedOn | None = None
    other_rows: int = 0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> HoldoutEvidence:
        """Return the evidence of ``dataclasses.asdict``, days as ISO text."""
        fields = dict(data)
        for name in ("challenger", "champion"):
            if fields.get(name) is not None:
                until = date.fromisoformat(fields[name]["trained_until"])
                fields[name] = TrainedOn(**{**fields[name], "trained_until": until})
        for name in ("start", "end"):
            fields[name] = date.fromisoformat(fields[name])
        return cls(**fields)


def inspect(
    con: duckdb.DuckDBPyConnection,
    training_set: TrainingSet,
    challenger: ModelVersion,
    champion: ModelVersion | None,
    *,
    folder: Path,
    timezone: str,
) -> HoldoutEvidence:
    """Find out what could make the holdout of ``training_set`` worthless.

    Parameters
    ----------
    con
        Connection to the registry; nothing is written.
    folder
        Of the snapshots, to which their recorded paths are relative.
    timezone
        Of the use case's days.

    Raises
    ------
    FileNotFoundError
        If the training set's own file is gone.
    """
    versions = [challenger, *([] if champion is None else [champion])]
    paths = [_snapshot(con, version, folder) for version in versions]
    return inspect_files(
        folder / training_set.path,
        [(version, path) for version, path in zip(versions, paths, strict=True)],
        start=training_set.train_end,
        end=training_set.holdout_end,
        known_before=day_start(training_set.cutoff, timezone),
        uses=_uses(con, training_set, challenger.version),
    )


def inspect_files(
    path: Path,
    contenders: list[tuple[ModelVersion, Path | None]],
    *,
    start: date,
    end: date,
    known_before: datetime,
    uses: int,
) -> HoldoutEvidence:
    """Like ``inspect``, with all that comes from the registry given.

    Parameters
    ----------
    contenders
        The challenger and, if there is one, the champion, with the file each was trained on.
    """
    import duckdb

    if not path.exists():
        raise FileNotFoundError(
            f"The training set {path} is gone. Restore it from a backup of the snapshot folder, "
            "or materialise training_set again for the same day, which writes the same content."
        )
    with duckdb.connect(":memory:") as files:
        _view(files, "holdout", path, "holdout")
        for number, (_, file) in enumerate(contenders):
            if file is not None:
                _view(files, f"train_{number}", file, "train")
        identity, repeated, found = KEY, *_alike(files, contenders, KEY)
        if (repeated[0] or any(f.shared_rows for f in found)) and _recurring(files, contenders):
            identity, repeated, found = KEY_AND_MOMENT, *_alike(files, contenders, KEY_AND_MOMENT)
        [(rows, outside, unknown)] = files.execute(
            "SELECT count(*), count(*) FILTER (partition_date < $start OR partition_date >= $end "
            "OR as_of >= $known_before), "
            "count(*) FILTER (label_known_at IS NULL OR label_known_at >= $known_before) "
            "FROM holdout",
            {"start": start, "end": end, "known_before": known_before},
        ).fetchall()
        return HoldoutEvidence(
            digest=content_digest(files, "holdout"),
            start=start,
            end=end,
            rows=rows,
            identity=identity,
            repeated_rows=repeated[0],
            repeated=repeated[1],
            rows_outside=outside,
            labels_outside=unknown,
            uses=uses,
            challenger=found[0],
            champion=found[1] if len(found) > 1 else None,
        )


def digest(path: Path) -> str:
    """Return the content digest of the holdout in a training set's file."""
    import duckdb

    with duckdb.connect(":memory:") as files:
        _view(files, "holdout", path, "holdout")
        return content_digest(files, "holdout")


def _view(files: duckdb.DuckDBPyConnection, name: str, path: Path, split: str) -> None:
    # Through the relation, because a view's SQL can hold no bound path. The holdout with its
    # split: so its digest is the one that was recorded when it was written.
    columns = "*" if split == "holdout" else "row_key, as_of, partition_date"
    files.read_parquet(str(path)).filter(f"split = '{split}'").project(columns).create_view(name)


def _alike(
    files: duckdb.DuckDBPyConnection,
    contenders: list[tuple[ModelVersion, Path | None]],
    identity: str,
) -> tuple[tuple[int, str | None], list[TrainedOn]]:
    """Count the holdout's rows that are there twice, and those that were trained on."""
    [repeated] = files.execute(
        "SELECT coalesce(sum(n - 1), 0)::BIGINT, min(example) FROM (SELECT count(*) AS n, "
        f"min(row_key) AS example FROM holdout GROUP BY {identity} HAVING n > 1)"
    ).fetchall()
    found = []
    for number, (version, path) in enumerate(contenders):
        until, shared, example = version.train_end, None, None
        if path is not None:
            [(last, shared, example)] = files.execute(
                f"SELECT (SELECT max(partition_date) FROM train_{number}), count(*), min(row_key) "
                f"FROM train_{number} SEMI JOIN holdout USING ({identity})"
            ).fetchall()
            if last is not None:
                last = last.date() if isinstance(last, datetime) else last
                until = max(until, last + timedelta(days=1))
        found.append(TrainedOn(version.version, version.training_digest, until, shared, example))
    return repeated, found


def _recurring(
    files: duckdb.DuckDBPyConnection, contenders: list[tuple[ModelVersion, Path | None]]
) -> bool:
    """Whether keys name new rows at other moments, by what the challenger was trained on."""
    if contenders[0][1] is None:
        return False
    [(rows, keys)] = files.execute(
        "SELECT count(DISTINCT (row_key, as_of)), count(DISTINCT row_key) FROM train_0"
    ).fetchall()
    return rows - keys > RECURRING * rows


def _snapshot(con: duckdb.DuckDBPyConnection, version: ModelVersion, folder: Path) -> Path | None:
    """Return the file that a version was trained on, ``None`` if it is gone."""
    found = con.execute(
        "SELECT path FROM registry.training_sets WHERE digest = $digest LIMIT 1",
        {"digest": version.training_digest},
    ).fetchall()
    path = folder / found[0][0] if found else None
    return path if path is not None and path.exists() else None


def _uses(con: duckdb.DuckDBPyConnection, training_set: TrainingSet, version: int) -> int:
    # Earlier versions only: judging a version again, in a re-run, is no further use.
    [(uses,)] = con.execute(
        "SELECT count(DISTINCT d.version) FROM registry.promotion_decisions d "
        "JOIN registry.evaluations e USING (evaluation_id) "
        "WHERE d.model = $model AND d.version < $version "
        "AND e.holdout_start < $end AND e.holdout_end > $start",
        {
            "model": training_set.model,
            "version": version,
            "start": training_set.train_end,
            "end": training_set.holdout_end,
        },
    ).fetchall()
    return uses
