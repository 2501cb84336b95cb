# Everything here works on a bare machine: python3 (3.11 or newer), make and a package registry.

PORT ?= 8787
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
EXAMPLE := templates/python-queue/wrangler.jsonc

# Where pip is told what to install: a change of either installs again. The stamps say when that was last done.
SOURCES := pyproject.toml requirements-dev.txt
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
DOCS_VENV := .venv-docs
DOCS_STAMP := $(DOCS_VENV)/.installed
NODE_STAMP := tests/npm/node_modules/.installed
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

.PHONY: help dev test programs trials check format bench docs pictures clean
.DEFAULT_GOAL := help

help:
	@echo 'make dev     run the example, a sign-up page with a queue, on http://localhost:$(PORT)'
	@echo '             (PORT=3000 takes another port, ARGS=... adds options, see: $(BIN)/emulator dev --help)'
	@echo 'make test    run the tests, three at once for each processor (ARGS=... goes to pytest; -n 0: one at a time)'
	@echo 'make programs  install, as root on Debian, what some tests are skipped without: Chromium and strace'
	@echo 'make trials  kill the emulator at random moments, pass 5 GB through it, run it under load for ten minutes (ARGS=--help)'
	@echo 'make check   check format, style and types'
	@echo 'make format  format the code, and mend what can be mended of its style'
	@echo 'make bench   measure, and compare with other emulators where node is installed'
	@echo 'make docs    build the documentation as a site, in site/'
	@echo 'make pictures  make the pictures of the documentation anew'
	@echo 'make clean   remove the virtual environment and what tools left behind'

dev: $(RUN_STAMP)
	@exec $(BIN)/emulator dev -c $(EXAMPLE) $(if $(filter file,$(origin PORT)),,-p $(PORT)) $(ARGS)

# Tests start the emulator hundreds of times: what Python has compiled is kept, whatever the environment says.
test: $(DEV_STAMP) $(NODE_STAMP)
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --dist worksteal -n $$($(BIN)/python -c 'import os; print(min(8, 3 * (os.cpu_count() or 1)))') $(ARGS)

# For machines that are there for tests. What cannot be installed is told, and its tests are skipped. Of Chromium, the
# part that shows nothing on a screen is enough, and takes a third less of the processors; older systems have the whole.
programs:
	@browser=chromium-headless-shell; if command -v chromium >/dev/null; then browser=chromium; fi; \
	missing=; for program in $$browser strace; do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "Not here, and not to be installed without root and apt-get:$$missing. Their tests will be skipped."; exit 0; \
	fi; \
	echo "Installing$$missing for the tests ..."; \
	export DEBIAN_FRONTEND=noninteractive; \
	install() { timeout 240 apt-get -qq -y install --no-install-recommends $$1; }; \
	{ timeout 60 apt-get -qq update; \
	  for program in $$missing; do install $$program || { [ $$program != $$browser ] || install chromium; }; done; \
	} >/dev/null 2>&1 || true; \
	if command -v chromium >/dev/null; then browser=chromium; fi; \
	for program in $$browser strace; do command -v $$program >/dev/null || echo "$$program could not be installed: its tests will be skipped."; done

trials: $(DEV_STAMP) $(NODE_STAMP)
	@$(BIN)/python -m tests.trials $(ARGS)

check: $(DEV_STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(DEV_STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(DEV_STAMP)
	@$(BIN)/python -m bench $(ARGS)

docs: $(DOCS_STAMP)
	@NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build -q --strict
	@echo 'Open site/index.html'

pictures: $(DOCS_STAMP) $(DEV_STAMP)
	@$(DOCS_VENV)/bin/python docs/pictures.py $(BIN)/emulator
	@$(BIN)/python docs/screens.py $(BIN)/emulator

clean:
	rm -rf $(VENV) $(DOCS_VENV) site dist .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/node_modules bench/results \
	  tests/npm/node_modules tests/npm/node22/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first of these that is new enough makes the virtual environment; PYTHON=... names another.
$(BIN)/python:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "This needs Python 3.11 or newer, and python3 here is $$(python3 --version 2>/dev/null || echo missing)." >&2; \
	  echo 'Install one, or name it: make PYTHON=/path/to/python3.12 ...' >&2; exit 1; \
	fi; \
	if ! $$found -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$found has no venv module, or no pip to put into one." >&2; \
	  echo 'On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$found --version) ..."; \
	$$found -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUN_STAMP): $(SOURCES) | $(BIN)/python
	@echo 'Installing the emulator ...'
	@$(PIP) -c requirements-dev.txt -e .
	@touch $@

$(DEV_STAMP): $(RUN_STAMP)
	@echo 'Installing the development tools ...'
	@$(PIP) -r requirements-dev.txt
	@touch $@

# What makes the site has an environment of its own: its packages need other versions than the emulator's.
$(DOCS_STAMP): requirements-docs.txt | $(BIN)/python
	@echo 'Installing what makes the site ...'
	@$(BIN)/python -m venv $(DOCS_VENV)
	@$(DOCS_VENV)/bin/python -m pip install -qq --disable-pip-version-check -r requirements-docs.txt
	@touch $@

# What the tests run for real beside Python: wrangler, workerd and esbuild. Where there is no node, their tests are skipped.
$(NODE_STAMP): tests/npm/package-lock.json tests/npm/node22/package-lock.json | $(DEV_STAMP)
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  echo 'Installing wrangler, workerd and esbuild for the tests ...'; \
	  (cd tests/npm && npm ci --loglevel=error >/dev/null) && $(BIN)/python -m tests.support.node && touch $@; \
	else \
	  echo 'There is no node with npm here: the tests that need wrangler, workerd or esbuild will be skipped.'; \
	fi
