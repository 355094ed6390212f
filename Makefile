# gradserve: `make` lists the targets. Each one builds the environment it needs; Python 3.11+ and make are enough.

PYTHON      ?= python3
PYTEST_ARGS ?=
BENCH_ARGS  ?=
DEMO_ARGS   ?=
FUZZ_ARGS   ?=

# Of the tests, at a time: one more than there are processors, as some wait; each takes a GiB or two.
TEST_PROCESSES ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) < 4 ? $$(getconf _NPROCESSORS_ONLN) + 1 : 4 )))

VENV := .venv
BIN  := $(VENV)/bin
# uv installs in a quarter of pip's time; where only pip is set up for the package index at hand, pip does it.
UV   := $(BIN)/uv pip install --quiet --python $(BIN)/python
PIP  := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq install
BUF  := npm_config_loglevel=error npx --yes @bufbuild/buf@1.75.0

PROTO_SOURCES   := $(wildcard proto/gradserve/*/*.proto)
INSTALL_SOURCES := pyproject.toml proto/generate.py $(PROTO_SOURCES)

# One BLAS thread per worker: on busy cores a second one costs more than it brings.
export OPENBLAS_NUM_THREADS := 1
export RAY_USAGE_STATS_ENABLED := 0
export RAY_DEDUP_LOGS := 0
# Tests start some hundred interpreters: each would compile our sources anew where the environment forbids to keep that.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup proto format lint lint-python lint-proto test deploy-test dashboards golden demo fuzz soak bench clean

help: ## list the targets
	@echo "gradserve: make <target>"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

setup: $(VENV)/.dev ## build .venv with everything needed to develop
	@echo "Ready: $(VENV)"

proto: $(VENV)/.proto ## generate Python code from the .proto files
	@echo "Ready: proto/gradserve/v1"

format: $(VENV)/.dev ## format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lint: lint-python lint-proto ## check style, types, imports between packages, and the protos

lint-python: $(VENV)/.dev
	@echo "==> Style (ruff)"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@echo "==> Types (mypy --strict)"
	@$(BIN)/mypy
	@echo "==> Imports between packages (import-linter)"
	@$(BIN)/lint-imports --no-logo

lint-proto:
	@echo "==> Protos (buf)"
	@if ! command -v npx >/dev/null 2>&1; then echo "Skipped: npx is not installed."; exit 0; fi; \
	(cd proto && $(BUF) lint) || exit 1; \
	echo "Lint passed."; \
	base=$$(git rev-parse --verify --quiet 'main^{commit}' || git rev-parse --verify --quiet 'origin/main^{commit}'); \
	if [ -z "$$base" ] || ! git cat-file -e "$$base:proto/buf.yaml" 2>/dev/null; then \
		echo "No protos on the main branch yet: nothing to break."; exit 0; \
	fi; \
	before=$$(mktemp -d) && trap 'rm -rf "$$before"' EXIT; \
	git archive "$$base" proto | tar -x -C "$$before" || exit 1; \
	(cd proto && $(BUF) breaking --against "$$before/proto") || exit 1; \
	echo "No breaking change against the main branch."

# Lint takes one core and so do the tests of the deployment's files: they run side by side, and lint is heard first.
# The others do not even import these.
test: $(VENV)/.dev ## lint, then run all tests (PYTEST_ARGS="-k ops" narrows)
	@said=$$(mktemp -d); lint=; trap 'kill $$lint 2>/dev/null; rm -rf "$$said"' EXIT; trap 'exit 130' INT TERM; \
	$(MAKE) --no-print-directory lint >"$$said/lint" 2>&1 & lint=$$!; \
	failed=0; code=0; \
	if command -v npm >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then \
		$(BIN)/pytest -q -m 'deploy and not live' $(or $(strip $(PYTEST_ARGS)),tests/deploy) >"$$said/deploy" 2>&1 || code=$$?; \
	else \
		echo "Not run: helm comes from npm and Prometheus from apt-get, and one of the two is missing." >"$$said/deploy"; \
	fi; \
	wait $$lint || failed=1; \
	cat "$$said/lint"; \
	[ $$failed -eq 0 ] || exit 1; \
	echo "==> Tests of the deployment's files"; \
	cat "$$said/deploy"; \
	case $$code in 0|5) ;; *) failed=1 ;; esac; \
	echo "==> Tests"; \
	[ -n "$$GRADSERVE_DATA" ] || echo "Those that read the data folder are not run: GRADSERVE_DATA is not set."; \
	code=0; \
	$(BIN)/pytest -q -m 'not deploy' --ignore=tests/deploy -n $(TEST_PROCESSES) --dist loadgroup --no-loadscope-reorder \
		$(PYTEST_ARGS) || code=$$?; \
	$(if $(strip $(PYTEST_ARGS)),[ $$code -ne 5 ] || code=0;) \
	[ $$code -eq 0 ] || failed=1; \
	exit $$failed

deploy-test: $(VENV)/.dev ## build, run and break the deployment for real (needs root, buildah, podman, runc, debootstrap, ip)
	@missing=$$(for tool in npm buildah podman runc debootstrap ip; do command -v $$tool >/dev/null 2>&1 || echo $$tool; done); \
	if [ -n "$$missing" ]; then echo "Missing:" $$missing; exit 1; fi; \
	if [ "$$(id -u)" -ne 0 ]; then echo "Containers and networks need root: sudo make deploy-test"; exit 1; fi
	@$(BIN)/pytest -v -m deploy tests/deploy $(PYTEST_ARGS)

dashboards: $(VENV)/.dev ## write Grafana's dashboards from the code in deploy/grafana
	@$(BIN)/python -m deploy.grafana

golden: $(VENV)/.dev ## write the renders of the Helm chart that its tests compare with
	@$(BIN)/python -m tests.deploy.golden

demo: $(VENV)/.demo ## see gradserve work, from a fresh clone
	@$(BIN)/gradserve demo $(DEMO_ARGS)

fuzz: $(VENV)/.dev ## send hostile graphs, bytes, requests and texts through every pass (FUZZ_ARGS="--minutes 60 --workers 2 --record fuzz.jsonl")
	@$(BIN)/python -m tests.attack.campaign $(FUZZ_ARGS)

soak: $(VENV)/.dev ## load a service while its parts are killed, stopped, starved and restarted (SOAK_ARGS="--minutes 20")
	@$(BIN)/python -m tests.soak $(SOAK_ARGS)

bench: $(VENV)/.dev ## time gradserve (BENCH_ARGS passes options)
	@$(BIN)/python tests/bench/run.py $(BENCH_ARGS)

clean: ## remove .venv, generated code and caches
	@echo "Removing .venv, generated code and caches"
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@rm -f proto/gradserve/*/*_pb2.py proto/gradserve/*/*_pb2.pyi proto/gradserve/*/*_pb2_grpc.py proto/gradserve/*/py.typed
	@find proto service workers clients deploy tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "gradserve needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python"; exit 1; }
	@echo "Creating .venv"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) uv

# The development environment holds all that the demo needs, and every install generates the protos.
$(VENV)/.dev: $(INSTALL_SOURCES) | $(BIN)/python
	@echo "Installing gradserve and its development tools into .venv (minutes the first time)"
	@$(UV) -e '.[dev]' || $(PIP) -e '.[dev]'
	@touch $(VENV)/.proto $(VENV)/.demo $@

$(VENV)/.demo: $(INSTALL_SOURCES) | $(BIN)/python
	@echo "Installing gradserve for the demo into .venv (a minute or two the first time)"
	@$(UV) -e '.[demo]' || $(PIP) -e '.[demo]'
	@touch $(VENV)/.proto $@

$(VENV)/.proto: $(INSTALL_SOURCES) | $(BIN)/python
	@echo "Generating Python code from the .proto files"
	@$(PIP) --no-deps -e .
	@touch $@
