# Every command a person types. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PORT ?= 5000
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := 1
export PATH := $(abspath $(BIN)):$(PATH)

TASK_OPTION = $(if $(TASK),--task $(TASK))

.DEFAULT_GOAL := help
.PHONY: help setup run test test-slow test-gpu lint format params ui models promote rollback monitor summary plots bench bench-drift clean distclean lock

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo '  Options: TASK=mnist  ARGS="trainer.max_epochs=3 model.filters=[16,32]"  VERSION=2  PORT=5000'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version.split()[0] + "; choose one with make PYTHON=python3.11 …" if not (3, 11) <= sys.version_info < (3, 14) else 0)'
	$(PYTHON) -m venv $(VENV)
	@echo 'installing into $(VENV): about 2.5 GB, some minutes'
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(STAMP)  ## make the virtual environment (the other targets do it when needed)

run: $(STAMP)  ## the whole pipeline, then what came of it   [TASK= ARGS=]
	@$(BIN)/closedloop run $(TASK_OPTION) $(ARGS)

params: $(STAMP)  ## compose params.yaml from conf/   [TASK= ARGS=]
	@$(BIN)/closedloop params $(TASK_OPTION) $(ARGS)

monitor: $(STAMP)  ## judge the traffic through the champion; error 3: drift   [ARGS=]
	@$(BIN)/closedloop monitor $(TASK_OPTION) $(ARGS)

summary: $(STAMP)  ## what the last run came to
	@$(BIN)/closedloop summary

models: $(STAMP)  ## the registered versions, and which one is the champion
	@$(BIN)/closedloop models

promote: $(STAMP)  ## make a version the champion by hand   VERSION=
	@$(if $(VERSION),,$(error VERSION is missing: make promote VERSION=2; make models lists the versions))$(BIN)/closedloop promote $(VERSION)

rollback: $(STAMP)  ## return to the champion before this one
	@$(BIN)/closedloop rollback

ui: $(STAMP)  ## open MLflow on http://127.0.0.1:5000   [PORT=]
	@$(BIN)/closedloop ui --port $(PORT)

plots: $(STAMP)  ## draw the DVC plots into one page that works offline
	@$(BIN)/closedloop plots

test: $(STAMP)  ## the tests (under ten minutes)
	$(BIN)/python -m pytest

test-slow: $(STAMP)  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

test-gpu: $(STAMP)  ## the tests that need a CUDA device
	$(BIN)/python -m pytest -m gpu

lint: $(STAMP)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## measure what the README and docs/benchmarks claim (about 40 minutes)
	$(BIN)/python benchmarks/accuracy.py digits
	$(BIN)/python benchmarks/accuracy.py mnist
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/pipeline.py
	$(BIN)/python benchmarks/drift.py

bench-drift: $(STAMP)  ## false alarms and detection rates of the drift verdict
	$(BIN)/python benchmarks/drift.py

clean:  ## delete what the pipeline made, except the registry and DVC's cache
	rm -rf data models work reports/*/*.parquet reports/*/*.html reports/*/*.png reports/*/figures dvc_plots

distclean: clean  ## also delete the registry, the cache and the virtual environment
	rm -rf mlflow.db* mlartifacts .dvc/cache .dvc/tmp $(VENV)

lock: $(STAMP)  ## write what is installed into constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt
