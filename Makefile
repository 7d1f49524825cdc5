# `make demo` and `make test` do all their own set-up: a machine needs Python 3.11+ and make.
#   PYTHON=python3.12     the Python to build the environment from
#   TORCH_INDEX=URL       a package index for torch alone, e.g. PyTorch's CPU-only one
#   STUDY=name            the study that `make analyze` reads; the newest if not given

PYTHON ?= python3
TORCH_INDEX ?=
STUDY ?=
BIN := .venv/bin
READY := .venv/ready

.DEFAULT_GOAL := help
.PHONY: help setup demo study trial analyze map test test-page test-slow test-fuzz test-launchers lint notebook bench clean

help: ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## make the environment in .venv, with exact versions

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		$(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch torchvision
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY) ## 12 members on scikit-learn's digits and their analysis: no download, a minute
	$(BIN)/python -m chromatic_descent.train -m 'seed=range(12)' experiment=demo study=demo
	$(BIN)/python -m chromatic_descent.analyze study=demo

study: $(READY) ## 12 members on CIFAR-10 and their analysis
	$(BIN)/python -m chromatic_descent.train -m 'seed=range(12)' study=standard trainer.accelerator=auto
	$(BIN)/python -m chromatic_descent.analyze study=standard

TRIAL := $(BIN)/python -m chromatic_descent.train -m experiment=repulsion_trial
IN_TURN := 'seed=range(4)' 'population=choice(solo)' '~population.members'

trial: $(READY) ## repelled against plain on CIFAR-10, 38 configurations: two hours on two cores
	$(TRIAL) study=trial 'repulsion=choice(none)'
	$(TRIAL) study=trial repulsion=logit_mse,kl,svgd repulsion.strength=0.1,0.4,1.6
	$(TRIAL) study=trial repulsion=rbf,rbf_hellinger repulsion.strength=0.05,0.2,0.8
	$(TRIAL) study=trial 'repulsion=choice(hellinger)' repulsion.strength=0.5,2,8
	$(TRIAL) study=trial 'repulsion=choice(ncl)' repulsion.strength=1,4,16
	$(TRIAL) study=trial 'repulsion=choice(input_gradient)' repulsion.strength=0.4,1.6,6.4
	$(TRIAL) study=trial 'repulsion=choice(weight_rbf)' repulsion.strength=8,64
	$(TRIAL) study=trial 'repulsion=choice(hellinger)' 'repulsion.strength=choice(2)' \
		repulsion.points=heldout,mixup,patches,noise
	$(TRIAL) study=trial $(IN_TURN) 'repulsion=choice(dbat)' repulsion.strength=0.1,0.4,1.6
	$(TRIAL) study=trial $(IN_TURN) 'repulsion=choice(hellinger)' 'repulsion.strength=choice(2)'
	$(TRIAL) study=trial trainer.max_epochs=6,11
	$(TRIAL) study=trial 'model.widths=choice([32,128,192])'
	$(BIN)/python -m chromatic_descent.analyze study=trial maps=[hellinger] tsne=0
	# what came out best, again with eight seeds that had no part in choosing it
	$(TRIAL) study=trial_again seed=100 population.members=8 'repulsion=choice(none)'
	$(TRIAL) study=trial_again seed=100 population.members=8 'repulsion=choice(svgd)' repulsion.strength=0.1,0.4
	$(TRIAL) study=trial_again seed=100 population.members=8 'trainer.max_epochs=choice(6)'
	$(BIN)/python -m chromatic_descent.analyze study=trial_again maps=[hellinger] tsne=0

analyze: $(READY) ## analyse the newest study, or STUDY=name
	$(BIN)/python -m chromatic_descent.analyze $(if $(STUDY),study=$(STUDY))

map: study ## the pictures of that study in the README and docs/findings.md
	cp $${CHROMATIC_MULTIRUN_DIR:-multirun}/standard/artifacts/embeddings/chromatic_map.png docs/map.png
	cp $${CHROMATIC_MULTIRUN_DIR:-multirun}/standard/artifacts/embeddings/map.png docs/distance_maps.png

test: $(READY) ## the tests, under 5 minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile # a process a core

test-page: $(READY) ## the report in a browser: needs Chromium or Chrome
	$(BIN)/python -m pytest -m browser

test-slow: $(READY) ## the tests that need CIFAR-10 (in data/ or CHROMATIC_DATA_DIR) or minutes
	$(BIN)/python -m pytest -m slow

test-fuzz: $(READY) ## 10,000 altered artefacts, records and manifests of each kind, minutes
	CHROMATIC_FUZZ=10000 $(BIN)/python -m pytest tests/test_fuzz.py

LAUNCHERS := .venv-launchers

# an environment on top of .venv, which stays as it is: only what launchers need is installed
$(LAUNCHERS)/ready: $(READY) constraints-launchers.txt
	$(BIN)/python -m venv --clear $(LAUNCHERS)
	$(BIN)/python -c 'import site; print("import site; site.addsitedir(%r)" % site.getsitepackages()[0])' \
		> $$(echo $(LAUNCHERS)/lib/python3*/site-packages)/packages.pth
	$(LAUNCHERS)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement constraints-launchers.txt
	@touch $@

test-launchers: $(LAUNCHERS)/ready ## sweeps under joblib, submitit and Ray, with their times
	OMP_NUM_THREADS=1 $(LAUNCHERS)/bin/python -m pytest -m launchers --durations=0 tests/test_launchers_in_use.py

lint: $(READY) ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

notebook: $(READY) ## run docs/from_logits.ipynb again
	$(BIN)/jupyter-execute --inplace docs/from_logits.ipynb

bench: $(READY) ## what is claimed about speed, measured here; needs CIFAR-10
	$(BIN)/python benchmarks/run.py

clean: ## remove the environment and caches; studies and data stay
	rm -rf .venv .venv-launchers build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
