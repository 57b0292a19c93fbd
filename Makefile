# Every command a person types. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := 1
export PATH := $(abspath $(BIN)):$(PATH)

TASK_OPTION = $(if $(TASK),--task $(TASK))
# under a scheduler drift is a finding that the next command acts on, and no failure
FINDING = $(if $(SCHEDULED), || [ $$? -eq 3 ])
EXTRAS ?=

.DEFAULT_GOAL := help
.PHONY: help setup new run params tune monitor summary plots models compare promote rollback ui serve feedback challenge unchallenge judge retrain history drill \
	export prune restore publish report test test-slow test-gpu lint format bench bench-transfer bench-drift bench-serving bench-drill soak \
	clean distclean lock

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo '  Options: TASK=mnist  ARGS="trainer.max_epochs=3 model.filters=[16,32]"  VERSION=2  PORT=8000  FILE=labels.csv'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version.split()[0] + "; choose one with make PYTHON=python3.11 …" if not (3, 11) <= sys.version_info < (3, 14) else 0)'
	$(PYTHON) -m venv $(VENV)
	@echo 'installing into $(VENV): about 2.5 GB, some minutes'
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev$(EXTRAS:%=,%)]'
	@touch $@

setup: $(STAMP)  ## make the virtual environment (the other targets do it when needed)

new: $(STAMP)  ## a task from your own file or folder   TASK= FROM= [TARGET= TEXT= COLUMNS=]
	@$(if $(and $(TASK),$(FROM)),,$(error TASK or FROM is missing: make new TASK=mine FROM=data.csv TARGET=income))$(BIN)/closedloop new '$(TASK)' '$(FROM)' --target='$(TARGET)' --text='$(TEXT)' --columns='$(COLUMNS)'

run: $(STAMP)  ## the whole pipeline, then what came of it   [TASK= ARGS=]
	@$(BIN)/closedloop run $(TASK_OPTION) $(ARGS)

params: $(STAMP)  ## compose params.yaml from conf/   [TASK= ARGS=]
	@$(BIN)/closedloop params $(TASK_OPTION) $(ARGS)

tune: $(STAMP)  ## search for better values of the configuration   [TASK= ARGS="tune.trials=20 tune.jobs=2"]
	@$(BIN)/closedloop tune $(TASK_OPTION) $(ARGS)

monitor: $(STAMP)  ## judge a window of traffic; error 3: drift   [ARGS=traffic=log]
	@$(BIN)/closedloop monitor $(TASK_OPTION) $(ARGS)$(FINDING)

summary: $(STAMP)  ## what the last run came to
	@$(BIN)/closedloop summary

models: $(STAMP)  ## the registered versions, and which one is the champion
	@$(BIN)/closedloop models

compare: $(STAMP)  ## what differs between runs, and which one is better   [RUNS="id id" or LAST=5]
	@$(BIN)/closedloop compare $(RUNS) $(if $(LAST),--last $(LAST))

promote: $(STAMP)  ## make a version the champion by hand   VERSION=
	@$(if $(VERSION),,$(error VERSION is missing: make promote VERSION=2; make models lists the versions))$(BIN)/closedloop promote $(VERSION)

rollback: $(STAMP)  ## return to the champion before this one
	@$(BIN)/closedloop rollback

ui: $(STAMP)  ## open MLflow on http://127.0.0.1:5000   [PORT=]
	@$(BIN)/closedloop ui --port $(or $(PORT),5000)

serve: $(STAMP)  ## answer requests with the champion on http://127.0.0.1:8000   [PORT= ARGS=]
	@$(BIN)/closedloop serve $(if $(PORT),--port $(PORT)) $(ARGS)

feedback: $(STAMP)  ## read true labels from a file with the columns id,label   FILE=
	@$(if $(FILE),,$(error FILE is missing: make feedback FILE=labels.csv))$(BIN)/closedloop feedback $(FILE)

challenge: $(STAMP)  ## let a version run in shadow or canary (serving.challenger)   VERSION=
	@$(if $(VERSION),,$(error VERSION is missing: make challenge VERSION=2; make models lists the versions))$(BIN)/closedloop challenge $(VERSION)

unchallenge: $(STAMP)  ## take the challenger off the live traffic
	@$(BIN)/closedloop unchallenge

judge: $(STAMP)  ## the challenger against the champion on labelled live traffic
	@$(BIN)/closedloop judge

retrain: $(STAMP)  ## retrain when there is a reason to   [ARGS=--force]
	@$(BIN)/closedloop retrain $(ARGS)$(FINDING)

history: $(STAMP)  ## the attempts to retrain and the latest windows
	@$(BIN)/closedloop history

drill: $(STAMP)  ## rehearse it all on a server that runs: drift, alarm, retraining, rollback (4 to 5 minutes)   [ARGS=--seed=1]
	@$(BIN)/closedloop drill $(ARGS)

export: $(STAMP)  ## write predictions with their labels to a Parquet file   FILE= [ARGS="--start=… --end=…"]
	@$(if $(FILE),,$(error FILE is missing: make export FILE=window.parquet))$(BIN)/closedloop export $(FILE) $(ARGS)

prune: $(STAMP)  ## delete from the prediction log what is older than log.keep_days
	@$(BIN)/closedloop prune

restore: $(STAMP)  ## fetch data and models of dvc.lock from the DVC remote
	@$(BIN)/closedloop restore

publish: $(STAMP)  ## send data and models of dvc.lock to the DVC remote
	@$(BIN)/closedloop publish

report: $(STAMP)  ## what a retraining has changed, as Markdown   [ARGS=--base=main]
	@$(BIN)/closedloop report $(ARGS)

plots: $(STAMP)  ## draw the DVC plots into one page that works offline
	@$(BIN)/closedloop plots

# three workers on two cores: many tests wait for a server, a lock or a disk
test: $(STAMP)  ## the tests (about ten minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

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

bench: $(STAMP)  ## measure what the README and docs/benchmarks claim (about 130 minutes)
	$(BIN)/python benchmarks/accuracy.py digits
	$(BIN)/python benchmarks/accuracy.py mnist
	$(BIN)/python benchmarks/accuracy.py adult
	$(BIN)/python benchmarks/accuracy.py sms_spam
	$(BIN)/python benchmarks/accuracy.py spoken_digits
	$(BIN)/python benchmarks/regression.py diabetes
	$(BIN)/python benchmarks/language.py
	$(BIN)/python benchmarks/outcomes.py cartpole
	$(BIN)/python benchmarks/outcomes.py digits_gan
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/speakers.py
	$(BIN)/python benchmarks/transfer.py
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/pipeline.py
	$(BIN)/python benchmarks/drift.py
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/soak.py
	$(BIN)/python benchmarks/drill.py

bench-transfer: $(STAMP)  ## the weights of digits as a start for mnist; both networks for images (about 10 minutes)
	$(BIN)/python benchmarks/transfer.py

bench-drift: $(STAMP)  ## false alarms and detection rates of the drift verdict
	$(BIN)/python benchmarks/drift.py

bench-serving: $(STAMP)  ## our server against `mlflow models serve`, with and without logging (about 3 minutes)
	$(BIN)/python benchmarks/serving.py

soak: $(STAMP)  ## half the peak rate for some minutes: memory, losses, errors   [ARGS=30]
	$(BIN)/python benchmarks/soak.py $(ARGS)

bench-drill: $(STAMP)  ## the drill over three seeds and three scenarios (about 25 minutes)
	$(BIN)/python benchmarks/drill.py

clean:  ## delete what the pipeline made, except the registry and DVC's cache
	rm -rf data models work reports/*/*.parquet reports/*/*.html reports/*/*.png reports/*/figures dvc_plots

distclean: clean  ## also delete the registry, the searches, the cache and the virtual environment
	rm -rf mlflow.db* studies.db* mlartifacts .dvc/cache .dvc/tmp $(VENV)

lock: $(STAMP)  ## write what is installed into constraints.txt
	@echo '# Versions that are tested together; `make lock` writes this file.' > constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' >> constraints.txt
