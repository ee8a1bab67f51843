# Everything a person or CI does with this tree. Needs Python 3.11+ and GNU make; each target brings what else it needs.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The first interpreter that is new enough; override with `make setup PYTHON=/path/to/python`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
BIN := .venv/bin
PACKAGES := domain eventlog ingest projector reports leadfold
# Parallel test workers, and what else to hand to pytest: `make test ARGS='-k sipuni'`.
WORKERS ?= auto
ARGS ?=
# Where `make kafka` listens and keeps its data.
KAFKA_PORT ?= 9092
KAFKA_DATA ?= var/kafka
JUNIT := build/test-results/junit.xml

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- environment ------------------------------------------------------------------------------------------------

.PHONY: setup
setup: .venv/.dev ## Virtual environment with everything for work on Leadfold (.venv)

# A stamp file for each step: the second run of any target installs nothing.
.venv/.python:
	@if [ -z "$(PYTHON)" ]; then echo "Leadfold needs Python 3.11 or newer in PATH (or: make setup PYTHON=...)" >&2; exit 1; fi
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) comes without venv: install your system's python3-venv package" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv
	@touch $@

.venv/.runtime: requirements.lock pyproject.toml | .venv/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(MAKE) .install
	@touch $@

.venv/.dev: requirements-dev.lock pyproject.toml | .venv/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@$(MAKE) .install
	@touch .venv/.runtime $@

# This tree itself: editable, nothing resolved, nothing fetched (setuptools came with the lock).
.PHONY: .install
.install:
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation --editable .

# --- run --------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: .venv/.runtime ## Half a year of an auto service, live traffic and the report (ONCE=1 ends after the report)
	@$(BIN)/leadfold demo $(if $(filter-out 0,$(ONCE)),--once) $(ARGS)

.PHONY: kafka
kafka: .venv/.runtime build/kafka/.archive ## A local Kafka broker in the foreground (KAFKA_PORT=9092, KAFKA_DATA=var/kafka)
	@$(BIN)/python -m deploy.kafka.broker --port $(KAFKA_PORT) --data-dir $(KAFKA_DATA)

.PHONY: kafka-jars
kafka-jars: build/kafka/.jars ## Kafka's jars into build/kafka (Maven; once)

build/kafka/.jars: deploy/kafka/pom.xml
	@deploy/tools.sh java maven
	@rm -rf build/kafka/libs && mkdir -p build/kafka
	mvn --quiet --batch-mode --file deploy/kafka/pom.xml dependency:copy-dependencies
	@touch $@

# Kafka's classes as this machine's Java keeps them in memory: a broker starts in two thirds of the time.
build/kafka/.archive: build/kafka/.jars deploy/kafka/archive.py | .venv/.runtime
	@$(BIN)/python -m deploy.kafka.archive
	@touch $@

# --- tests ------------------------------------------------------------------------------------------------------

# What no Python package brings: Java 17, Maven, Chromium, a C compiler. Installed by apt-get only where missing.
build/.test-tools: deploy/tools.sh | .venv/.dev
	@mkdir -p build
	deploy/tools.sh java maven chromium compiler
	@touch $@

.PHONY: test
# A worker that is lost (a test that hangs takes it along) ends the run: xdist would wait for its file for ever.
test: .venv/.dev build/.test-tools build/kafka/.archive ## All tests, on a real Kafka, Postgres and browser (ARGS='-k sipuni' for some)
	@mkdir -p $(dir $(JUNIT))
	REQUIRE_KAFKA=1 REQUIRE_BROWSER=1 $(BIN)/python -m pytest -n $(WORKERS) --max-worker-restart 0 --dist loadfile --no-loadscope-reorder --junitxml=$(JUNIT) $(ARGS)

.PHONY: test-fast
test-fast: .venv/.dev ## Unit tests only: no Kafka, no browser, nothing slow
	$(BIN)/python -m pytest -m "not slow and not kafka and not browser" $(ARGS)

# How long, from which seed, and on which engine `make soak` runs.
MINUTES ?= 10
SEED ?= 1
ENGINE ?= kafka

.PHONY: soak
soak: .venv/.dev build/kafka/.archive ## A long storm of faults under load (MINUTES=10 SEED=1 ENGINE=kafka|embedded)
	$(BIN)/python -m tests.faults --minutes $(MINUTES) --seed $(SEED) --engine $(ENGINE) $(ARGS)

.PHONY: fuzz
fuzz: .venv/.dev build/fuzz-venv/.tools ## Decoders and adapters by coverage, the running service by its OpenAPI (MINUTES=4)
	$(BIN)/python -m tests.fuzz --minutes $(if $(filter command line environment,$(origin MINUTES)),$(MINUTES),4) $(ARGS)

# The fuzzers: an environment of their own, with Leadfold's dependencies as locked.
build/fuzz-venv/.tools: requirements-fuzz.lock | .venv/.python
	@test -x build/fuzz-venv/bin/python || "$(PYTHON)" -m venv build/fuzz-venv
	build/fuzz-venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-fuzz.lock
	@touch $@

.PHONY: bench
bench: .venv/.dev build/kafka/.archive build/bench-venv/.peers ## Ratios measured side by side on this machine (ARGS='ingest-kafka', ARGS=--full)
	$(BIN)/python -m tests.bench $(ARGS)

# The packages that Leadfold is measured beside: an environment of their own, nothing of it reaches the tests.
build/bench-venv/.peers: requirements-bench.lock | .venv/.python
	@test -x build/bench-venv/bin/python || "$(PYTHON)" -m venv build/bench-venv
	build/bench-venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-bench.lock
	@touch $@

.PHONY: lint
lint: .venv/.dev ## Style, types, import rules, freshness of generated files and locks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES) tests deploy/kafka deploy/checks
	$(BIN)/lint-imports
	$(BIN)/python -m leadfold.schemas --check
	$(BIN)/python -m deploy.checks.lock
	$(BIN)/python -m deploy.checks.statements
	$(BIN)/python -m deploy.checks.audit
	$(BIN)/python -m deploy.checks.licences --check
	$(BIN)/python -m deploy.checks.docs --check

# --- locks ------------------------------------------------------------------------------------------------------

.PHONY: lock
lock: | .venv/.python ## Resolve requirements*.lock anew (UPGRADE=1 takes the newest allowed versions)
	@mkdir -p build
	@test -x build/lock-venv/bin/uv || { "$(PYTHON)" -m venv build/lock-venv && build/lock-venv/bin/python -m pip install --quiet uv; }
	build/lock-venv/bin/uv pip compile pyproject.toml --extra build --output-file requirements.lock $(LOCK_FLAGS)
	build/lock-venv/bin/uv pip compile pyproject.toml --extra build --extra dev --constraint requirements.lock \
		--output-file requirements-dev.lock $(LOCK_FLAGS)
	build/lock-venv/bin/uv pip compile tests/bench/peers.in --output-file requirements-bench.lock $(LOCK_FLAGS)
	build/lock-venv/bin/uv pip compile pyproject.toml tests/fuzz/tools.in --constraint requirements.lock \
		--output-file requirements-fuzz.lock $(LOCK_FLAGS)

# Universal: one file for Linux, macOS and Python 3.11-3.13. No address of any package index gets into the files.
LOCK_FLAGS = --quiet --universal --python-version 3.11 --generate-hashes --no-build \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header $(if $(UPGRADE),--upgrade)

# --- tidy -------------------------------------------------------------------------------------------------------

.PHONY: audit
audit: build/fuzz-venv/.tools ## Ask the advisory database about every locked version (pip-audit; needs network)
	@for lock in requirements.lock requirements-dev.lock; do \
		build/fuzz-venv/bin/pip-audit --requirement $$lock --require-hashes --disable-pip; done

.PHONY: licences
licences: .venv/.dev ## Write docs/licences.md anew from the installed packages
	$(BIN)/python -m deploy.checks.licences

.PHONY: docs
docs: .venv/.dev ## Write the generated tables of docs/ anew from the code
	$(BIN)/python -m deploy.checks.docs

.PHONY: clean
clean: ## Remove everything that make made; data under var/ stays (DATA=1 removes it too)
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	$(if $(filter-out 0,$(DATA)),rm -rf var)
