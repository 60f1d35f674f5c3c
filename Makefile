# `make demo` shows lingqu at work; a change must pass `make check` and `make heavy`.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
export OMP_NUM_THREADS ?= 2
export TOKENIZERS_PARALLELISM := false

.PHONY: help demo test lint check heavy docs format proofs quality lock clean
help:
	@grep -hE '^[a-z]+:.*##' Makefile | sed 's/:.*##/ -/' | sed 's/^/make /'

.venv/ready: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "lingqu needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12 demo"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# The CPU build of torch, where pip finds one; it is the same version in the lock, with a hash of its own.
	@awk '/^torch==/ {p=1} p {print} p && !/\\$$/ {exit}' constraints.txt | sed 's/^torch==[0-9.]*/&+cpu/' > .venv/torch.txt
	$(PIP) --require-hashes --no-deps -r .venv/torch.txt 2> .venv/torch.log || echo "no CPU build of torch here: taking the usual one"
	$(PIP) --require-hashes --no-deps -r constraints.txt
	@# The usual build of torch still needs its CUDA libraries.
	@$(BIN)/python -c 'import torch' 2> /dev/null || $(PIP) "$$(grep -o '^torch==[0-9.]*' constraints.txt)"
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/ready ## the whole story on real pictures, in about a minute
	$(BIN)/lingqu demo

# Tests run side by side, so each computes with one thread: more would only wait for each other.
test heavy: export OMP_NUM_THREADS := 1
# Real processes, browsers and clocks: what fails beside others is tried once more by itself, and what fails twice is a fault.
ALONE := --last-failed --last-failed-no-failures none

test: .venv/ready ## the fast tests, under a minute
	$(BIN)/pytest -n 2 || $(BIN)/pytest $(ALONE)

lint: .venv/ready ## format, lint, types, import layers
	$(BIN)/ruff format --check src tests tools
	$(BIN)/ruff check src tests tools
	$(BIN)/pyright
	$(BIN)/lint-imports

check: lint test ## what a contributor runs: lint and the fast tests

heavy: .venv/ready ## the tests of half a second and more, in minutes
	$(BIN)/pytest -n 3 -m 'heavy and not slow' || $(BIN)/pytest -m 'heavy and not slow' $(ALONE)

docs: .venv/ready ## the site of the documentation, in site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

format: .venv/ready ## put every file in its form
	$(BIN)/ruff format src tests tools
	$(BIN)/ruff check --fix src tests tools

proofs: .venv/ready ## the slow proofs: kills, races, many seeds; and what the loop's rules do, docs/results/loop.md
	$(BIN)/python -m tools.proofs
	$(BIN)/python -m tools.loop

quality: .venv/ready ## measure on the real data sets under ../shared/data and write docs/results/quality.md
	$(BIN)/python -m tools.quality

lock: .venv/ready ## pin the newest versions that work together
	$(BIN)/pip install --quiet pip-tools
	$(BIN)/python tools/lock.py

clean: ## remove what make made
	rm -rf .venv .lingqu .pytest_cache .ruff_cache build site
