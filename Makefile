# Commands for this checkout; CONTRIBUTING.md explains them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
LOCK := $(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links

# Compiled modules of one run are used by the next, also by the programs that tests start.
unexport PYTHONDONTWRITEBYTECODE

# Tests that start their own nodes; all others share one node.
ON_NODES := tests/integration/host tests/integration/firewall

.PHONY: up host test test-platform test-parts unit check check-code check-terraform fix bench soak lock clean

up: $(VENV)/.ready host    ## virtual environment, pinned dependencies, environment `local`
	$(BIN)/mlops-platform up --env local --yes

host:                      ## installs the missing Debian packages of the host cluster
	@sh scripts/host-packages

$(VENV)/.ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --require-hashes -r requirements.txt
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.ready-dev: requirements-dev.txt $(VENV)/.ready
	$(BIN)/pip install -q --require-hashes -r requirements-dev.txt
	touch $@

check: $(VENV)/.ready-dev  ## format, lint, types, Terraform, unit tests: required for every commit
	@$(MAKE) -j3 --output-sync=target --no-print-directory check-code check-terraform unit

check-code:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	MYPY=$(BIN)/mypy sh scripts/check-scripts

check-terraform: $(VENV)/.terraform

$(VENV)/.terraform: scripts/terraform-check $(shell find terraform -type f)  # again only after a change
	sh scripts/terraform-check
	touch $@

fix: $(VENV)/.ready-dev    ## formats the code and fixes lint findings
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

unit: $(VENV)/.ready-dev
	$(BIN)/pytest -q -n logical tests/unit

test: check host           ## all tests of this machine, in two parallel lanes
	@sh scripts/host-packages test
	$(MAKE) -j2 --output-sync=target --no-print-directory test-platform test-parts

# Each lane has temporary folders of its own: pytest removes old ones at its end, also another lane's.
LANE = $(shell mkdir -p /tmp/mlops-$@ && echo PYTEST_DEBUG_TEMPROOT=/tmp/mlops-$@)

test-platform:             # tests of the node and of the whole platform
	$(LANE) $(BIN)/pytest -q $(ON_NODES) tests/e2e -m 'not soak' --durations=12

test-parts:                # tests of adapters, and of clouds on loopback
	$(LANE) $(BIN)/pytest -q tests/integration $(ON_NODES:%=--ignore=%) -m 'not soak' --durations=12

soak: $(VENV)/.ready-dev host  ## kill tests with the full number of kills; SEED=n repeats a run
	$(BIN)/pytest -q tests/integration tests/e2e -m soak -s

bench: $(VENV)/.ready-dev host ## writes bench/results.json and docs/performance.md
	$(BIN)/python -m bench

lock: $(VENV)/.ready-dev   ## locks the newest versions that pyproject.toml allows, with hashes
	$(LOCK) --upgrade --group build -o requirements.txt
	$(LOCK) --upgrade --group dev -c requirements.txt -o requirements-dev.txt

clean:                     ## removes the virtual environment, not state and cache
	rm -rf $(VENV)
