# What people and CI run. Every target that needs the tools sets them up first.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
SETUP := @$(PYTHON) -m bootstrap
PYTEST := $(BIN)/python -m pytest --quiet --numprocesses logical --dist worksteal

.PHONY: help setup demo test coverage test-fast test-clients scan lint format lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Check the prerequisites, install what is pinned; nothing to do takes under a second
	$(SETUP)

demo: ## Provision the local stack with the real engine, run Monte Carlo, check its answer
	$(SETUP)
	@$(BIN)/python -m emulator.processes -- $(BIN)/python -m pipelines.demo

test: ## Run all tests, the real engine among them
	$(SETUP)
	@$(PYTEST) --durations=10

coverage: ## Run all tests and tell which lines and branches none of them takes
	$(SETUP)
	@$(PYTEST) --cov --cov-report=term:skip-covered

test-fast: ## Run the tests that take no engine and no time
	$(SETUP)
	@$(PYTEST) -m "not slow and not engine and not clients and not scan"

test-clients: ## Install clients of other makes (az, JavaScript, Kusto's parser) and test with them
	$(SETUP)
	@$(BIN)/python -m tests.clients.install
	@$(BIN)/python -m pytest --quiet -m clients tests/clients

scan: ## Scan what every stack registers with checkov; test the scan and the policy pack
	$(SETUP)
	@$(BIN)/python -m scan
	@$(BIN)/python -m pytest --quiet -m scan tests/scan tests/infra/test_policy_engine.py

lint: ## Check format, style and types
	$(SETUP)
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy

format: ## Format the code
	$(SETUP)
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix-only --quiet

lock: ## Pin anew what requirements.in, -dev.in and -scan.in ask for (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    requirements.in -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    requirements-dev.in -o requirements-dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    requirements-scan.in -o requirements-scan.txt

clean: ## Remove what set-up, the emulator and tools made here (results and cache stay)
	@$(PYTHON) -m bootstrap.clean
