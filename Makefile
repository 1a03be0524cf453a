# Two commands do everything on a fresh clone: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

TRUTH := select truth_kind, count(*) filter (outcome is null) as kept, count(*) filter (outcome = 'rejected') as rejected \
	from (from samples union all by name from rejects) group by all order by all

.PHONY: demo cluster-demo test test-all unit lint bench clean
.DELETE_ON_ERROR:

# torch first and alone: whatever needs it afterwards keeps the build that is there.
$(READY): constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("gristmill needs Python 3.11 or newer: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'torch==2.13.0'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[build,demo,dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/gristmill build recipes/demo/pairs.yaml --out out/demo/pairs
	$(BIN)/gristmill show out/demo/pairs --sheet out/demo/pairs.png
	$(BIN)/gristmill query out/demo/pairs "$(TRUTH)"
	$(BIN)/gristmill build recipes/demo/grit.yaml --out out/demo/grit
	$(BIN)/gristmill show out/demo/grit --sheet out/demo/grit.png
	$(BIN)/gristmill build recipes/demo/llava.yaml --out out/demo/llava
	$(BIN)/gristmill show out/demo/llava --sheet out/demo/llava.png
	$(BIN)/gristmill build recipes/demo/speech_units.yaml --out out/demo/units
	$(BIN)/gristmill build recipes/demo/speech_chain.yaml --out out/demo/chain
	$(BIN)/gristmill show out/demo/chain --count 1 --sheet out/demo/chain.png

# A head and two workers on this machine, a job submitted to them, and its dataset compared with a local build's.
cluster-demo: $(READY)
	$(BIN)/python -m deploy.cluster_demo

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/pytest -n 2 -m 'not ray and not faults and not consumers and not slow'

test: lint unit
	$(BIN)/pytest -n 2 -m 'slow and not ray and not faults and not consumers'
	$(BIN)/pytest -n 2 --dist loadfile -m '(ray or faults) and not consumers'

test-all: test
	$(BIN)/pytest -m consumers

bench: $(READY)
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv out build dist .mypy_cache .ruff_cache .pytest_cache
