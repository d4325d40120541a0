# Everything a person types. Costly things (binaries, base images, wheels) are cached in ~/.cache, keyed by content.
SHELL := /bin/bash
PY := .venv/bin/python
UV := .venv/bin/uv
UV_VERSION := 0.13.8
VENV := .venv/.installed
CODE := operator worker cli devcluster models demo bench tests
EXTRAS := operator,worker,torch,whisper,cli,dev
.DEFAULT_GOAL := help
.PHONY: help demo test check bench bench-streams images up down models crd golden lock clean fmt

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(VENV): pyproject.toml constraints.txt
	@python3 -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 11)' 2>/dev/null || \
	  { echo "asrpool needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv)"; exit 1; }
	@[ -x $(UV) ] || { python3 -m venv .venv && .venv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	@echo "installing Python packages (first time: about a minute)"
	@$(UV) pip install --quiet --python $(PY) -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

demo: $(VENV) ## bring a cluster up, install the chart, stream real speech through a pool, print a verdict
	$(PY) -m demo

test: $(VENV) ## all tests: unit, HAProxy, worker protocol, models, real cluster
	@$(PY) -m devcluster prepare
	$(PY) -m pytest

check: $(VENV) ## ruff, mypy strict, import contracts, helm lint, CRD and chart in step
	@.venv/bin/ruff format --check $(CODE)
	@.venv/bin/ruff check $(CODE)
	@.venv/bin/mypy $(CODE)
	@PYTHONPATH=operator:worker:cli .venv/bin/lint-imports
	@$(PY) -m asrpool_operator.api.crd | diff -u crds/asrpools.yaml - || { echo "crds/ is not what the models say: make crd"; exit 1; }
	@diff -u crds/asrpools.yaml charts/asrpool/crds/asrpools.yaml || { echo "the chart's CRD is old: make crd"; exit 1; }
	@PATH="$$($(PY) -m devcluster bin helm):$$PATH" helm lint --strict charts/asrpool

fmt: $(VENV) ## format the code and mend what can be mended
	.venv/bin/ruff format $(CODE)
	.venv/bin/ruff check --fix $(CODE)

crd: $(VENV) ## write the CRD from the pydantic models
	$(PY) -m asrpool_operator.api.crd > crds/asrpools.yaml
	cp crds/asrpools.yaml charts/asrpool/crds/asrpools.yaml

golden: $(VENV) ## write the golden files of the rendered objects anew (read the diff!)
	$(PY) -m pytest -q tests/operator/render tests/chart --update-golden

bench: $(VENV) ## timings, as ratios against a named baseline
	$(PY) -m bench

bench-streams: $(VENV) ## live streams per worker against FunASR's server and sherpa-onnx (over an hour; the machine idle; ARGS="--help")
	@$(UV) pip install --quiet --python $(PY) -c constraints.txt -e '.[$(EXTRAS),bench]'
	$(PY) -m bench.streams --plot out/streams.png $(ARGS)

images: $(VENV) ## build the images from the project's Dockerfiles
	$(PY) -m devcluster images

up: $(VENV) ## a real Kubernetes on this machine (or the context you name)
	$(PY) -m devcluster up

down: $(VENV) ## stop it and leave nothing behind
	$(PY) -m devcluster down

models: $(VENV) ## make the speech and train the tiny models anew (under an hour on 2 cores)
	@$(PY) -m devcluster packages
	PYTHONPATH=models $(PY) -m tinyasr

lock: ## resolve the newest allowed versions into constraints.txt
	$(UV) pip compile pyproject.toml --all-extras --python-version 3.11 --no-header --no-annotate --no-emit-find-links --upgrade -q -o constraints.txt

clean: ## remove what was built in the tree (caches outside it stay)
	rm -rf .venv out dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
