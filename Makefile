# Each target sets up what it needs. PYTHON and CONSTRAINTS can be given on the command line.
PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
VENV := .venv
BIN := $(VENV)/bin

.PHONY: bench check docs gpu pins readme test

bench: $(VENV)/for-running
	$(BIN)/python run_bench.py

check: $(VENV)/for-running
	$(BIN)/python run_bench.py check

docs: $(VENV)/for-running
	$(BIN)/python docs/generate.py

readme: docs

pins: $(VENV)/for-running
	$(BIN)/python docs/pins.py

# On a machine with a GPU: its tests, a probe of the clock, the main job; all that it finds in one folder.
GPU_OUT ?= reports/gpu
GPU_BUDGET ?= 90
gpu: $(VENV)/for-testing
	mkdir -p $(GPU_OUT)
	-$(BIN)/python -m pytest tests -m cuda -rA --junitxml $(GPU_OUT)/tests.xml
	-$(BIN)/python benchmarks/gpu_probe.py 1,8,32 --out $(GPU_OUT)/probe.md
	$(BIN)/python run_bench.py run --device cuda --budget $(GPU_BUDGET) --out $(GPU_OUT)/main

# Compiled files are kept, whatever the environment says: the tests start many processes.
test: $(VENV)/for-testing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/for-running: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable .
	touch $@

# mypy reads the types of the packages, which takes longer than all of attnbench, when they are
# installed. What it says of a checkout, which has no attnbench.modules, means nothing: a test has
# it check the installed wheel.
$(VENV)/for-testing: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.[dev]'
	$(BIN)/python -m mypy --cache-dir $(VENV)/mypy_cache attnbench >/dev/null || true
	touch $@ $(VENV)/for-running
