# Three words to remember: make run, make test, make check.
# PYTHON names the interpreter to build with; ARGS goes to the program: make test ARGS="-k demo". The tests run in
# WORKERS processes side by side, a file's tests in one of them; WORKERS=0 runs them in one.
PYTHON ?= python3
VENV := .venv
WORKERS ?= 2
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test check reference fuzz audit load screenshots pins clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run ## a demo site with the gateway mounted, on http://127.0.0.1
	@$(BIN)/consent-gateway demo $(ARGS)

test: $(VENV)/.test ## all tests
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)

check: $(VENV)/.check ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

reference: $(VENV)/.test ## docs/reference and the README's table, made anew from the code
	@$(BIN)/python -m tests.reference

fuzz: $(VENV)/.test ## other inputs for five minutes (ARGS="--seconds 3600"), and a table of how many
	@$(BIN)/python -m tests.fuzz $(ARGS)

audit: ## known faults of the versions in constraints.txt, by pip-audit in an environment of its own: asks the network
	@set -e; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; $(PYTHON) -m venv "$$work/venv"; \
	"$$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check pip-audit; \
	"$$work/venv/bin/pip-audit" --no-deps --disable-pip --progress-spinner off -r $(or $(FILE),constraints.txt) $(ARGS)

load: $(VENV)/.load ## a load test of half a minute, against a site that it starts itself
	@$(BIN)/python load/locustfile.py $(ARGS)

screenshots: $(VENV)/.test ## the banner and the owners' pages in every state, as pictures in screenshots/
	@$(BIN)/python -m tests.browser.screenshots

clean: ## remove the virtual environment and what was built
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage coverage.xml
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment whose interpreter is gone is made anew, so its stamps no longer hold.
$(shell test -x $(BIN)/python || rm -f $(VENV)/.run $(VENV)/.test $(VENV)/.check $(VENV)/.load)

# Each stamp says that its extras are installed; it is made again only when the two files or the interpreter change.
$(VENV)/.run: EXTRAS := embedded,demo
$(VENV)/.test: EXTRAS := embedded,demo,test
$(VENV)/.check: EXTRAS := embedded,demo,test,check
$(VENV)/.load: EXTRAS := embedded,load
$(VENV)/.run $(VENV)/.test $(VENV)/.check $(VENV)/.load: pyproject.toml constraints.txt $(BIN)/python
	@echo "Installing $(EXTRAS) into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; '$(PYTHON)' was not found." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; \
	'$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "'$(PYTHON)' lacks its venv module. \
	On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv --clear $(VENV)

pins: ## the newest versions of everything, written to constraints.txt
	@echo "Resolving the newest versions …"
	@set -e; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	$(PYTHON) -m venv "$$work/venv"; \
	"$$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[embedded,demo,test,load,check]"; \
	{ echo "# The versions that the tests ran with; refreshed by 'make pins', then 'make check test'."; \
	"$$work/venv/bin/python" -m pip list --disable-pip-version-check --format=freeze --exclude-editable \
	--exclude pip; } > "$$work/constraints.txt"; \
	cp "$$work/constraints.txt" constraints.txt; echo "constraints.txt: $$(grep -c == constraints.txt) versions"
