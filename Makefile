# Every habit of the project is a target: `make` alone lists them.
# Works with GNU make 3.81 (macOS) and later.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready
BENCH := .venv-bench
BENCH_PY := $(BENCH)/bin/python
BENCH_STAMP := $(BENCH)/.ready
BENCH_RUN := mkdir -p build/bench && $(BENCH_PY)
CONSTRAINTS ?= constraints.txt

# Options that a call may set
ARGS ?=#          for JupyterLab:      make lab ARGS=--no-browser
#                 for benchmarks:      make bench-attention ARGS='--device cuda'
PIP_ARGS ?=#      for pip:             make setup PIP_ARGS='--extra-index-url …'
PYTEST_ARGS ?=#   for pytest:          make unit PYTEST_ARGS='-k gan -x'
JOBS ?= auto#     test processes:      make unit JOBS=1
NAME ?=#          one notebook, model, assignment: make notebooks NAME=05_project
ALL ?=#           all notebooks:       make notebooks ALL=1
STUDENT ?=#       one student:         make grade STUDENT=student01
AGAIN ?=#         graded ones, too:    make grade AGAIN=1
FROM ?=#          the side that wins:  make notebooks FROM=text
CELL_TIMEOUT ?= 300
PROXY := configurable-http-proxy@5.1.0

# Threads that wait for work sleep instead of spinning. Spinning threads starve each other as
# soon as anything else needs a core: a browser beside the kernel, a second notebook.
export OMP_WAIT_POLICY ?= passive

CHECK_PYTHON = @$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else "this needs Python 3.11 or later, and $(PYTHON) is %d.%d; try: make setup PYTHON=python3.11" % v[:2])'

START := notebooks/index.ipynb
CODE := $(wildcard bigmodel_lib tools tests benchmarks)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup proxy lab test lint unit nbval browser format notebooks models assignments grade classroom bench owner clean

help: ## list the targets
	@echo "make TARGET"
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## make .venv from constraints.txt (again only when that changed)

$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(CHECK_PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --constraint $(CONSTRAINTS) $(PIP_ARGS) --editable '.[lab,dev]'
	@touch $@

proxy: $(STAMP) ## add a JupyterHub's proxy to .venv, with npm (classroom/README.md)
	npm install --global --no-fund --no-audit --prefix $(VENV) $(PROXY)

lab: $(STAMP) ## open JupyterLab on the start page (ARGS= passes options on)
	$(PY) -m jupyterlab --LabApp.default_url=/lab/tree/$(START) $(ARGS)

test: lint unit nbval browser ## everything: lint, unit tests, every notebook, browser

lint: $(STAMP) ## code, notebooks, and text against notebooks
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) tools/notebooks.py --check

unit: $(STAMP) ## unit tests of the library and of the ground
	$(PY) -m pytest --ignore=tests/browser --numprocesses=$(JOBS) --dist=loadgroup $(PYTEST_ARGS)

nbval: $(STAMP) ## execute every cell of every notebook, a notebook a process
	$(PY) -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=$(CELL_TIMEOUT) \
		--override-ini=timeout=0 --numprocesses=$(JOBS) --dist=loadfile notebooks/*.ipynb $(PYTEST_ARGS)

browser: $(STAMP) ## widgets in a real Chromium (skipped without one, but not in CI)
	$(PY) -m pytest --override-ini=timeout=600 tests/browser $(PYTEST_ARGS)

format: $(STAMP) ## format the code, repair what ruff can (make notebooks formats cells)
	$(PY) -m ruff check --fix $(CODE)
	$(PY) -m ruff format $(CODE)

notebooks: $(STAMP) ## sync with the text, execute what changed, clean (NAME= ALL=1 FROM=)
	$(PY) tools/notebooks.py $(if $(ALL),--all) $(if $(FROM),--from $(FROM)) $(NAME)

models: $(STAMP) ## train the cached models anew: minutes each (NAME=)
	$(PY) tools/models.py $(NAME)

assignments: $(STAMP) ## build them in build/course, for teachers and students (NAME=)
	$(PY) tools/teaching.py
	$(PY) tools/assignments.py $(NAME)

grade: $(STAMP) ## grade what was submitted to build/course (NAME= STUDENT= AGAIN=1 ARGS=)
	$(PY) tools/grading.py $(if $(NAME),--assignment $(NAME)) $(if $(STUDENT),--only $(STUDENT)) \
		$(if $(AGAIN),--again) $(ARGS)

classroom: $(STAMP) ## a course with a demonstration class, in JupyterLab (ARGS=--new: afresh)
	@$(PY) tools/classroom.py $(ARGS)

bench: $(BENCH_STAMP) ## run every benchmark, beside the peers in .venv-bench (ARGS=)
	@for file in $(filter-out benchmarks/side_by_side.py %_peer.py %_peers.py,$(wildcard benchmarks/*.py)); do \
		echo "== $$file"; $(BENCH_RUN) "$$file" --json build/bench/$$(basename $$file .py).json $(ARGS) || exit 1; \
	done

bench-%: $(BENCH_STAMP) ## run benchmarks/%.py; its figures go to build/bench/%.json
	$(BENCH_RUN) benchmarks/$*.py --json build/bench/$*.json $(ARGS)

# The peers are heavy, and none of the library's business: they get an environment of their own.
$(BENCH_STAMP): pyproject.toml $(CONSTRAINTS) $(wildcard benchmarks/*.txt)
	$(CHECK_PYTHON)
	$(PYTHON) -m venv $(BENCH)
	$(BENCH_PY) -m pip install --constraint $(CONSTRAINTS) --constraint benchmarks/constraints.txt \
		$(PIP_ARGS) --editable '.[lab,dev]' --requirement benchmarks/requirements.txt
	@touch $@

owner: ## rewrite all links to the repository: make owner OWNER=name
	$(PYTHON) tools/owner.py "$(OWNER)"

clean: ## remove caches and build products (.venv and .venv-bench stay)
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
	find . \( -path ./$(VENV) -o -path ./$(BENCH) \) -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) \
		-type d -exec rm -rf {} +
