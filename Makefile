PYTHON ?= python3
BIN := .venv/bin
RUN := export PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1;
FAMILY ?=

.PHONY: demo test check accept benchmark clean

demo: .venv/installed
	@$(RUN) $(BIN)/rheobase run

test: .venv/installed-test
	@$(RUN) $(BIN)/python -m pytest -q -m "not slow" -n 2 --dist loadfile

check: .venv/installed-test
	@$(RUN) $(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/pyright && $(BIN)/snakefmt --check --compact-diff Snakefile workflow

accept: .venv/installed-test
	@$(RUN) $(BIN)/python -m pytest -q -m slow tests/acceptance $(if $(FAMILY),-k test_$(FAMILY))

benchmark: .venv/installed-test
	@$(RUN) $(BIN)/python -m benchmarks $(FAMILY)

clean:
	rm -rf results logs .snakemake

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "rheobase needs Python 3.11 or newer; set PYTHON=..." >&2; exit 2)
	@echo "making .venv (about 2 minutes, 1.7 GB)"
	@$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e .
	@touch $@

.venv/installed-test: .venv/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e ".[test,check,slurm,benchmark]"
	@touch $@
