# `make demo` and `make test` need only Python 3.11 or newer and make; the first call sets everything up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export INKSTONE_DATA ?= $(wildcard ../shared/data)

.PHONY: demo test quick lint types docs clean-all
.DEFAULT_GOAL := demo

# torch first, pinned: a plain "torch" may bring gigabytes of CUDA libraries.
$(VENV)/user: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q torch==2.13.0
	$(BIN)/python -m pip install -q -e .
	@touch $@

$(VENV)/developer: $(VENV)/user
	$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $@

demo: $(VENV)/user
	$(BIN)/inkstone train --minutes 3 --out runs/demo --fresh

test: $(VENV)/developer
	$(BIN)/python -m pytest $(PYTEST)

quick: $(VENV)/developer
	$(BIN)/python -m pytest -m "not slow" $(PYTEST)

lint: $(VENV)/developer
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/developer
	$(BIN)/pyright

docs: $(VENV)/developer
	$(BIN)/mkdocs build --strict

clean-all:
	rm -rf $(VENV) site runs
