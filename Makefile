# Targets a researcher or a developer runs. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
STUDY := analyses/ecm_utilization
QUARTER ?= 2024Q4
MEMBERS ?= 20000
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help report test check check-code fix test-slow test-spark bench dictionary rules notebooks clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.report: pyproject.toml requirements.lock | $(VENV)/pyvenv.cfg
	@echo "Installing calaim_eval and what the report needs (once, about two minutes) ..."
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable ".[report]"
	@touch $@

$(VENV)/.dev: pyproject.toml requirements.lock | $(VENV)/pyvenv.cfg
	@echo "Installing calaim_eval and its development tools (once, about two minutes) ..."
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable ".[dev]"
	@touch $@ $(VENV)/.report

report: $(VENV)/.report  ## set up, simulate a Medi-Cal, run the study, render the quarterly report
	$(BIN)/calaim-eval simulate $(STUDY) --members $(MEMBERS) --keep
	$(BIN)/calaim-eval run $(STUDY)/study.toml --quarter $(QUARTER)

test: $(VENV)/.dev  ## set up, then every check and every test but the slow ones
	$(MAKE) --no-print-directory check-code
	$(BIN)/python -m pytest -n 2 -m "not slow and not spark"

check-code: $(VENV)/.dev
	$(BIN)/ruff check calaim_eval tests benchmarks
	$(BIN)/ruff format --check calaim_eval tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/calaim-eval dictionary --check

check: check-code  ## lint, types, layers, dictionary drift, fast unit tests
	$(BIN)/python -m pytest -n 2 -m "not slow" tests/unit tests/spec

fix: $(VENV)/.dev  ## format and mend what can be mended automatically
	$(BIN)/ruff check --fix calaim_eval tests benchmarks
	$(BIN)/ruff format calaim_eval tests benchmarks

test-slow: $(VENV)/.dev  ## the long suite: oracles and recovery studies
	$(BIN)/python -m pytest -n 2 -m slow

$(VENV)/.spark: pyproject.toml requirements.lock | $(VENV)/.dev
	@echo "Installing Spark (once, about two minutes) ..."
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable ".[spark]"
	@touch $@

test-spark: $(VENV)/.spark  ## the panel on Spark against the panel on DuckDB; needs Java 17
	$(BIN)/python -m pytest -n 0 -rs tests/spark

bench: $(VENV)/.dev  ## measure; figures go into benchmarks/README.md
	$(BIN)/python benchmarks/did_speed.py

dictionary: $(VENV)/.report  ## write data_dictionary/ from the declared tables
	$(BIN)/calaim-eval dictionary

rules: $(VENV)/.dev  ## write docs/rules.md from the rule tests and the definitions
	$(BIN)/python tests/spec/rules_page.py

notebooks: $(VENV)/.report  ## open the notebooks
	$(BIN)/python -m jupyter lab notebooks

clean:  ## remove what the demonstration study wrote
	$(BIN)/python -c "import shutil; [shutil.rmtree('$(STUDY)/' + d, ignore_errors=True) for d in ('raw', 'truth', 'restricted', 'release', 'report')]"
