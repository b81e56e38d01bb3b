# `make` alone tells what there is.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# pip would otherwise leave notes about its own releases between our lines.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install run test quick lint format lock wheel ui clean

help:  ## show this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | awk -F'|' '{printf "  make %-9s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "ampsim needs Python 3.10 to 3.13: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "no virtual environment could be made; on Debian: apt install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.installed  ## make the virtual environment from the lock file

run: install  ## train the default run on the embedded recording
	$(BIN)/ampsim train $(ARGS)

ui: install  ## MLflow's page of the runs, on 127.0.0.1
	$(BIN)/ampsim ui

test: install  ## every test, the style and the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

quick: install  ## the tests that take a moment
	$(BIN)/pytest -m "not slow"

format: install  ## put the code in its usual shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: install  ## find current releases of everything and lock them
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
	  --no-header --extra dev pyproject.toml --output-file requirements.lock

wheel: install  ## build dist/*.whl
	$(BIN)/python -m build --wheel --no-isolation

clean:  ## remove what was built; runs stay
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
