export PYTHONDONTWRITEBYTECODE :=
VENV := .venv
PYTHON := $(VENV)/bin/python

.PHONY: run test check

$(VENV)/ready: pyproject.toml
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install -q --upgrade pip
	$(PYTHON) -m pip install -q -e '.[test,check]'
	touch $@

run: $(VENV)/ready
	$(VENV)/bin/netinspect sockets -tuap

test: $(VENV)/ready
	$(PYTHON) -m pytest -q

check: $(VENV)/ready
	$(PYTHON) -m ruff check netinspect tests
	$(PYTHON) -m ruff format --check netinspect tests
	$(PYTHON) -m mypy
