# CareCircle Reminders. `make help` lists what there is.

.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
PYTEST := $(BIN)/pytest -q

.PHONY: help
help: ## this list
	@echo "make run      start everything here, with a demo circle: nothing to install or configure first"
	@echo "make test     set everything up and run every test"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 18

.PHONY: setup
setup: ## install what the services need into .venv
	@infra/setup-venv.sh run

.PHONY: setup-dev
setup-dev: ## install what checks and tests need as well
	@infra/setup-venv.sh dev

# ---- running

.PHONY: run
run: setup ## the whole system on embedded PostgreSQL and Valkey (ARGS="--port 8000 --help")
	@$(BIN)/carecircle up $(ARGS)

# ---- tests

.PHONY: test
test: setup-dev interop-setup ## every test, in under 15 minutes on two cores
	$(PYTEST) -n 3 --dist loadscope --no-loadscope-reorder -m "not alone" tests
	$(PYTEST) -m alone tests

.PHONY: test-unit
test-unit: setup-dev ## the pure parts, in seconds
	$(PYTEST) tests/unit tests/architecture

ZONE_EXAMPLES ?= 20000
.PHONY: test-zones
test-zones: setup-dev ## random schedules of every kind in all zones against an oracle that walks the minutes; an hour or so (ZONE_EXAMPLES=20000)
	CARECIRCLE_ZONE_EXAMPLES=$(ZONE_EXAMPLES) CARECIRCLE_ZONE_YEARS=10 $(PYTEST) --timeout 0 tests/unit/carecircle/test_daily.py tests/unit/carecircle/test_kinds_oracle.py tests/unit/carecircle/test_schedule_oracle.py tests/unit/carequeue/test_cron_zones.py

.PHONY: test-interop
test-interop: setup-dev interop-setup ## against Node's BullMQ
	$(PYTEST) tests/interop

.PHONY: test-servers
test-servers: setup-dev interop-setup ## carequeue on Redis 6.2 to 8 and Valkey 8 and 9, half an hour (ARGS="--quick", ARGS="--only 'Redis 8'")
	$(BIN)/python tests/servers/run.py $(ARGS)

.PHONY: chaos
chaos: setup-dev ## the queue's fault tests in their long form, some ten minutes (SEEDS=500 tries more)
	CAREQUEUE_FAULT_SEEDS=$(or $(SEEDS),60) $(PYTEST) -n 2 --dist loadscope --timeout 900 tests/integration/carequeue/faults

.PHONY: test-e2e
test-e2e: setup-dev ## the real processes, from a REST call to a mail and a push
	$(PYTEST) tests/e2e

.PHONY: interop-setup
interop-setup: setup-dev
	@$(BIN)/python tests/interop/install.py

# ---- benchmarks

.PHONY: bench
bench: setup-dev interop-setup ## carequeue beside its rivals, S1 to S6 (PEERS=carequeue,huey ARGS="S2 --repeat 3")
	$(BIN)/python tests/benchmarks/run.py $(if $(PEERS),--peers $(PEERS)) $(ARGS)

# ---- checks

.PHONY: check
check: check-format check-lint check-types check-imports check-migrations check-containers ## all the checks below

.PHONY: check-format
check-format: setup-dev ## ruff format
	$(BIN)/ruff format --check .

.PHONY: check-lint
check-lint: setup-dev ## ruff
	$(BIN)/ruff check .

.PHONY: check-types
check-types: setup-dev ## pyright, strict; and that all of carequeue's public types are said
	$(BIN)/pyright
	$(PYTEST) tests/architecture/test_types_complete.py

.PHONY: check-imports
check-imports: setup-dev ## import rules, Lua headers and what else the architecture tests hold
	$(BIN)/lint-imports
	$(PYTEST) tests/architecture

.PHONY: check-migrations
check-migrations: setup-dev ## the migrations make the tables that the code knows
	$(PYTEST) tests/integration/test_migrations.py

.PHONY: check-containers
check-containers: setup-dev ## compose file and Dockerfile
	$(BIN)/hadolint infra/docker/Dockerfile
	$(BIN)/compose-lint docker-compose.yml
	$(PYTEST) tests/services/cli/test_compose.py

.PHONY: format
format: setup-dev ## let ruff mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# ---- housekeeping

.PHONY: lock
lock: setup-dev ## write the lock files anew (needs a package index)
	@infra/lock.sh

.PHONY: docs
docs: setup-dev ## write carequeue's reference anew from its docstrings
	$(BIN)/python infra/reference.py

.PHONY: dist
dist: setup-dev ## carequeue's wheel and source distribution, in dist/
	cd libs/carequeue && ../../$(BIN)/python -m hatchling build --clean --directory ../../dist

.PHONY: clean
clean: ## remove what `make` made, data of `make run` excepted
	rm -rf .venv .uv .stamps build dist tests/interop/node/node_modules .pytest_cache .ruff_cache .hypothesis .import_linter_cache
