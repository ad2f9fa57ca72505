# Everything a developer or CI runs. `make demo` and `make test` make .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench bench-scale bench-scoring bench-delivery bench-overload bench-quality bench-variants bench-models bench-fusion soak chaos bounds faults k8s image sbom tables monitoring requirements clean
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
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY) ## Style, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) ## A scenario, ARGS="--scenario static"; results and a page with plots in out/bench
	$(BIN)/python -m tests.benchmarks --output out/bench $(ARGS)

bench-scale: $(READY) ## 10 to 10 000 sources at the same number of Moments; results in out/bench
	$(BIN)/python -m tests.benchmarks.scale --output out/bench $(ARGS)

bench-scoring: $(READY) ## CPU and memory of scoring alone, by age and number of sources; results in out/bench
	$(BIN)/python -m tests.benchmarks.scoring --output out/bench $(ARGS)

bench-delivery: $(READY) ## Recovery of 1000 sources, price of transactions, delay of alerts; results in out/bench
	$(BIN)/python -m tests.benchmarks.delivery --output out/bench $(ARGS)

bench-overload: $(READY) ## Half, three times and half the load that the machine takes; results in out/bench
	$(BIN)/python -m tests.benchmarks.overload --output out/bench $(ARGS)

bench-quality: $(READY) ## Anomalies against nuisances and a baseline; results in out/bench-quality
	$(BIN)/python -m tests.benchmarks.quality.run --output out/bench-quality $(ARGS)

bench-variants: $(READY) ## What reuse and int8 cost in AUROC; int8 needs the group bench; results in out/bench
	$(BIN)/python -m tests.benchmarks.quality.variants --output out/bench $(ARGS)

bench-models: $(READY) ## Ways to run the encoders: speed and cosine; ARGS="--frame transformers:DIR"
	$(BIN)/python -m tests.benchmarks.models --output out/bench $(ARGS)

bench-fusion: $(READY) ## Fusion operators, agreement and tuning on rendered cameras; ARGS="--part days"; in out/bench-fusion
	$(BIN)/python -m tests.benchmarks.fusion.run --output out/bench-fusion $(ARGS)

soak: $(READY) ## Simulated runs by seed, e.g. SEEDS=20000; one again with python -m tests.simulation SEED
	$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),20000)

chaos: $(READY) ## More than 100 kills and every other fault on a real Kafka; results in out/chaos.json
	$(BIN)/python -m tests.chaos.run --json out/chaos.json $(ARGS)

bounds: $(READY) ## Memory and waits with 1 GB of backlog and slow or blocked services; results in out/bounds.json
	$(BIN)/python -m tests.bounds.run --json out/bounds.json $(ARGS)

faults: $(READY) ## One fault after the other under a real Prometheus: alerts fire and clear; 4 minutes
	$(BIN)/python -m tests.watching.faults

k8s: $(READY) ## The chart on the cluster of KUBECONFIG, which may be thrown away; KEDA on a real Kafka
	$(BIN)/python -m tests.deploy.cluster $(ARGS)

image: $(READY) ## Build and try the image: BASE=python:...@sha256:..., VARIANT=cpu or cuda
	$(BIN)/python -m tests.deploy.image --base "$(BASE)" --variant $(or $(VARIANT),cpu) $(ARGS)

sbom: $(READY) ## What is in the image, as CycloneDX; in out/sbom.json
	mkdir -p out
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --output-file out/sbom.json deploy/requirements.txt

tables: $(READY) ## Renew the generated tables and the chart's generated files
	$(BIN)/python -m tests.tables

monitoring: $(READY) ## Renew the Prometheus rules and the Grafana dashboard in deploy/helm/files
	$(BIN)/python -m deploy.monitoring

requirements: ## Pin all dependencies anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --group dev --output-file requirements.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --group image --constraint requirements.txt \
	  --output-file deploy/requirements.txt pyproject.toml

clean:
	rm -rf $(VENV) out dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
