# `make help` lists the targets. All of them work in .venv, which the first one creates and fills.

PYTHON ?= python3
CC ?= cc
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BUILD_REQUIREMENTS := 'setuptools>=77' 'Cython>=3.0' 'numpy>=2.0'
OUT ?= demo-output
CORES = $(shell nproc)

VECTOR_FOLDER_x86_64 := csrc/x86
VECTOR_FOLDER_aarch64 := csrc/arm
VECTOR_FOLDER_arm64 := csrc/arm
VECTOR_FOLDER := $(VECTOR_FOLDER_$(shell uname -m))
# -Wmissing-prototypes finds a vector version without its row in versions.def.
# -O2: without it, gcc defines vector intrinsics as macros, whose casts warn in our name.
C_LINT_FLAGS := -std=c11 -O2 -Wall -Wextra -Wconversion -Wmissing-prototypes -Werror -fsyntax-only -Icsrc/include -Icsrc

.DEFAULT_GOAL := help
.PHONY: help ext demo test lint lint-c lint-python bench bench-quantizer dist clean distclean

help:
	@echo 'make demo       train two networks, convert them in six ways, prove our kernels equal to TensorFlow Lite'
	@echo 'make test       run the tests, on all cores; arguments of pytest go into PYTEST_ARGS:'
	@echo '                make test PYTEST_ARGS="tests/cli -k inspect"  some of them'
	@echo "                make test PYTEST_ARGS=\"-m 'not slow'\"         without those that take seconds"
	@echo '                make test PYTEST_ARGS="-n 0 --pdb"            in one process, for a debugger'
	@echo 'make lint       compile the C code with all warnings as errors; ruff; mypy'
	@echo 'make bench      measure models, products and passes over memory beside TensorFlow Lite and others; minutes.'
	@echo '                make bench JSON=FILE writes the figures; make bench BENCH_MODELS="mlperf_*" BENCH_THREADS=1'
	@echo '                measures some models; make bench-quantizer: the quantizer, beside the converter'
	@echo 'make ext        build the C and Cython parts in place'
	@echo 'make dist       build the source distribution and the wheel into dist/'
	@echo 'make clean      remove what was built; make distclean removes .venv as well'
	@echo
	@echo 'Another Python than python3 (3.11 or newer is needed): make PYTHON=python3.12 demo'

# Each check is one line that says what to do; a half-made .venv would hide the reason from the next run.
$(BIN)/python:
	@$(PYTHON) -c '' 2>/dev/null \
	  || { echo "make: $(PYTHON) cannot be run. Install Python 3.11 or newer, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "make: $(PYTHON) is older than Python 3.11, which quantcore needs. Name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "make: $(PYTHON) has no venv module. Install it (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@command -v $(CC) >/dev/null \
	  || { echo "make: no C compiler ($(CC)) was found. Install one (Debian, Ubuntu: apt-get install gcc)" >&2; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig as s; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))' \
	  || { echo "make: the C headers of $(PYTHON) are missing. Install them (Debian, Ubuntu: apt-get install python3-dev)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# Building without isolation uses the NumPy that the extensions will meet, and downloads nothing twice.
$(INSTALLED): pyproject.toml setup.py | $(BIN)/python
	@echo 'Installing quantcore and what it needs into $(VENV) (TensorFlow is large; once only) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(BUILD_REQUIREMENTS)
	@flock .build.lock $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
	  --editable '.[oracle,tflm,kernels,plot,dev]'
	@touch $@

ext: $(INSTALLED)
	@flock .build.lock $(BIN)/python setup.py -q build_ext --inplace

demo: ext
	@$(BIN)/quantcore demo --out $(OUT)

test: ext
	@$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

lint: lint-c lint-python

lint-c:
	@for compiler in gcc clang aarch64-linux-gnu-gcc; do \
	  case $$compiler in aarch64-*) folder=csrc/arm ;; *) folder=$(VECTOR_FOLDER) ;; esac; \
	  if command -v $$compiler >/dev/null; then \
	    echo "$$compiler $(C_LINT_FLAGS)"; \
	    ls csrc/*.c csrc/reference/*.c $${folder:+$$folder/*.c} | xargs -n 1 -P $(CORES) $$compiler $(C_LINT_FLAGS) || exit 1; \
	  else \
	    echo "$$compiler is not installed: its warnings were not checked" >&2; \
	  fi; \
	done

lint-python: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/mypy

# The first script starts the file anew, the others add to it.
bench: ext
	@$(BIN)/python benchmarks/bench_machine.py $(if $(JSON),--json $(JSON))
	@$(BIN)/python benchmarks/bench_models.py $(foreach m,$(BENCH_MODELS),--models '$(m)') \
	  $(foreach n,$(BENCH_THREADS),--threads $(n)) $(if $(BENCH_TURNS),--turns $(BENCH_TURNS)) \
	  $(if $(JSON),--json $(JSON) --merge)
	@$(BIN)/python benchmarks/bench_models.py --invoke-only --most-mmac 3 --threads 1 \
	  $(foreach m,$(BENCH_MODELS),--models '$(m)') $(if $(JSON),--json $(JSON) --merge)
	@$(BIN)/python benchmarks/bench_gemm.py $(if $(JSON),--json $(JSON) --merge)
	@$(BIN)/python benchmarks/bench_bandwidth.py $(if $(JSON),--json $(JSON) --merge)

bench-quantizer: ext
	@for script in inspect quantize improvements; do echo; $(BIN)/python benchmarks/bench_$$script.py || exit 1; done

dist: $(INSTALLED)
	@$(BIN)/python -m build

clean:
	@rm -rf build dist *.egg-info demo-output qat-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find quantcore \( -name '*.so' -o -name '*.c' ! -path '*/targets/c/*' \) -delete
	@find quantcore tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	@rm -rf $(VENV)
