# Every command of the project; CI calls the same ones. `make help` lists them.
# The first run sets up .venv (Python >= 3.11 is all it needs), later runs do not.

PYTHON_BIN := .venv/bin
ARGS ?=
# Two processes: what the smallest machine we test on has.
JOBS ?= 2
HOUSE := tests/test_house.py tests/test_tidy.py tests/test_docs.py

.DEFAULT_GOAL := help
.PHONY: help run test check fix docs bench bench-smoke stacks compare endpoints
.PHONY: prove fuzz soak demo-express lock clean
.PHONY: setup-gateway setup-dev lint

run: setup-gateway ## start the gateway; ARGS="--port 9000" passes options on
	@$(PYTHON_BIN)/finalstop serve $(ARGS)

test: setup-dev lint ## check, then every test; ARGS="-k sse" picks some
	@$(PYTHON_BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: setup-dev lint ## format, lint, types, generated pages and the rules of the house
	@$(PYTHON_BIN)/python -m pytest -q $(HOUSE)

fix: setup-dev ## format, and mend what the linter can mend
	@$(PYTHON_BIN)/ruff check --fix-only --quiet .
	@$(PYTHON_BIN)/ruff format .

docs: setup-dev ## write the generated parts of the docs anew
	@$(PYTHON_BIN)/python -m tools.docs

bench: setup-dev ## the benchmark, under an hour on a quiet machine; ARGS="--quick": 9 minutes
	@$(PYTHON_BIN)/python -m bench run $(ARGS)
	@$(PYTHON_BIN)/python -m tools.docs

bench-smoke: setup-dev ## 20 s: our CPU per event beside nginx's, as one line
	@$(PYTHON_BIN)/python -m bench smoke

stacks: setup-dev ## measure every framework under its servers; ARGS="granian" picks some
	@$(PYTHON_BIN)/python -m tests.stacks.run $(ARGS)
	@$(PYTHON_BIN)/python -m tools.docs

compare: setup-dev ## hand-made relays and ours under the same faults (no key needed)
	@$(PYTHON_BIN)/python examples/compare/compare.py $(ARGS)
	@$(PYTHON_BIN)/python -m tools.docs

endpoints: setup-dev ## examine every sick and healthy endpoint with the doctor
	@$(PYTHON_BIN)/python -m tests.doctor.ward
	@$(PYTHON_BIN)/python -m tools.docs

prove: setup-dev ## the promise beyond the tests, about half an hour; ARGS="lifecycle": one part
	@$(PYTHON_BIN)/python -m proof $(ARGS)
	@$(PYTHON_BIN)/python -m tools.docs

fuzz: setup-dev ## fuzz every target for 10 s each; ARGS="--seconds 60 sse": one, for longer
	@$(PYTHON_BIN)/python -m fuzz $(ARGS)

soak: setup-dev ## a gateway under random faults for 60 s; ARGS="--seconds 600": the long form
	@$(PYTHON_BIN)/python -m proof.soak $(ARGS)

demo-express: setup-dev ## an Express handler that hangs, before and after (no key needed)
	@$(PYTHON_BIN)/python examples/express/demo.py $(ARGS)

lock: setup-dev ## pin the newest releases of what we stand on
	@tools/lock.sh

clean: ## remove everything that make made
	rm -rf .venv build dist htmlcov .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup-gateway:
	@tools/setup.sh gateway

setup-dev:
	@tools/setup.sh dev

lint: setup-dev
	@$(PYTHON_BIN)/ruff format --check .
	@$(PYTHON_BIN)/ruff check .
	@$(PYTHON_BIN)/mypy
	@[ ! -f tools/docs.py ] || $(PYTHON_BIN)/python -m tools.docs --check
