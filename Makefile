# The words of the project: install, run, test, check, docs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install run test check docs
install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e '.[dev,docs]'
	touch $@

run: install
	$(BIN)/lowvision run recipes/sr_disp.yml

test: install
	$(BIN)/pytest

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet

docs: install
	$(BIN)/lowvision schema > recipes/schema.json
	$(BIN)/pytest -n 0 tests/test_docs.py tests/test_tutorial.py tests/test_tables.py
	$(BIN)/mkdocs build --strict
