# `make` alone tells what there is.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# pip would otherwise leave notes about its own releases between our lines.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# A process that may keep no bytecode compiles TensorFlow anew whenever it starts, which takes longer than the rest of it.
unexport PYTHONDONTWRITEBYTECODE
# uv does not read pip's settings: what the environment tells pip is told to uv as well.
UV := $(if $(PIP_INDEX_URL),UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX-$$PIP_INDEX_URL}") \
  $(if $(PIP_EXTRA_INDEX_URL),UV_INDEX="$${UV_INDEX-$$PIP_EXTRA_INDEX_URL}") \
  $(if $(PIP_CERT),SSL_CERT_FILE="$${SSL_CERT_FILE-$$PIP_CERT}") \
  $(BIN)/uv

.PHONY: help install install-dev run test quick smoke lint format docs lock wheel ui clean

help:  ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "ampsim needs Python 3.10 to 3.13: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "no virtual environment could be made; on Debian: apt install python3-venv"; exit 1; }

# uv, itself taken from the lock, installs several times faster than pip, which does the same where uv cannot be had or
# does not reach the index.
define install_lock
@awk '/^[^ #]/ {keep = /^uv==/} keep' $(1) > $(VENV)/uv.lock
@echo "installing $(1) into $(VENV)"
@{ $(BIN)/pip install --quiet --require-hashes -r $(VENV)/uv.lock && \
  $(UV) pip install --quiet --python $(BIN)/python --require-hashes -r $(1); } \
|| { echo "uv is not usable here; pip installs instead, which takes longer"; \
  $(BIN)/pip install --quiet --require-hashes -r $(1); }
@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
@touch $@
endef

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/pip
	$(call install_lock,requirements.lock)

# The second lock holds everything of the first, in the same releases.
$(VENV)/.installed-dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/pip
	$(call install_lock,requirements-dev.lock)
	@touch $(VENV)/.installed

install: $(VENV)/.installed  ## make the virtual environment for runs from the lock file

install-dev: $(VENV)/.installed-dev  ## add what the tests and the other ways to sweep and export need

run: install  ## train the default run on the embedded recording
	$(BIN)/ampsim train $(ARGS)

ui: install  ## MLflow's page of the runs, on 127.0.0.1
	$(BIN)/ampsim ui

test: lint  ## every test, the style and the types
	$(BIN)/pytest -n 2 --cov --cov-report=term:skip-covered --cov-fail-under=90

quick: install-dev  ## the tests that take a moment, one case of each, every time another
	$(BIN)/pytest -n 2 -m "not slow" --one-case

smoke: install  ## install the lock on each Python from 3.10 to 3.13 and use it once; PYTHONS="3.12 3.13" for some
	@$(UV) run --no-project --python $(BIN)/python tests/smoke.py $(PYTHONS)

lint: install-dev  ## the style and the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install-dev  ## put the code in its usual shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install-dev  ## check the documentation and build it as a site, in site/
	$(BIN)/pytest -q -m "not slow" tests/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "site/index.html; with its search: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site"

# No index address is written into a lock, so that it serves behind any mirror.
LOCK := pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-header \
  --group install pyproject.toml
lock: install-dev  ## find current releases of everything and lock them
	$(UV) $(LOCK) --extra dev --output-file requirements-dev.lock
	$(UV) $(LOCK) --constraint requirements-dev.lock --output-file requirements.lock

wheel: install-dev  ## build dist/*.whl and the sdist, and check both
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*

clean:  ## remove what was built; runs stay
	rm -rf $(VENV) dist build site .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.* node_modules
