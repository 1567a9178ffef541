# `make help` lists what there is. Everything runs from .venv, which `make setup` builds from uv.lock.
PYTHON ?= python3
UV_VERSION := 0.12.24
UV := .uv/bin/uv
RUN := .venv/bin

export UV_PROJECT_ENVIRONMENT := .venv
# `make token` prints a token and nothing else, also where make runs make.
MAKEFLAGS += --no-print-directory
# Without compiled modules each process would compile all its imports at each start, which doubles the time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup up down status logs token enrol rotate-keys protos protos-check protos-lint protos-breaking protos-release dashboard lint types imports check test chaos soak bench

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##################################################################################### set-up

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "celeriac needs Python 3.11 or later as $(PYTHON); name another by: make PYTHON=/path/to/python3.12 …" >&2; exit 1; }
	@echo "setup: a private uv $(UV_VERSION) in .uv" >&2
	@$(PYTHON) -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# What runs the system, what checks and tests it besides, and the peers of the benchmarks: who only runs it gets the
# first alone. A stamp for each says what is in .venv, and lets a second `make up` go on without starting uv.
SYNC = $(UV) sync --quiet --locked --all-extras --no-default-groups --python $(PYTHON)
HAS = $(if $(wildcard .venv/.dev),--group dev) $(if $(wildcard .venv/.bench),--group bench)
LOCK := uv.lock pyproject.toml clients/python/pyproject.toml

.venv/.synced: $(LOCK) | $(UV)
	@echo "setup: locked dependencies into .venv; the first time takes a minute or two" >&2
	@$(SYNC) $(HAS) && touch $@

.venv/.dev: .venv/.synced
	@echo "setup: what checks and tests need, into .venv" >&2
	@$(SYNC) $(HAS) --group dev && touch $@

.venv/.bench: .venv/.dev
	@$(SYNC) $(HAS) --group bench && touch $@

setup: .venv/.dev ## Build .venv from the lock file, with what checks and tests need

##################################################################################### one machine

# Each recipe is one plain command, so that a signal to make reaches it directly. Settings (docs/standalone.md)
# come from the environment or the command line: make up CELERIAC_GATEWAY_PORT=9443 CELERIAC_STATE_DIR=.celeriac-2
STANDALONE := $(RUN)/python -m deploy.standalone

up: .venv/.synced ## Run the whole system on this machine until Ctrl-C
	@$(STANDALONE) up

down: .venv/.synced ## Stop the running system; the data stay
	@$(STANDALONE) down

status: .venv/.synced ## Show the health of each component; succeeds only when all are healthy
	@$(STANDALONE) status

# An option of a command, where its variable is given on the command line: the environment has such names, too.
given = $(if $(filter command,$(origin $(1))),--$(2)="$($(1))")

logs: .venv/.synced ## Follow the logs: NAME=scheduler SINCE=10m UNTIL=21:30 LEVEL=warning TASK=<id> REQUEST=<id> FOLLOW=0 LONG=1
	@$(STANDALONE) logs $(call given,NAME,name) $(call given,SINCE,since) $(call given,UNTIL,until) $(call given,LEVEL,level) $(call given,TASK,task) $(call given,REQUEST,request) $(if $(filter 0,$(FOLLOW)),--no-follow) $(if $(filter 1,$(LONG)),--long)

# The shell's own USER does not count: it is on every machine, and names nobody in particular.
token: .venv/.synced ## Print a token, valid for an hour: ROLE=viewer|writer|admin|super_admin, USER=mei, OTP=<code> for a second factor
	@$(STANDALONE) token "$(or $(ROLE),admin)" $(if $(filter command,$(origin USER)),--user "$(USER)") $(if $(OTP),--otp "$(OTP)")

enrol: .venv/.synced ## Make a new second factor, and print its secret for an authenticator, once: USER=mei for a sign-in in a browser
	@$(STANDALONE) enrol $(if $(filter command,$(origin USER)),--user "$(USER)")

rotate-keys: .venv/.synced ## Make a new key, and protect the secrets of the live configuration with it
	@$(STANDALONE) rotate-keys

##################################################################################### contracts

GENERATE := $(UV) run --quiet --no-project --isolated --python $(PYTHON) --with-requirements protos/toolchain.txt python -m protos.generate

protos: setup ## Generate the clients' stubs and docs/reference from protos/ with the pinned toolchain
	@$(GENERATE)
	@$(RUN)/python -m protos.reasons

protos-check: setup ## Check that stubs, reference and lists are what the contracts generate
	@$(GENERATE) --check
	@$(RUN)/python -m protos.reasons --check

protos-lint: setup ## Check that the contracts keep the rules of protos/buf.yaml and protos/rules.py
	@$(RUN)/python -m protos.checks lint

protos-breaking: setup ## Check that the contracts are compatible with the last release (protos/released.binpb)
	@$(RUN)/python -m protos.checks breaking

protos-release: setup ## At a release: record today's contracts in protos/released.binpb
	@$(RUN)/python -m protos.checks release

##################################################################################### pages

dashboard: setup ## Build the pages that the door serves, from the folder dashboard
	@$(RUN)/python -m dashboard.build

##################################################################################### checks

lint: setup ## Check the style of the code (ruff)
	@$(RUN)/ruff check . && $(RUN)/ruff format --check .

types: setup ## Check the types (mypy --strict)
	@$(RUN)/mypy

imports: setup ## Check which module imports which (import-linter)
	@$(RUN)/lint-imports --no-cache

check: lint types imports protos-check protos-lint protos-breaking ## Run all checks that need no server

##################################################################################### tests and benchmarks

# Where a test neither ends nor gives way to its own limit of time (a library in C hangs), its process writes its
# stacks and ends.
HUNG := -o faulthandler_timeout=450 -o faulthandler_exit_on_timeout=true

# Two runs: first most tests, in WORKERS processes at once; then the tests that must run alone on the machine. If
# the first run fails, make stops, so that the last line is always that of the run that decides.
test: setup ## Run every test, on real servers started from the wheels: WORKERS=2 for two processes at once instead of six
	@$(RUN)/pytest $(HUNG) -m "not alone and not soak" --numprocesses $(or $(WORKERS),6)
	@$(RUN)/pytest $(HUNG) -m "alone and not soak"

chaos: setup ## Kill, freeze and cut off replicas for SECONDS (300); SEED=… repeats a sequence
	@CELERIAC_CHAOS_SECONDS="$(or $(SECONDS),300)" CELERIAC_CHAOS_SEED="$(or $(SEED),$(shell $(PYTHON) -c 'import random; print(random.randrange(10**6))'))" $(RUN)/pytest tests/chaos

soak: setup ## Run the long tests: chaos for SECONDS (1800), matrices; results go to benchmarks/results
	@CELERIAC_CHAOS_SECONDS="$(SECONDS)" CELERIAC_CHAOS_SEED="$(SEED)" $(RUN)/python -m benchmarks.soak

bench: .venv/.bench ## Measure beside the peers: AREA=scheduler|embedder|monitor|search|audit|gateway|door|standalone|idle|command, QUICK=1
	@$(RUN)/python -m benchmarks.$(or $(AREA),$(error name an area: make bench AREA=scheduler))
