# `make` lists the targets. Every target makes the environment that it needs (.venv).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
# torch.compile cannot trace the run-time shape checks.
RUN_UNHOOKED := $(RUN_TESTS) -o addopts="" --import-mode=importlib

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint type test-unit test-slow test-compile test-distributed test-gpu bench format hooks clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

setup: $(VENV)/ready ## make the environment .venv with what the tests last passed with

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: setup ## generate Darcy data, train a small TFNO, evaluate it, write a report (under 5 minutes)
	$(BIN)/pdesolve generate dataset=darcy_demo
	$(BIN)/pdesolve train experiment=darcy/demo

test: lint type test-unit ## everything a change must pass: lint, types, import contracts, tests

lint: setup ## ruff and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

type: setup ## static types
	$(BIN)/basedpyright

test-unit: setup ## the default tests and doctests
	$(RUN_TESTS) -n 2

test-slow: setup ## tests that take minutes or kill processes many times
	$(RUN_TESTS) -m "slow and not compile"
	$(RUN_UNHOOKED) -m "slow and compile"

test-compile: setup ## torch.compile and torch.export, traced (code generation: test-slow)
	$(RUN_UNHOOKED) -m "compile and not slow"

test-distributed: setup ## tests that start several processes with torchrun
	$(RUN_TESTS) -m distributed

test-gpu: setup ## tests that need CUDA
	$(RUN_TESTS) -m gpu

bench: setup ## speed benchmarks; each prints a table and writes benchmarks/results/*.json
	for script in benchmarks/speed/*.py; do OMP_NUM_THREADS=1 $(BIN)/python $$script || exit 1; done

format: setup ## rewrite the sources in the house format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

hooks: setup ## run lint before every commit
	$(BIN)/pre-commit install

clean: ## remove the environment and caches (data and runs stay)
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist
