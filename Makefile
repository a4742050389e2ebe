# `make demo` and `make test` set everything up themselves; Python 3.11 or newer is all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
OLDEST_VERSIONS := transformers==5.10.4 peft==0.20.0

.PHONY: help demo test check unit test-oldest sweep conformance bench bench-memory bench-memory-gpu bench-check false-alarms engine-facts published interop fuzz docs format clean

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt pip
	$(BIN)/pip install --quiet -c constraints.txt -e '.[torch]' --group dev
	touch $@

$(OLDEST)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt pip
	grep -vE '^(transformers|peft|huggingface_hub|tokenizers)==' constraints.txt > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/pip install --quiet -c $(OLDEST)/constraints.txt $(OLDEST_VERSIONS) -e '.[torch]' --group dev
	touch $@

demo: $(VENV)/installed  ## inspect and plan a built-in model, load the result in PEFT
	$(BIN)/lorascope inspect Llama-3.1-8B
	$(BIN)/lorascope plan Llama-3.1-8B --preset extended -o demo --force
	$(BIN)/python examples/load_adapter_config.py Llama-3.1-8B demo

test: check unit  ## lint, types, layers, then all tests

check: $(VENV)/installed  ## lint, types and the layer contract
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

unit: $(VENV)/installed
	$(BIN)/pytest -n auto --dist worksteal

test-oldest: $(OLDEST)/installed  ## what depends on PEFT, with the oldest supported versions
	$(OLDEST)/bin/pytest tests/matching tests/planning

sweep: $(VENV)/installed  ## the property tests against PEFT with thousands of examples
	HYPOTHESIS_PROFILE=sweep $(BIN)/pytest tests/matching tests/planning

conformance: $(VENV)/installed  ## every model type of the installed transformers
	$(BIN)/python conformance/sweep.py --write docs/conformance.md

bench: $(VENV)/installed  ## whole processes against the obvious script and PEFT's injection
	$(BIN)/python benchmarks/run.py --write docs/benchmarks.md

bench-check: $(VENV)/installed  ## `lorascope check` beside PEFT's way
	$(BIN)/python benchmarks/check.py --write docs/benchmarks-check.md

false-alarms: $(VENV)/installed  ## check what is known to be right, on every model type
	$(BIN)/python conformance/false_alarms.py --write docs/false-alarms.md

engine-facts: $(VENV)/installed  ## what serving engines do, read from their newest release: make engine-facts [ENGINE=vllm VERSION=…]
	$(BIN)/python conformance/engine_facts.py $(ENGINE) $(if $(VERSION),--version $(VERSION))

bench-memory: $(VENV)/installed  ## predicted memory against the CPU allocator's true peaks, and its speed
	$(BIN)/python benchmarks/memory_cpu.py --write docs/memory-measured.md
	$(BIN)/python benchmarks/memory_timing.py --write docs/memory-time.md

bench-memory-gpu: $(VENV)/installed  ## the same on a GPU; needs a CUDA build of torch
	$(BIN)/python benchmarks/memory_gpu.py --write docs/memory-gpu.md

docs: $(VENV)/installed  ## the generated pages: commands, output, rules, captures, README blocks
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_output.py
	$(BIN)/python docs/make_rules.py
	$(BIN)/python docs/make_serving.py
	$(BIN)/python docs/make_captures.py

published: $(VENV)/installed  ## check what tools publish: make published DIR=folder of checkouts
	$(BIN)/python conformance/published_configs.py $(DIR) --write docs/published-configs.md

interop: $(VENV)/installed  ## what the tools' own code makes of exported files; an environment for each (17 GB)
	$(BIN)/python interop/run.py --write docs/interop.md

adapted: $(VENV)/installed  ## deltas before and after `adapt`: make adapted DIR=folder of SmolLM2's GGUF
	$(BIN)/python conformance/adapted_deltas.py $(DIR) --write docs/adapted-deltas.md

fuzz: $(VENV)/installed  ## 10,000 generated and broken configurations; nothing may go wrong
	$(BIN)/python fuzz/run.py

format: $(VENV)/installed  ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove what the targets above have made
	rm -rf $(VENV) $(OLDEST) .venv-interop demo
