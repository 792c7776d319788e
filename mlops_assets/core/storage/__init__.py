"""Tables on one DuckDB file: writing partitions, digests, column contracts, quoting."""
