"""The fixed tables of a use case's DuckDB file: the registry and ops ledgers.

Those of ``monitoring`` are in ``monitoring_tables``.

Tables whose columns depend on declarations are made by the code that writes them:
``raw.*``, ``quarantine.*`` and ``history.*`` (landing), ``features.*`` (feature_views),
``capture.<model>__predictions`` and ``capture.<model>__outcomes`` (capture).

Days are DATE in the use case's time zone; times are TIMESTAMP in UTC. There are no indexes
and no primary keys but two: replaying a write-ahead log over them is where DuckDB has had
crashes, and every write here is one transaction that checks what it replaces. The two, over
the numbers of model versions and of alias events, are small tables to which one row is added
at a time; they refuse a number that a second connection, past ``Warehouse``, gives twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.core.storage.monitoring_tables import MONITORING

if TYPE_CHECKING:
    import duckdb

SCHEMAS = (
    *("raw", "quarantine", "history", "features", "capture", "monitoring", "registry", "ops"),
)

TABLES = """
CREATE TABLE IF NOT EXISTS ops.landed_files (
    source VARCHAR NOT NULL,
    partition_date DATE,            -- NULL for a static source
    path VARCHAR NOT NULL,          -- relative to the landing folder
    sha256 VARCHAR NOT NULL,
    size_bytes BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    quarantined BIGINT NOT NULL,
    run_id VARCHAR NOT NULL,
    ingested_at TIMESTAMP NOT NULL
);
CREATE TABLE IF NOT EXISTS ops.partitions (
    dataset VARCHAR NOT NULL,       -- '<schema>.<table>'
    partition_date DATE,            -- NULL for a table without days
    rows BIGINT NOT NULL,
    digest VARCHAR NOT NULL,        -- of the content, whatever the order of rows
    run_id VARCHAR NOT NULL,
    written_at TIMESTAMP NOT NULL
);

CREATE TABLE IF NOT EXISTS registry.feature_views (
    view VARCHAR NOT NULL,
    version VARCHAR NOT NULL,       -- changes whenever the view's values may
    definition JSON NOT NULL,       -- what computing it needs, see core.features.view_definitions
    current BOOLEAN NOT NULL,       -- whether features.<view> holds this version's values
    run_id VARCHAR,                 -- of the run that first used it
    recorded_at TIMESTAMP NOT NULL
);
CREATE TABLE IF NOT EXISTS registry.feature_lineage (
    model VARCHAR,                  -- NULL: of the view, whoever uses it
    training_digest VARCHAR,        -- of the training set that uses the feature so
    view VARCHAR,                   -- NULL: the feature is the model's label
    view_version VARCHAR,
    feature VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    column_name VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,          -- value, rows, lookup, see core.lineage.column_lineage
    assumed VARCHAR                 -- why every column was taken; NULL: read from the SQL
);
CREATE TABLE IF NOT EXISTS registry.training_sets (
    model VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,        -- of all rows, columns and types
    path VARCHAR NOT NULL,          -- relative to the snapshot folder
    cutoff DATE NOT NULL,           -- only what was known when this day began was used
    train_start DATE NOT NULL,
    train_end DATE NOT NULL,        -- exclusive; the holdout begins here
    holdout_end DATE NOT NULL,      -- exclusive
    train_rows BIGINT NOT NULL,
    holdout_rows BIGINT NOT NULL,
    view_versions JSON NOT NULL,    -- {view: version}
    reason VARCHAR NOT NULL,        -- why it was asked for
    decision_id VARCHAR,            -- of monitoring.retrain_decisions, if one asked for it
    run_id VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    holdout_digest VARCHAR          -- of the holdout rows
);
CREATE TABLE IF NOT EXISTS registry.model_versions (
    model VARCHAR NOT NULL,
    version INTEGER NOT NULL,       -- 1, 2, ...; never reused
    artifact_sha256 VARCHAR NOT NULL,
    size_bytes BIGINT NOT NULL,
    training_digest VARCHAR NOT NULL,
    train_start DATE NOT NULL,
    train_end DATE NOT NULL,
    train_rows BIGINT NOT NULL,
    view_versions JSON NOT NULL,
    estimator VARCHAR NOT NULL,
    parameters JSON NOT NULL,
    signature JSON NOT NULL,        -- input and output names and types
    metrics JSON NOT NULL,          -- on the training rows
    reference JSON NOT NULL,        -- profile of the training data, for drift
    importance JSON NOT NULL,       -- {feature: share}
    code JSON NOT NULL,             -- git commit and dirty flag, package version
    environment JSON NOT NULL,      -- Python, platform, library versions, lock-file sha256
    parent_version INTEGER,         -- the champion when it was trained
    decision_id VARCHAR,
    fit_seconds DOUBLE NOT NULL,
    run_id VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    holdout_digest VARCHAR,         -- of the rows held out; they begin at train_end
    holdout_end DATE,               -- exclusive
    holdout_rows BIGINT,
    seed BIGINT,                    -- of everything random that the declaration left open
    total_seconds DOUBLE,           -- reading, fitting, profiling, saving; NULL: not measured
    source_model VARCHAR,           -- with source_version: what this version is a copy of
    source_version INTEGER,
    model_digest VARCHAR,           -- of the model in the file, equal for equal training
    golden JSON,                    -- a few rows and what was said of them
    UNIQUE (model, version)
);
CREATE TABLE IF NOT EXISTS registry.version_signatures (
    model VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    hmac VARCHAR NOT NULL,          -- of the row, with a key that is not in this file
    actor VARCHAR NOT NULL,
    signed_at TIMESTAMP NOT NULL    -- the last one counts
);
CREATE TABLE IF NOT EXISTS registry.load_events (
    model VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    artifact_sha256 VARCHAR NOT NULL,
    loaded BOOLEAN NOT NULL,
    reason VARCHAR,                 -- of the refusal
    seconds DOUBLE NOT NULL,
    run_id VARCHAR NOT NULL,
    loaded_at TIMESTAMP NOT NULL
);
CREATE TABLE IF NOT EXISTS registry.artifact_events (
    model VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    artifact_sha256 VARCHAR NOT NULL,
    size_bytes BIGINT NOT NULL,
    event VARCHAR NOT NULL,         -- deleted: the file; the version's row stays
    actor VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    recorded_at TIMESTAMP NOT NULL
);
CREATE TABLE IF NOT EXISTS registry.evaluations (
    evaluation_id VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    version INTEGER NOT NULL,       -- the challenger
    champion_version INTEGER,       -- NULL: there was none
    training_digest VARCHAR NOT NULL,
    holdout_start DATE NOT NULL,
    holdout_end DATE NOT NULL,
    rows BIGINT NOT NULL,
    report JSON NOT NULL,           -- all that the gate looks at: metrics, differences, slices, ...
    run_id VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    holdout_digest VARCHAR          -- of the rows held out; NULL: they were not looked at
);
CREATE TABLE IF NOT EXISTS registry.promotion_decisions (
    promotion_id VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    champion_version INTEGER,
    evaluation_id VARCHAR NOT NULL,
    promoted BOOLEAN NOT NULL,
    reasons JSON NOT NULL,          -- one sentence for each rule, with its numbers
    gate JSON NOT NULL,             -- the declared gate
    run_id VARCHAR NOT NULL,
    decided_at TIMESTAMP NOT NULL,
    edition INTEGER,                -- of the gate's rules; NULL: 1
    rules JSON                      -- each rule's outcome, statistic, threshold and p-value
);
-- Files from before have these tables without the columns that came later.
ALTER TABLE registry.training_sets ADD COLUMN IF NOT EXISTS holdout_digest VARCHAR;
ALTER TABLE registry.model_versions ADD COLUMN IF NOT EXISTS holdout_digest VARCHAR;
ALTER TABLE registry.model_versions ADD COLUMN IF NOT EXISTS holdout_end DATE;
ALTER TABLE registry.model_versions ADD COLUMN IF NOT EXISTS holdout_rows BIGINT;
ALTER TABLE registry.model_versions ADD COLUMN IF NOT EXISTS seed BIGINT;
ALTER TABLE registry.model_versions ADD COLUMN IF NOT EXISTS total_seconds DOUBLE;
ALTER TABLE registry.model_versions ADD COLUMN IF NOT EXISTS source_model VARCHAR;
ALTER TABLE registry.model_versions ADD COLUMN IF NOT EXISTS source_version INTEGER;
ALTER TABLE registry.evaluations ADD COLUMN IF NOT EXISTS holdout_digest VARCHAR;
ALTER TABLE registry.promotion_decisions ADD COLUMN IF NOT EXISTS edition INTEGER;
ALTER TABLE registry.promotion_decisions ADD COLUMN IF NOT EXISTS rules JSON;
CREATE TABLE IF NOT EXISTS registry.alias_events (
    event_id BIGINT NOT NULL,       -- 1, 2, ... over all models
    model VARCHAR NOT NULL,
    alias VARCHAR NOT NULL,
    from_version INTEGER,
    to_version INTEGER,             -- NULL: the alias was removed; never the champion's
    effective_from DATE NOT NULL,   -- first day that the version serves
    actor VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    promotion_id VARCHAR,           -- of the decision that allows it, or that was overridden
    override BOOLEAN NOT NULL,      -- whether it went past the gate
    rollback_of BIGINT,             -- the event that this one takes back
    recorded_at TIMESTAMP NOT NULL, -- never before the event before it
    UNIQUE (event_id)
);
ALTER TABLE registry.alias_events ALTER COLUMN to_version DROP NOT NULL;
ALTER TABLE registry.alias_events ADD COLUMN IF NOT EXISTS override BOOLEAN DEFAULT false;
ALTER TABLE registry.alias_events ADD COLUMN IF NOT EXISTS rollback_of BIGINT;
CREATE TABLE IF NOT EXISTS registry.probations (
    model VARCHAR NOT NULL,
    event_id BIGINT NOT NULL,       -- of the alias event that made the version champion
    version INTEGER NOT NULL,
    previous_version INTEGER NOT NULL,
    "window" INTEGER NOT NULL,      -- 1, 2, ...
    window_start DATE NOT NULL,     -- both inclusive: the days judged on
    window_end DATE NOT NULL,
    partition_date DATE NOT NULL,   -- day on which it was judged
    rows BIGINT NOT NULL,           -- labelled, and scored by both
    champion DOUBLE,                -- primary metric; NULL: not defined
    previous DOUBLE,
    difference DOUBLE,              -- positive: the champion is worse
    low DOUBLE,                     -- its lower bound
    bound DOUBLE,                   -- what low must exceed for a rollback
    verdict VARCHAR NOT NULL,       -- held, worse, too_few, not_comparable
    reason VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL
);
CREATE VIEW IF NOT EXISTS registry.aliases AS
    SELECT * EXCLUDE (to_version), to_version AS version
    FROM (
        FROM registry.alias_events
        QUALIFY row_number() OVER (PARTITION BY model, alias ORDER BY event_id DESC) = 1
    ) WHERE to_version IS NOT NULL;
"""


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Make the schemas and fixed tables that are missing; existing ones stay as they are."""
    for schema in SCHEMAS:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    con.execute(TABLES)
    con.execute(MONITORING)
