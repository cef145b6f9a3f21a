# make demo        a flow beside production on real Kubernetes, Istio and PostgreSQL, told and checked
# make demo-down   removes everything that the demo and the lab made
# make test        every test, in rings side by side; starts the lab if it does not run, and leaves it as it was found
# make test-long   the same, with more repetitions of what is random or killed (lab/README.md)
# make test-fast   lint, types and the tests that need neither the lab nor PostgreSQL nor the Pulumi engine
# make test-postgres, make test-engine, make test-lab  the tests that need that
# make properties  the properties of routes, forks and plans on 10,000 random applications each (most of an hour)
# make faults      500 schedules of faults and crashes on the local Neon service (FAULTS="--count 2000 --workers 3")
# make churn       100 flows created and destroyed, four at a time, beside 100,000 requests (CHURN="--seed 2")
# make bench-branch  create to first query by size and file system, and twenty stacks at once (root; btrfs-progs, xfsprogs)
# make bench-plan  seconds of a plan by size of the application; fails where they grow faster (BENCH="--sizes 500,2000")
# make coverage    what the last `make test-fast` reached of the package, and the floors under it; a part of that
# make lint        style, types, layers, dead code
# make shell       a shell with the lab's programs and variables
# Another Python: make PYTHON=python3.12 demo

SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
PYTEST := $(BIN)/python -m pytest
DEMO ?=
FAULTS ?=
CHURN ?=
BENCH ?=
RINGS ?=

# Which tests run side by side is said there; RINGS="--only e2e-lab" takes one ring, and PYTEST_ADDOPTS="-x" works.
rings = $(BIN)/python -m tests.rings $(RINGS)

comma := ,

# The lab, brought up unless it runs and left as it was found.
running_lab = if $(BIN)/python -m lab status > /dev/null 2>&1; then :; \
  else trap '$(BIN)/python -m lab down' EXIT; $(BIN)/python -m lab up || exit 1; fi

.PHONY: help demo demo-down test test-long test-fast test-postgres test-engine test-lab coverage lint properties faults churn bench-branch bench-plan shell

help:
	@sed -n "s/^# make /make /p" Makefile

demo: $(READY)
	$(BIN)/python -m lab demo $(DEMO)

demo-down: $(READY)
	$(BIN)/python -m lab down --purge

test: $(READY)
	@$(rings)

test-long: $(READY)
	@KARDINAL_LONG=1 $(rings)

test-fast test-postgres test-engine test-lab: test-%: $(READY)
	@$(rings) $*

# Percent of lines and branches, as measured and rounded down. The pure core needs no cluster, no engine and no database
# to be tried in every way.
FLOOR := 89
PURE_FLOOR := 99
PURE := config forking model observed plan routing safety
pure := $(subst $() ,$(comma),$(PURE:%=kardinal_infra/%/*))

coverage: $(READY)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=$(FLOOR)
	$(BIN)/coverage report --fail-under=$(PURE_FLOOR) --include='$(pure)'

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/vulture

properties: $(READY)
	KARDINAL_EXAMPLES=10000 $(PYTEST) tests/pure

faults: $(READY)
	$(BIN)/python -m tests.neon.faults --count 500 --workers 3 $(FAULTS)

churn: $(READY)
	@$(running_lab); \
	  $(BIN)/python -m tests.e2e.churn $(CHURN)

bench-branch: $(READY)
	$(BIN)/python -m benchmarks.branches $(BENCH)
	$(BIN)/python -m tests.neon.many_stacks --stacks 20

bench-plan: $(READY)
	$(BIN)/python -m benchmarks.plan $(BENCH)

shell: $(READY)
	@eval "$$($(BIN)/python -m lab env)" && PATH="$$PWD/$(BIN):$$PATH" $${SHELL_PROGRAM:-bash}

$(READY): pyproject.toml packages/neon-local/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	@$(PYTHON) -c 'import ensurepip' 2> /dev/null || { apt-get update -q && apt-get install -q -y python3-venv; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable './packages/neon-local[testing]' \
	  --editable '.[local-neon,postgres]' --group dev
	@touch $(READY)
