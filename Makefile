# mlops_assets. Every target first makes the locked environment in .venv if it is missing.

SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export DAGSTER_HOME := $(CURDIR)/data/dagster_home
# OpenMP's waiting threads spin by default: with both cores busy, a fit takes eight times as long.
export OMP_WAIT_POLICY := PASSIVE
HOME_READY := data/dagster_home/dagster.yaml

.PHONY: demo ui test proof bench bench-point-in-time bench-feast-correctness bench-digest bench-registry bench-gate bench-explain bench-drift bench-drift-parity bench-drift-false-alarms bench-estimation bench-estimation-parity bench-attention bench-quality bench-multivariate bench-concept-parity check format lock clean help

help:
	@echo "make demo    replay the flights of 2013 through the whole graph"
	@echo "make ui      the Dagster UI on that history, at http://127.0.0.1:3000"
	@echo "make test    the tests"
	@echo "make proof   those tests that claim something of thousands of cases, with all of them"
	@echo "make bench   beside the peers, which uv fetches the first time: figures in data/bench"
	@echo "             (one by one: bench-point-in-time, bench-feast-correctness, bench-digest, bench-registry)"
	@echo "make bench-explain  are the predictions of make demo the same again, bit for bit?"
	@echo "make bench-gate  how often the promotion gate errs, over simulated holdouts: some minutes"
	@echo "make check   format, lint, types, definitions"
	@echo "make format  format the code"
	@echo "make lock    resolve requirements.lock anew"
	@echo "make clean   remove what was produced (not the environment)"

demo: $(READY) $(HOME_READY)
	$(BIN)/mlops-assets replay --json data/demo.json
	@echo "Kept in data/demo.json. To look at the year: make ui, then open http://127.0.0.1:3000"

ui: $(READY) $(HOME_READY)
	$(BIN)/dagster dev --workspace workspace.yaml --host 127.0.0.1 --port 3000

test: $(READY) $(HOME_READY)
	$(BIN)/pytest -n 2 --dist loadfile

# What the documentation claims of thousands of cases: joins, alias moves, writers, corrections.
PROVEN := point_in_time aliases registry_concurrency history
proof: $(READY) $(HOME_READY)
	MLOPS_ASSETS_PROOF=1 $(BIN)/pytest -n 2 --dist loadfile \
	    $(PROVEN:%=mlops_assets_tests/core/test_%.py)

bench: bench-feast-correctness bench-point-in-time bench-digest bench-registry

# Each row's features as known at its moment: right where Feast is wrong ...
bench-feast-correctness: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.feast_correctness

# ... and how fast, beside Feast and DuckDB's own ASOF join. Takes some minutes, most of them Feast's.
bench-point-in-time: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.bench_point_in_time

# Ten thousand mutations of a table, and whether its digest sees them.
bench-digest: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.bench_digest

# Register, move an alias, resolve, load: beside MLflow, which also loads what is exported for it.
bench-registry: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.bench_registry

# Promotions by chance, power and leaks of the gate, over simulated holdouts: docs/gate.md.
bench-gate: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.bench_gate

# Predictions of the demo's year, after a rollback and a backfill: docs/audit.md. After make demo.
bench-explain: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.explain_year

# A million rows of 30 columns against as many, beside Evidently and NannyML: some minutes, theirs.
bench-drift: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.bench_drift

# Ask both peers anew for the golden values that the tests compare with.
bench-drift-parity: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.drift_peers

# Alarms where nothing has changed, shifts that are found, the peers beside them: docs/drift.md.
bench-drift-false-alarms: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.drift_false_alarms
	$(BIN)/python -m mlops_assets_tests.benchmarks.drift_tails

# Estimates without labels: NannyML beside them, intervals, the flights' weeks: docs/estimation.md.
bench-estimation: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.bench_estimation

# Ask NannyML anew for the golden values of CBPE that the tests compare with.
bench-estimation-parity: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.estimation_peer

# Shifted columns ranked, bad slices searched for, quiet weeks, seconds: docs/attention.md.
bench-attention: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.bench_attention

# Twelve ways in which data break, ordinary days, and what drift says of either: docs/quality.md.
bench-quality: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.bench_quality

# Alarms in unchanged rows and unchanged years, changes that are found, flights: docs/multivariate.md.
bench-multivariate: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.multivariate_false_alarms
	$(BIN)/python -m mlops_assets_tests.benchmarks.concept_false_alarms
	$(BIN)/python -m mlops_assets_tests.benchmarks.shift_flights

# Ask River anew for the golden detections that the tests compare with.
bench-concept-parity: $(READY)
	$(BIN)/python -m mlops_assets_tests.benchmarks.concept_peer

check: $(READY) $(HOME_READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/dagster definitions validate --workspace workspace.yaml --log-level warning

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-header --quiet --upgrade \
	    --output-file requirements.lock

clean:
	find data -mindepth 1 -maxdepth 1 ! -name nyc_flights_2013 -exec rm -rf {} +

# With uv where it is installed, with venv and pip where not; the same locked packages. The lock
# names them all, so pip need not resolve (and older ones, asked to, stumble over extras).
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python 3.11 or newer is needed; $(PYTHON) is older. Use: make PYTHON=python3.12 ..."; \
	    exit 1; }
	@echo "Making the environment in .venv ..."
	@if command -v uv >/dev/null; then \
	    set -e; \
	    test -x $(BIN)/python || uv venv --quiet --python "$$(command -v $(PYTHON))" .venv; \
	    uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock; \
	    uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	else \
	    set -e; \
	    test -x $(BIN)/pip || $(PYTHON) -m venv .venv; \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	        --requirement requirements.lock; \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	        --no-build-isolation --editable .; \
	fi
	@touch $@

# Dagster's instance lives in data/. The .env makes a plain `dagster dev` here use it too.
$(HOME_READY): dagster.yaml
	@mkdir -p $(dir $@)
	@cp dagster.yaml $@
	@printf 'DAGSTER_HOME=%s\nOMP_WAIT_POLICY=PASSIVE\n' "$(DAGSTER_HOME)" > .env
