"""Feast, asked over a pipe. Runs in Feast's environment, and imports nothing of ours.

Reads one JSON command a line from standard input, answers one JSON line each on standard
output (what Feast prints goes to standard error). Data passes as Parquet files. The other
end is ``feast_peer``.
"""

import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

os.environ["FEAST_USAGE"] = "False"

import duckdb
import feast
import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.infra.offline_stores import offline_utils
from feast.infra.offline_stores.contrib.postgres_offline_store import postgres
from feast.types import Float64, Int64, String


def feast_type(arrow_type):
    if pa.types.is_integer(arrow_type):
        return Int64, ValueType.INT64
    if pa.types.is_floating(arrow_type):
        return Float64, ValueType.DOUBLE
    return String, ValueType.STRING


def define(view, source):
    schema = pq.read_schema(view["path"])
    entities = [
        Entity(name=key, join_keys=[key], value_type=feast_type(schema.field(key).type)[1])
        for key in view["keys"]
    ]
    fields = [
        Field(name=name, dtype=feast_type(schema.field(name).type)[0])
        for name in [*view["keys"], *view["features"]]
    ]
    ttl = timedelta(microseconds=view["ttl_us"]) if view["ttl_us"] else None
    return entities, FeatureView(
        name=view["name"], entities=entities, schema=fields, source=source, ttl=ttl
    )


def store_of(command, folder, offline):
    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(Path(folder, "registry.db")),
            online_store={"type": "sqlite", "path": str(Path(folder, "online.db"))},
            offline_store={"type": offline},
            entity_key_serialization_version=3,
        )
    )
    for view in command["views"]:
        source = FileSource(
            name=f"{view['name']}_source",
            path=view["path"],
            timestamp_field=view["event_time"],
            created_timestamp_column=view["created"] or "",
        )
        entities, feature_view = define(view, source)
        store.apply([*entities, feature_view])
    return store


def references(command):
    return [f"{view['name']}:{name}" for view in command["views"] for name in view["features"]]


def write(table, path):
    pq.write_table(table, path)
    return table.num_rows


def historical(command, folder):
    """What an offline store gives; timed from the call to the Arrow table in memory."""
    store = store_of(command, folder, command["store"])
    rows = pq.read_table(command["rows"]).to_pandas()
    started = time.perf_counter()
    table = store.get_historical_features(
        entity_df=rows,
        features=references(command),
        filter_by_created_timestamp=command["cutoff"],
    ).to_arrow()
    seconds = time.perf_counter() - started
    return {"rows": write(table, command["out"]), "seconds": seconds}


def template(command, folder):
    """What the SQL gives that Feast renders from its Postgres template, run by DuckDB."""
    registry = store_of({"views": []}, folder, "duckdb").registry
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    rows = pq.read_table(command["rows"])
    con.register("entity_rows", rows)
    contexts = []
    for view in command["views"]:
        con.execute(f"CREATE TABLE {view['name']}_facts AS FROM read_parquet('{view['path']}')")
        source = postgres.PostgreSQLSource(
            name=f"{view['name']}_source",
            table=f"{view['name']}_facts",
            timestamp_field=view["event_time"],
            created_timestamp_column=view["created"] or "",
        )
        _, feature_view = define(view, source)
        times = rows.column("event_timestamp").to_pandas()
        [context] = offline_utils.get_feature_view_query_context(
            [f"{view['name']}:{name}" for name in view["features"]],
            [feature_view],
            registry,
            "bench",
            (times.min().tz_localize("UTC"), times.max().tz_localize("UTC")),
        )
        context = asdict(context)
        # As PostgreSQLOfflineStore.get_historical_features quotes them.
        context["entity_selections"] = [
            '"' + selection.replace(" AS ", '" AS "') + '"'
            for selection in context["entity_selections"]
        ]
        contexts.append(context)
    query = postgres.build_point_in_time_query(
        contexts,
        left_table_query_string="entity_rows",
        entity_df_event_timestamp_col="event_timestamp",
        entity_df_columns=dict.fromkeys(rows.column_names).keys(),
        query_template=postgres.MULTIPLE_FEATURE_VIEW_POINT_IN_TIME_JOIN,
        filter_by_created_timestamp=command["cutoff"],
    )
    return {"rows": write(con.sql(query).to_arrow_table(), command["out"])}


def online(command, folder):
    """What the online store gives for the keys of the rows, now, after all facts were written."""
    store = store_of(command, folder, "duckdb")
    for view in command["views"]:
        facts = pq.read_table(view["path"]).to_pandas()
        store.write_to_online_store(view["name"], facts)
    keys = sorted({key for view in command["views"] for key in view["keys"]})
    rows = pq.read_table(command["rows"])
    wanted = rows.select(keys).to_pylist()
    response = store.get_online_features(references(command), wanted).to_dict()
    table = pa.table({"row_id": rows.column("row_id")})
    for view in command["views"]:
        for name in view["features"]:
            table = table.append_column(name, pa.array(response[name]))
    return {"rows": write(table, command["out"])}


def version(command, folder):
    return {"feast": feast.__version__, "duckdb": duckdb.__version__}


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever is printed must not get between the answers
    for line in sys.stdin:
        command = json.loads(line)
        with tempfile.TemporaryDirectory() as folder:
            try:
                answer = globals()[command["do"]](command, folder)
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
