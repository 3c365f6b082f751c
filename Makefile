# Two commands matter: `make demo` and `make test`. Both start from a fresh clone on a machine
# that has only Python >= 3.11 and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
DEMO_OUT ?= demo
PYTEST_ARGS ?=

.PHONY: demo test test-slow test-oldest test-peers coverage check format clean install

demo: install  ## render clips, run `vidal select --videos clips/ --budget 2%`, say where the report lies
	$(BIN)/vidal demo --out $(DEMO_OUT)

test: install  ## the tests; markers that cannot run here are skipped with a reason
	$(BIN)/python -m pytest -q -n $(JOBS) $(PYTEST_ARGS)

test-slow: install  ## all tests, the slow ones too: before a release
	VIDAL_SLOW=1 $(BIN)/python -m pytest -q -n $(JOBS)

OLDEST ?= .venv-oldest

test-oldest: $(OLDEST)/.installed  ## the unit tests with the oldest versions that pyproject.toml allows
	$(OLDEST)/bin/python -m pytest -q -n $(JOBS) tests/unit tests/contract

$(OLDEST)/.installed: pyproject.toml tools/oldest.py
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
	  $$($(PYTHON) tools/oldest.py) -e '.[dev]'
	@touch $@

test-peers: install  ## with Label Studio's real server, FiftyOne and datumaro, in .venv-peers/ (downloads 2 GB once)
	$(BIN)/python tools/peers.py
	VIDAL_PEERS=1 $(BIN)/python -m pytest -q tests/peers

coverage: install  ## branches the tests leave out, in the rooms where answers and budgets are handled
	$(MAKE) test PYTEST_ARGS="--cov --cov-report=term-missing:skip-covered"

check: install  ## lint, types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "vidal needs Python >= 3.11; name one: make PYTHON=python3.12 ..."; exit 2; }
	@echo "installing into $(VENV) (torch is large: a minute or two the first time)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) $(OLDEST) .venv-peers demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
