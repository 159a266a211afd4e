# Needs Python 3.11 or 3.12 and make; the rest goes into .venv.
PROFILE ?= quick
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
TORCH := $(shell sed -n 's/.*"\(torch==[^"]*\)".*/\1/p' pyproject.toml)

.PHONY: help book pdf results solved sweep test lint lab clean
help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 17

book: .venv/installed  ## run the chapters and build the pages (PROFILE=quick names params/quick.yaml)
	@$(BIN)/python book/build.py --profile $(PROFILE)

pdf: .venv/installed  ## print the built book into one PDF (needs Chromium)
	@$(BIN)/python book/pdf.py

results: .venv/installed  ## train, evaluate and publish a profile into book/results (WEIGHTS=1: its networks too)
	@$(BIN)/python book/publish.py --profile $(PROFILE) $(if $(filter 1,$(WEIGHTS)),--weights)

solved: .venv/installed  ## solve the crystals of a profile and keep the rows in book/solved
	@$(BIN)/python book/publish.py --profile $(PROFILE) --challenges

sweep: .venv/installed  ## score many settings: PROFILES="quick real" VARY="model.width=32,64"
	@$(BIN)/python book/sweep.py $(or $(PROFILES),$(PROFILE)) --vary $(VARY)

test: .venv/installed  ## run the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lint: .venv/installed  ## check the style of the code and of the chapters
	@$(BIN)/ruff check --output-format concise .
	@$(BIN)/jupytext --quiet --to ipynb --pipe-fmt ipynb \
	    --check '$(BIN)/ruff check --quiet --output-format concise --extend-ignore E402,E501 {}' book/*.md

lab: .venv/installed  ## open the chapters in JupyterLab
	@$(BIN)/python book/build.py --notebooks-only
	@$(BIN)/jupyter lab book

clean:  ## remove the built book; trained models stay in _build/runs
	rm -rf $(filter-out _build/runs,$(wildcard _build/* _build/.doctrees))

# pip installs torch first because it finds a machine's own build of it; uv then leaves that alone.
.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
	    { echo "CrystalNet needs Python 3.11 or 3.12. Install it, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check uv $(TORCH)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[book,test]' || $(BIN)/pip install --quiet -e '.[book,test]'
	@touch $@
