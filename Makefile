# `make demo` and `make test` need only Python 3.11 or newer and make; the first call sets everything up in .venv.
VENV := .venv
BIN  := $(VENV)/bin

# The first Python here that is new enough; `make PYTHON=/path/to/python demo` names another one.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,\
            $(shell $(name) -c '$(NEW_ENOUGH)' 2>/dev/null && echo $(name))))

# A mirror of public data sets beside the checkout is used where there is one.
ifneq ($(wildcard ../shared/data/README.md),)
export INKSTONE_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help demo test quick lint format types docs size clean-all
.DEFAULT_GOAL := help

help:
	@echo 'make demo       train a small model for three minutes on the text that ships with Python'
	@echo 'make test       all tests;  make quick: without the slow ones'
	@echo 'make lint       ruff;  make types: pyright;  make format: put the code in form'
	@echo 'make docs       the documentation, as a site in site/'
	@echo 'make size       lines of code, a folder a line'
	@echo 'make clean-all  remove .venv, site and runs'

$(VENV)/bin/python:
	@test -n '$(PYTHON)' || { echo 'Inkstone needs Python 3.11 or newer; none was found. Install one, or name it: make PYTHON=/path/to/python3 demo' >&2; exit 2; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { echo "Inkstone needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo 'this Python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# torch first and by itself: the pin is what the tests ran with, and no other package then asks for another build of it.
$(VENV)/user: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/developer: $(VENV)/user
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(VENV)/user
	$(BIN)/inkstone train --minutes 3 --out runs/demo --fresh

test: $(VENV)/developer
	$(BIN)/python -m pytest $(PYTEST)

quick: $(VENV)/developer
	$(BIN)/python -m pytest -m 'not slow' $(PYTEST)

lint: $(VENV)/developer
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/developer
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/developer
	$(BIN)/pyright

docs: $(VENV)/developer
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo 'the documentation is in site/index.html (English) and site/zh/index.html (Chinese)'

size:
	@$(PYTHON) .ci/size.py

clean-all:
	rm -rf $(VENV) site runs
