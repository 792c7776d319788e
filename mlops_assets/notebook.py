"""The feature store for notebooks: features, training sets and SQL as frames, read-only.

``FeatureStore`` opens the database for each call, reads, closes, and returns frames that
depend on nothing. It cannot write, and makes no file. How features are looked up belongs in
``core.features.feature_frames``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.settings import load_settings
from mlops_assets.vocabulary import FeatureView, UseCase

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from mlops_assets.core.audit.explain import Explanation
    from mlops_assets.core.audit.predictions import LoadVersion


class FeatureStore:
    """A use case's features, as frames.

    DuckDB keeps all other processes out of a file that one of them has open for writing. So
    each call waits until the pipeline's step has finished, and steps wait until the call has
    read what it needs. What holds the file throughout, as a replay does, has to end first; a
    copy made meanwhile may not open.

    Parameters
    ----------
    use_case
        What is declared.
    data_dir
        Folder with the use case's database; by default ``MLOPS_ASSETS_DATA_DIR``.
    wait_seconds
        How long each call waits while another process holds the database, more than 0; by
        default ``MLOPS_ASSETS_LOCK_TIMEOUT_SECONDS``, which is 60 unless set.

    Examples
    --------
    >>> from my_shop import USE_CASE  # doctest: +SKIP
    >>> store = FeatureStore(USE_CASE)  # doctest: +SKIP
    >>> store.features_at([{"customer": "a"}], "2026-02-01 12:00")  # doctest: +SKIP
    """

    def __init__(
        self,
        use_case: UseCase,
        *,
        data_dir: Path | str | None = None,
        wait_seconds: float | None = None,
    ) -> None:
        given = {"data_dir": data_dir, "lock_timeout_seconds": wait_seconds}
        self.use_case = use_case
        self._settings = load_settings(**{k: v for k, v in given.items() if v is not None})

    def __repr__(self) -> str:
        return f"FeatureStore({self.use_case.name!r}, {str(self.database)!r})"

    @property
    def database(self) -> Path:
        """The file that is read."""
        return self._settings.database(self.use_case.name)

    def historical_features(
        self,
        rows: pd.DataFrame | str,
        features: Sequence[str],
        *,
        status: bool = False,
        known_before: Any = None,
    ) -> pd.DataFrame:
        """Return ``rows`` with features as they were known at each row's ``as_of``.

        Parameters
        ----------
        rows
            Frame, or SQL over the database's tables, with ``as_of`` (UTC, or with a time zone),
            the keys of the views and the columns that on-demand features use.
        features
            Names of views, ``view.feature``, and names of models, which mean the model's.
        status
            Whether to add ``<feature>__status``: ``present``; ``null`` (there is a value, and
            it is NULL); ``expired`` (the last one is older than the view's ttl);
            ``not_found``.
        known_before
            Only what was known before this moment is used, whatever a row's ``as_of``: so a
            look-up can be repeated after corrections have arrived.

        Returns
        -------
        DataFrame
            The rows, their order and index, and the features after their columns. An on-demand
            feature that is one of their columns as it stands is not there twice.

        Raises
        ------
        RowsError
            If the rows do not fit: what is missing, or cannot be converted.
        DeclarationError
            If there is no such feature.
        NotComputedError
            If a view has not been computed by today's definition for these rows.
        LockTimeout
            If another process kept the database; it is named.
        WarehouseError
            If there is no database, or it cannot be opened.
        """
        from mlops_assets.core.features.feature_frames import wanted_features, with_features
        from mlops_assets.core.storage.row_frames import moment

        wanted = wanted_features(self.use_case, features)
        before = None if known_before is None else moment(known_before, "known_before")
        with self._reading() as con:
            frame = con.execute(rows).df() if isinstance(rows, str) else rows
            return with_features(
                con, self.use_case, frame, wanted, status=status, known_before=before
            )

    def features_at(
        self,
        keys: pd.DataFrame | Sequence[Mapping[str, Any]],
        time: datetime | str,
        features: Sequence[str] | None = None,
        *,
        status: bool = False,
    ) -> pd.DataFrame:
        """Return features as they were known at one moment.

        Parameters
        ----------
        keys
            Entities, as a frame or as a list such as ``[{"customer": "a"}]``.
        time
            The moment: UTC, or with a time zone; ISO text will do.
        features
            See ``historical_features``; by default all views whose keys are there.
        status
            See ``historical_features``, which this is with ``as_of`` equal to ``time``.
        """
        import pandas as pd

        from mlops_assets.core.storage.row_frames import AS_OF, RowsError, moment

        frame = keys if isinstance(keys, pd.DataFrame) else pd.DataFrame(list(keys))
        if AS_OF in frame.columns:
            raise RowsError(
                f"the keys have a column {AS_OF!r}: drop it, or ask for historical_features"
            )
        if features is None:
            views = self.use_case.feature_views
            features = [v.name for v in views if set(v.entity.keys) <= set(frame.columns)]
            if not features:
                there = "; ".join(f"{v.name}: {', '.join(v.entity.keys)}" for v in views)
                raise RowsError(
                    f"no view has its keys among {', '.join(map(str, frame.columns))}; there is "
                    f"{there}"
                )
        rows = frame.assign(**{AS_OF: pd.Timestamp(moment(time, "time")).as_unit("us")})
        return self.historical_features(rows, features, status=status)

    def features(self) -> pd.DataFrame:
        """Return what there is, one row for each feature; the database is not opened.

        ``view``, ``feature``, ``keys`` (none: computed from the rows), ``ttl``, ``unit``,
        ``description``, ``models`` that use it, ``owner``.
        """
        import pandas as pd

        from mlops_assets.core.features import retrieval
        from mlops_assets.core.storage import contracts

        users: dict[tuple[str, str], list[str]] = {}
        for model in self.use_case.models:
            for column in retrieval.features(self.use_case, model):
                users.setdefault((column.view.name, column.name), []).append(model.name)
        listed = []
        for view in self.use_case.views:
            if isinstance(view, FeatureView):
                specs = contracts.columns(contracts.schema_of(view))
                about = [
                    (s.name, ", ".join(view.entity.keys), s.unit, s.description) for s in specs
                ]
                ttl = view.ttl
            else:
                about = [(n, "", None, view.descriptions.get(n, "")) for n in view.features]
                ttl = None
            listed += [
                {
                    "view": view.name,
                    "feature": name,
                    "keys": keys,
                    "ttl": ttl,
                    "unit": unit,
                    "description": description,
                    "models": ", ".join(users.get((view.name, name), [])),
                    "owner": view.owner,
                }
                for name, keys, unit, description in about
            ]
        return pd.DataFrame(listed)

    def training_set(self, model: str, digest: str | None = None) -> pd.DataFrame:
        """Return a training set as it was written: rows, features, label and ``split``.

        Parameters
        ----------
        digest
            Its digest or how that begins; by default the one that was recorded last.
        """
        import pandas as pd

        from mlops_assets.core.models import snapshots

        self.use_case.model(model)
        found = self.sql(
            "SELECT path FROM registry.training_sets WHERE model = $model "
            "AND starts_with(digest, $digest) ORDER BY created_at DESC, rowid DESC LIMIT 1",
            model=model,
            digest=digest or "",
        )
        if found.empty:
            raise LookupError(
                f"No training set of model {model!r} is recorded"
                + (f" whose digest begins with {digest!r}" if digest else "")
                + "; registry.training_sets lists them."
            )
        path = self._settings.snapshots(self.use_case.name) / str(found["path"].iloc[0])
        splits = [snapshots.read(path, s).assign(split=s) for s in ("train", "holdout")]
        return pd.concat(splits, ignore_index=True)

    def explain(self, prediction_id: str) -> Explanation:
        """Return what made a captured prediction, and whether it comes out the same again.

        Raises
        ------
        NotFound
            If there is no captured prediction of that id.
        ArtifactError
            If the version's model file is missing or refused.
        """
        from mlops_assets.core.audit.explain import explain

        with self._reading() as con:
            return explain(con, self.use_case, prediction_id, self._model_files(con))

    def verify(self, prediction_ids: Sequence[str]) -> pd.DataFrame:
        """Make captured predictions again, many at once; errors as ``explain``.

        ``prediction_id``, ``model``, ``version``, ``status`` (``identical``: bit for bit;
        ``different``; ``not_recomputable``), ``differs`` (names), ``reason``.
        """
        import pandas as pd

        from mlops_assets.core.audit.recompute import verify

        with self._reading() as con:
            made = verify(con, self.use_case, list(prediction_ids), self._model_files(con))
        names = ["prediction_id", "model", "version", "status", "differs", "reason"]
        return pd.DataFrame({name: [getattr(one, name) for one in made] for name in names})

    def _model_files(self, con: duckdb.DuckDBPyConnection) -> LoadVersion:
        from mlops_assets.core.artifacts.artifacts import ArtifactStore
        from mlops_assets.core.audit.predictions import stored_files

        store = ArtifactStore(self._settings.artifacts(self.use_case.name))
        return stored_files(con, self.use_case, store)

    def sql(self, query: str, **parameters: Any) -> pd.DataFrame:
        """Return the result of a query over the database; ``$name`` takes a parameter."""
        with self._reading() as con:
            return con.execute(query, parameters).df()

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        from mlops_assets.core.storage.relations import missing_tables
        from mlops_assets.resources.warehouse import Warehouse, WarehouseError

        if not self.database.is_file():
            raise WarehouseError(
                f"There is no database {self.database}: run the pipeline first, or give data_dir, "
                f"the folder that has {self.database.name}."
            )
        warehouse = Warehouse(
            database=str(self.database),
            timezone=self.use_case.timezone,
            lock_timeout_seconds=self._settings.lock_timeout_seconds,
            connection_config={"access_mode": "READ_ONLY"},
        )
        with warehouse.read() as con:
            if missing_tables(con, ["registry.feature_views"]):
                raise WarehouseError(
                    f"{self.database} has none of the pipeline's tables: run the pipeline first."
                )
            yield con
