"""The fixed tables of the schema ``monitoring``: what was measured, and what was decided on it.

Each row is one fact about one model (or feature view) and one day or window; see ``tables`` for
what holds of all fixed tables.
"""

from __future__ import annotations

MONITORING = """
CREATE TABLE IF NOT EXISTS monitoring.performance (
    model VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    window_start DATE NOT NULL,
    window_end DATE NOT NULL,       -- inclusive; the partition
    slice VARCHAR NOT NULL,         -- 'all', or 'column=value'
    metric VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,          -- realised, estimated
    value DOUBLE,                   -- NULL: not computable, see status
    low DOUBLE,
    high DOUBLE,
    n BIGINT NOT NULL,
    label_join_rate DOUBLE,
    status VARCHAR NOT NULL         -- mature, provisional, no_predictions, no_labels, undefined
);
CREATE TABLE IF NOT EXISTS monitoring.drift (
    model VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    window_start DATE NOT NULL,
    window_end DATE NOT NULL,       -- inclusive; the partition
    column_name VARCHAR NOT NULL,
    role VARCHAR NOT NULL,          -- feature, prediction, label
    slice VARCHAR NOT NULL,         -- 'all', or 'column=value'
    reference VARCHAR NOT NULL,     -- training, previous (the window before)
    method VARCHAR NOT NULL,
    decides BOOLEAN NOT NULL,       -- on this column's alarm; at most one of its methods does
    value DOUBLE,
    threshold DOUBLE,               -- of practical importance
    usual DOUBLE,                   -- the most among the training period's own windows
    null_quantile DOUBLE,           -- what chance gives at these sizes
    adjusted_p DOUBLE,
    drifted BOOLEAN NOT NULL,
    importance DOUBLE,
    n_reference BIGINT NOT NULL,    -- values, the missing left out
    n_current BIGINT NOT NULL,
    status VARCHAR NOT NULL         -- see core.drift_methods.statuses
);
CREATE TABLE IF NOT EXISTS monitoring.estimates (
    model VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    window_start DATE NOT NULL,
    window_end DATE NOT NULL,       -- inclusive; the day on which the window closed
    metric VARCHAR NOT NULL,
    method VARCHAR NOT NULL,        -- pape, cbpe, dle: see core.estimation
    value DOUBLE,                   -- NULL: not estimated, see status
    low DOUBLE,
    high DOUBLE,
    n BIGINT NOT NULL,
    reference_n BIGINT NOT NULL,    -- rows of the version's holdout
    status VARCHAR NOT NULL,        -- see core.estimation.samples
    reason VARCHAR NOT NULL,
    unchanged DOUBLE,               -- the metric on the holdout
    realised DOUBLE,                -- what came out, on the labels known so far
    realised_n BIGINT NOT NULL,
    validated BOOLEAN NOT NULL,     -- only then it may trigger anything
    mae DOUBLE,                     -- of the method, on the model's windows before
    bias DOUBLE,
    coverage DOUBLE,
    windows BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS monitoring.excess_loss (
    model VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    day DATE NOT NULL,
    metric VARCHAR NOT NULL,        -- whose row losses are meant
    n BIGINT NOT NULL,
    total DOUBLE NOT NULL,          -- of the losses beyond what rows like these cost in the holdout
    squares DOUBLE NOT NULL,
    foreign_rows BIGINT NOT NULL,   -- left out: the holdout has none like them
    uncertain DOUBLE NOT NULL       -- standard error of what was expected
);
CREATE TABLE IF NOT EXISTS monitoring.findings (
    model VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    window_start DATE NOT NULL,
    window_end DATE NOT NULL,       -- inclusive; the day on which the window closed
    question VARCHAR NOT NULL,      -- rows_moved, concept_changed, worst_slice, largest_error
    method VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,       -- a slice in words, the id of a prediction; '': the window
    value DOUBLE,
    threshold DOUBLE,
    null_quantile DOUBLE,
    adjusted_p DOUBLE,
    n BIGINT NOT NULL,
    alarm BOOLEAN NOT NULL,
    status VARCHAR NOT NULL,
    details JSON NOT NULL
);
CREATE TABLE IF NOT EXISTS monitoring.feature_consistency (
    model VARCHAR NOT NULL,
    version INTEGER NOT NULL,       -- that made the predictions
    partition_date DATE NOT NULL,
    view VARCHAR,                   -- NULL: not known any more
    feature VARCHAR NOT NULL,
    compared BIGINT NOT NULL,       -- captured predictions of the sample, recomputed
    mismatches BIGINT NOT NULL,
    rate DOUBLE,                    -- of mismatches; NULL: nothing was compared
    gone BIGINT NOT NULL,           -- of the sample, those whose row is no longer there
    prediction_id VARCHAR,          -- an example of a mismatch, its values as text
    captured VARCHAR,
    recomputed VARCHAR,
    status VARCHAR NOT NULL         -- compared, gone, not_recomputable
);
CREATE TABLE IF NOT EXISTS monitoring.feature_statistics (
    view VARCHAR NOT NULL,
    view_version VARCHAR NOT NULL,
    partition_date DATE,            -- NULL for a view without days
    feature VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,          -- number, category, other: which of the columns there are
    rows BIGINT NOT NULL,           -- of the view on that day, as known now
    null_rate DOUBLE,               -- NULL, like all that follow, where there are no rows
    distinct_values BIGINT,
    minimum DOUBLE,
    q05 DOUBLE,
    q25 DOUBLE,
    median DOUBLE,
    q75 DOUBLE,
    q95 DOUBLE,
    maximum DOUBLE,
    mean DOUBLE,
    deviation DOUBLE,               -- standard deviation, of the sample
    top_share DOUBLE,               -- share of the most frequent category
    newest_event TIMESTAMP,         -- of the view up to the end of the day
    age_seconds DOUBLE,             -- how old that was when the day ended: data age
    compute_seconds DOUBLE NOT NULL -- that the view took, shared among the days of the run
);
CREATE TABLE IF NOT EXISTS monitoring.retrain_decisions (
    decision_id VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    partition_date DATE NOT NULL,
    champion_version INTEGER,
    decision VARCHAR NOT NULL,      -- retrain, keep, blocked, wait_for_data
    trigger VARCHAR,                -- first_model, performance, drift, staleness
    reason VARCHAR NOT NULL,        -- one sentence that a person understands
    evidence JSON NOT NULL,
    guards JSON NOT NULL
);
"""
