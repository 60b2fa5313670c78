# What is done now and then; ./serve and ./test are the front door.
PYTHON = .venv/bin/python
SETUP  = tools/setup
JOBS  ?= $(shell nproc)
BUILD  = $(PYTHON) setup.py -q build_ext --inplace -j $(JOBS)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: debug asan relassert plain test-all torture debug-tests lint fmt generate record bench docs

plain:              ## optimised, what ./test and ./serve use
	TUSK_BUILD=plain $(SETUP) test

debug:              ## bounds, None and initialisation checks, assertions, TUSK_DEBUG invariants
	TUSK_BUILD=debug $(SETUP) test

asan:               ## debug and AddressSanitizer; run with LD_PRELOAD=$$(gcc -print-file-name=libasan.so) PYTHONMALLOC=malloc
	TUSK_BUILD=asan $(SETUP) test

relassert:          ## optimised, with assertions
	TUSK_BUILD=relassert $(SETUP) test

test-all:           ## the slow tests too
	TUSK_SLOW=1 ./test $(ARGS)

torture:            ## kill any process under load, again and again; MINUTES=10
	$(SETUP) test > /dev/null
	$(PYTHON) -m tests.torture --minutes $(or $(MINUTES),10)

debug-tests:        ## unit tests and a server on a debug build, in a copy; FLAVOUR=asan
	tools/debug_tests $(or $(FLAVOUR),debug)

lint:               ## style, types, layers
	$(SETUP) lint > /dev/null
	$(PYTHON) -m ruff check src tests tools benchmarks
	.venv/bin/cython-lint src
	.venv/bin/lint-imports
	$(PYTHON) tools/check_cimports.py
	$(PYTHON) -m mypy src/tusk

fmt:                ## what ruff repairs safely
	$(PYTHON) -m ruff check --fix src tests tools benchmarks

generate:           ## files made by programs; changes nothing where they are fresh
	for tool in tools/generate_*.py; do $(PYTHON) $$tool || exit 1; done

record:             ## facts and expected results, taken from a real PostgreSQL 18
	for tool in tools/extract_*.py tools/record_*.py; do $(PYTHON) $$tool || exit 1; done

bench:              ## Tusk and PostgreSQL side by side; SCALE=10 SECONDS=10
	$(SETUP) test > /dev/null
	$(PYTHON) -m benchmarks --scale $(or $(SCALE),10) --seconds $(or $(SECONDS),10)

docs:               ## run the notebook again and list what the SQL scripts know to be missing
	$(SETUP) test > /dev/null
	$(PYTHON) tools/run_notebook.py docs/processes.ipynb
	$(PYTHON) tools/list_missing.py
