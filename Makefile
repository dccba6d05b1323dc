# Each target sets up what it needs. PYTHON and CONSTRAINTS can be given on the command line.
PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
VENV := .venv
BIN := $(VENV)/bin

.PHONY: bench check docs pins readme test

bench: $(VENV)/for-running
	$(BIN)/python run_bench.py

check: $(VENV)/for-running
	$(BIN)/python run_bench.py check

docs: $(VENV)/for-running
	$(BIN)/python docs/generate.py

readme: docs

pins: $(VENV)/for-running
	$(BIN)/python docs/pins.py

test: $(VENV)/for-testing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/for-running: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable .
	touch $@

$(VENV)/for-testing: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.[dev]'
	touch $@ $(VENV)/for-running
