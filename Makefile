# Every target makes the environment it needs; it is made again only when requirements change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INTEGRATIONS := $(VENV)-integrations
PEERS := $(VENV)-peers
RUN_DIR ?=
PORT ?=
# LOCKED=1 installs the exact versions of requirements-dev.lock, as CI does.
LOCKED ?=

.DEFAULT_GOAL := help
.PHONY: help demo run check test test-integrations test-package lint format bench lock tools clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "make %-18s %s\n", $$1, $$2}'

demo: $(VENV)/.demo  ## train a small model and watch it learn
	$(BIN)/python -m examples.demo $(if $(PORT),--port $(PORT))

run: $(VENV)/.app  ## watch your own run: make run RUN_DIR=path/to/run [PORT=8501]
	$(BIN)/python -m app$(if $(RUN_DIR), --run-dir "$(RUN_DIR)") $(if $(PORT),--port $(PORT))

check: $(VENV)/.app  ## try every configured source once: make check RUN_DIR=path/to/run
	$(BIN)/python -m app check$(if $(RUN_DIR), --run-dir "$(RUN_DIR)")

test: $(VENV)/.dev tools  ## run every test but those of the two test- targets
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not packaging"

test-integrations: $(INTEGRATIONS)/.done  ## run the tests against other people's libraries
	$(INTEGRATIONS)/bin/python -m pytest tests/integrations

test-package: $(VENV)/.dev  ## build the distribution, install it, and start the app and demo from it
	$(BIN)/python -m pytest -m packaging tests/packaging

lint: $(VENV)/.dev  ## style, types, spelling and which way imports go
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(VENV)/.dev  ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev $(PEERS)/.done $(INTEGRATIONS)/.done tools  ## measure, and print bench/RESULTS.md's tables
	$(BIN)/python -m bench

lock: $(VENV)/.dev  ## write requirements-dev.lock anew
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate \
	  --custom-compile-command "make lock" -o requirements-dev.lock requirements-dev.txt

tools:  ## find Chromium and sshd, or install Debian's
	@sh tests/ensure_tools.sh

clean:  ## remove the environment and caches, never run data
	rm -rf $(VENV) $(INTEGRATIONS) $(PEERS) .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Control Room needs Python 3.11 or newer; '$(PYTHON)' is not. Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "'$(PYTHON) -m venv' failed. On Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }

$(VENV)/.app: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.demo: requirements.txt examples/requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r examples/requirements.txt
	@touch $@

$(VENV)/.dev: requirements.txt requirements-dev.txt examples/requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(LOCKED),-c requirements-dev.lock) -r requirements-dev.txt
	@touch $@

# Beside the other environment: what these bring is large, and none of it is the app's.
$(INTEGRATIONS)/.done: requirements.txt requirements-dev.txt requirements-integrations.txt examples/requirements.txt | $(BIN)/python
	@$(PYTHON) -m venv $(INTEGRATIONS)
	$(INTEGRATIONS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-integrations.txt
	@touch $@

$(PEERS)/.done: requirements-peers.txt | $(BIN)/python
	@$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-peers.txt
	@touch $@
