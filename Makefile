# Every target sets up .venv by itself when it has to; nothing needs to be active or installed first.
# PYTHON=/path/to/python3 chooses another Python, FOLDER=... another folder for the demo, ARGS=... goes to pytest.
# The tests run side by side, one after another with ARGS=-n0.

BIN := .venv/bin

# A worker that is done takes tests from one that is not; more than eight would only start more servers at once.
SIDE_BY_SIDE := -n auto --maxprocesses 8 --dist worksteal

# Hundreds of processes are started by the tests. Each would compile all modules anew where the environment forbids
# to keep what came of it, as that of many container images does.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test soak check formatting lint types imports format bench docs hooks pin clean venv-run venv-dev servers

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: venv-run ## Set up .venv/bin/mycelium, ready to use
	@echo "Installed: $(BIN)/mycelium"

demo: venv-run ## Watch agents share real work (FOLDER=... to survey another folder)
	@$(BIN)/mycelium demo $(if $(FOLDER),"$(FOLDER)")

test: venv-dev servers ## Run every test but the soak tests (ARGS="-k lease -x" goes to pytest)
	@$(BIN)/pytest $(SIDE_BY_SIDE) $(ARGS)

soak: venv-dev servers ## Run the soak tests: minutes, not seconds
	@$(BIN)/pytest -m soak --timeout 1800 $(ARGS)

check: formatting lint types imports ## Check format, lint, types and import rules; change nothing

formatting: venv-dev ## Only the format
	@$(BIN)/ruff format --check --quiet .

lint: venv-dev ## Only the linter
	@$(BIN)/ruff check --quiet .

types: venv-dev ## Only the types
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright

imports: venv-dev ## Only the import rules
	@$(BIN)/lint-imports --no-logo

format: venv-dev ## Format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: venv-dev ## Run the benchmarks and print their numbers
	@$(BIN)/python -m benchmarks $(ARGS)

docs: venv-dev ## Bring what the documentation takes from the code up to date
	@$(BIN)/python docs/generate.py

picture: venv-run ## Draw docs/demo.svg anew from a real run of the demo
	@$(BIN)/python docs/make_picture.py

hooks: venv-dev ## Run the quick checks before every commit
	@$(BIN)/pre-commit install

pin: ## Refresh constraints.txt to the newest allowed versions
	@scripts/pin

clean: ## Remove .venv, caches and build output (never a store)
	@rm -rf .venv .venv.lock .cache dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv-run:
	@scripts/bootstrap run

venv-dev:
	@scripts/bootstrap dev

servers:
	@scripts/install-servers
