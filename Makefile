# Everything a developer or CI runs. `make demo` and `make test` make .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench bench-models soak chaos tables requirements clean
.DEFAULT_GOAL := demo

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON.")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

demo: $(READY) ## Real footage in, alerts out; results in out/demo
	$(BIN)/mmworker demo --output out/demo $(ARGS)

test: check ## All that CI proves
	$(BIN)/pytest $(ARGS)

check: $(READY) ## Style, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) ## Throughput against the bare loop; results in out/bench
	$(BIN)/python -m tests.benchmarks.throughput --output out/bench $(ARGS)

bench-models: $(READY) ## Ways to run the encoders: speed and cosine; ARGS="--frame transformers:DIR"
	$(BIN)/python -m tests.benchmarks.models --output out/bench $(ARGS)

soak: $(READY) ## Simulated runs by seed, e.g. SEEDS=20000; one again with python -m tests.simulation SEED
	$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),20000)

chaos: $(READY) ## More than 100 kills and every other fault on a real Kafka; results in out/chaos.json
	$(BIN)/python -m tests.chaos.run --json out/chaos.json $(ARGS)

tables: $(READY) ## Renew the generated tables in README.md
	$(BIN)/python -m tests.tables

requirements: ## Pin all dependencies anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --group dev --output-file requirements.txt pyproject.toml

clean:
	rm -rf $(VENV) out dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
