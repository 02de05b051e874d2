# snapback: `make help` says what there is. Nothing here needs root, AWS or anything but Python and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2

# The tests start Python hundreds of times, and each start would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast bench lint check format docs clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## make the virtual environment .venv and install everything into it

$(VENV)/.installed: pyproject.toml sandbox/pyproject.toml Makefile
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing: apt-get install python3 python3-venv"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or later is needed; name one: make PYTHON=python3.11"; exit 2; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "make: python's venv is missing: apt-get install python3-venv"; exit 2; }
	$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -qq --editable . --editable ./sandbox --group test --group check --group docs
	@touch $@

demo: install host-packages ## run the real tasks against a small fleet on the embedded EC2
	@$(BIN)/python sandbox/demo/demo.py

.PHONY: host-packages
host-packages: install # what the sandbox's real hosts need of Debian: installed by root, else named
	@$(BIN)/python -m ec2_sandbox.hosts.needs

.PHONY: browser
browser: # Chromium, in which the page is tested: installed by root; without it those tests are skipped
	@command -v chromium chromedriver >/dev/null || test "$$(id -u)" != 0 || \
	    { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium chromium-driver >/dev/null; } || \
	    echo "make: Chromium can't be installed: the tests of the page will be skipped"

test: install host-packages browser ## run every test
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests sandbox/tests

# A worker more than JOBS: these tests wait a lot.
test-fast: install ## run the tests that need no hosts and no browser
	$(BIN)/python -m pytest -n $$(($(JOBS) + 1)) --dist worksteal tests sandbox/tests \
	    --ignore=tests/hosts --ignore=tests/pages --ignore-glob='*/test_hosts_*.py'

bench: install host-packages ## measure: fleets, trimming, memory, start, freezes, moving; takes some 17 minutes
	@$(BIN)/python benchmarks/all.py $(BENCH)

lint: install ## check format, style, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cd sandbox && ../$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

check: lint test ## lint, and every test

format: install ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: install ## build the documentation into docs/_build
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build
	@echo "see docs/_build/index.html"

clean: ## remove the virtual environment and whatever was built
	rm -rf $(VENV) build docs/_build *.egg-info sandbox/*.egg-info
