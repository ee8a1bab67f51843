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

# --- locks ------------------------------------------------------------------------------------------------------

.PHONY: lock
lock: | .venv/.python ## Resolve requirements*.lock anew (UPGRADE=1 takes the newest allowed versions)
	@mkdir -p build
	@test -x build/lock-venv/bin/uv || { "$(PYTHON)" -m venv build/lock-venv && build/lock-venv/bin/python -m pip install --quiet uv; }
	build/lock-venv/bin/uv pip compile pyproject.toml --extra build --output-file requirements.lock $(LOCK_FLAGS)
	build/lock-venv/bin/uv pip compile pyproject.toml --extra build --extra dev --constraint requirements.lock \
		--output-file requirements-dev.lock $(LOCK_FLAGS)

# Universal: one file for Linux, macOS and Python 3.11-3.13. No address of any package index gets into the files.
LOCK_FLAGS = --quiet --universal --python-version 3.11 --generate-hashes --no-build \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header $(if $(UPGRADE),--upgrade)
