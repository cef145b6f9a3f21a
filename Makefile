# make demo        a flow beside production on real Kubernetes, Istio and PostgreSQL, told and checked
# make demo-down   removes everything that the demo and the lab made
# make test        every test; starts the lab if it does not run, and leaves it as it was found
# make test-fast   lint, types and the tests that need neither the lab nor PostgreSQL
# make lint        style, types, layers
# make shell       a shell with the lab's programs and variables
# Another Python: make PYTHON=python3.12 demo

SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
DEMO ?=

.PHONY: demo demo-down test test-fast test-lab lint shell

demo: $(READY)
	$(BIN)/python -m lab demo $(DEMO)

demo-down: $(READY)
	$(BIN)/python -m lab down --purge

# The lab's programs are built in the background while the tests run that need none of them.
test: $(READY)
	@mkdir -p artifacts
	@$(BIN)/python -m lab build > artifacts/build.log 2>&1 & build=$$!; \
	  trap 'kill $$build 2> /dev/null || true' EXIT; \
	  $(MAKE) --no-print-directory test-fast && \
	  { wait $$build || { cat artifacts/build.log; exit 1; }; } && \
	  $(MAKE) --no-print-directory test-lab

test-fast: lint
	$(BIN)/python -m pytest -m "not lab and not engine and not postgres"

test-lab: $(READY)
	$(BIN)/python -m pytest -m "lab or engine or postgres"

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

shell: $(READY)
	@eval "$$($(BIN)/python -m lab env)" && PATH="$$PWD/$(BIN):$$PATH" $${SHELL_PROGRAM:-bash}

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	@$(PYTHON) -c 'import ensurepip' 2> /dev/null || { apt-get update -q && apt-get install -q -y python3-venv; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable '.[local-neon]' --group dev
	@touch $(READY)
