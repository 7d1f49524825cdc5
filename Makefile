# `make demo` and `make test` set up everything they need: a machine needs Python 3.11+ and make.
#   PYTHON=python3.12     the Python to build the environment from
#   TORCH_INDEX=URL       a package index for torch alone, such as PyTorch's CPU-only one
#   STUDY=name            the study that `make analyze` reads; by default the newest
#   ONLY=words            which tests `make test-launchers` and `make test-package` run: pytest's -k

PYTHON ?= python3
TORCH_INDEX ?=
STUDY ?=
ONLY ?=
BIN := .venv/bin
READY := .venv/ready
UV := $(BIN)/uv
PYTEST := -m pytest -n auto --dist loadfile # one process per core

.DEFAULT_GOAL := help
.PHONY: help setup demo study trial analyze map test test-page test-slow test-faults test-fuzz test-launchers \
	test-extras test-package test-lowest test-newest lint docs docs-serve house notebook bench clean

help: ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## create the environment in .venv, with exact versions

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
	# the best configurations again, with eight seeds that had no part in choosing them
	$(TRIAL) study=trial_again seed=100 population.members=8 'repulsion=choice(none)'
	$(TRIAL) study=trial_again seed=100 population.members=8 'repulsion=choice(svgd)' repulsion.strength=0.1,0.4
	$(TRIAL) study=trial_again seed=100 population.members=8 'trainer.max_epochs=choice(6)'
	$(BIN)/python -m chromatic_descent.analyze study=trial_again maps=[hellinger] tsne=0

analyze: $(READY) ## analyse the newest study, or STUDY=name
	$(BIN)/python -m chromatic_descent.analyze $(if $(STUDY),study=$(STUDY))

map: study ## the pictures of this study in the README and docs/findings.md
	cp $${CHROMATIC_MULTIRUN_DIR:-multirun}/standard/artifacts/embeddings/chromatic_map.png docs/map.png
	cp $${CHROMATIC_MULTIRUN_DIR:-multirun}/standard/artifacts/embeddings/map.png docs/distance_maps.png

test: $(READY) ## the tests, under 5 minutes
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST)

test-page: $(READY) ## the report in a browser: needs Chromium or Chrome
	$(BIN)/python -m pytest -m browser

test-slow: $(READY) ## the tests that need CIFAR-10 (in data/ or CHROMATIC_DATA_DIR) or take minutes
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) --dist load -m slow

test-faults: $(READY) ## two processes on a study, killed 120 times at random moments
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m faults

test-fuzz: $(READY) ## 10,000 altered studies through the commands, 10,000 files of each kind through their readers
	CHROMATIC_FUZZ=10000 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto tests/test_fuzz.py tests/test_fuzz_commands.py

LAUNCHERS := .venv-launchers

# An environment on top of .venv, which stays as it is: only the launchers' dependencies are added.
$(LAUNCHERS)/ready: $(READY) constraints-launchers.txt
	$(BIN)/python -m venv --clear $(LAUNCHERS)
	$(BIN)/python -c 'import site; print("import site; site.addsitedir(%r)" % site.getsitepackages()[0])' \
		> $$(echo $(LAUNCHERS)/lib/python3*/site-packages)/packages.pth
	$(LAUNCHERS)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement constraints-launchers.txt
	@touch $@

test-launchers: $(LAUNCHERS)/ready ## sweeps under joblib, submitit and Ray, with their times
	OMP_NUM_THREADS=1 $(LAUNCHERS)/bin/python -m pytest -m launchers --durations=0 $(if $(ONLY),-k '$(ONLY)') tests/launch/test_launchers_in_use.py

# The next targets create environments of their own, in build/ or a temporary folder, with uv: in
# seconds, once its cache has the packages. uv does not read pip's settings, so it gets pip's indexes.
test-extras test-package test-lowest test-newest: export UV_INDEX = $(TORCH_INDEX) $(shell $(BIN)/pip config get global.extra-index-url 2>/dev/null)
test-extras test-package test-lowest test-newest: export UV_INDEX_STRATEGY = unsafe-best-match
test-extras test-package test-lowest test-newest: export OMP_NUM_THREADS = 1

test-extras: $(READY) ## timm's networks; the output of loggers, opened with TensorBoard, W&B and MLflow
	$(UV) venv --quiet --clear --python $(BIN)/python build/extras
	$(UV) pip install --quiet --python build/extras --constraint constraints.txt --editable '.[dev,timm,tensorboard,wandb,mlflow]'
	build/extras/bin/python $(PYTEST) --dist load -m extras

test-package: $(READY) ## the sdist and the wheel, installed for each available Python from 3.11 to 3.13
	$(BIN)/python $(PYTEST) --dist load -m package $(if $(ONLY),-k '$(ONLY)')

test-lowest: $(READY) ## the tests with the oldest releases that pyproject.toml allows
	$(UV) venv --quiet --clear --python $(BIN)/python build/lowest
	$(UV) pip install --quiet --python build/lowest --resolution lowest-direct --editable '.[dev]'
	build/lowest/bin/python $(PYTEST) -W default # old releases warn about new ones

test-newest: $(READY) ## the tests with the newest releases, except torch; PYTHON=python3.13 for a newer Python
	$(UV) venv --quiet --clear --python $(PYTHON) build/newest
	grep -E '^torch(vision)?==' constraints.txt > build/torch.txt # a new torch is gigabytes: constraints.txt adopts it
	$(UV) pip install --quiet --python build/newest --constraint build/torch.txt --editable '.[dev]'
	build/newest/bin/python $(PYTEST)

lint: $(READY) ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.venv/docs: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	@touch $@

docs: .venv/docs ## the documentation site, in site/; a warning is an error
	@# Zensical does not count the warnings of griffe, which reads the docstrings
	@$(BIN)/zensical build --clean --strict > .venv/docs.log 2>&1; built=$$?; cat .venv/docs.log; \
		test $$built = 0 && ! grep -q '^griffe: ' .venv/docs.log

docs-serve: .venv/docs ## the site at localhost:8000, rebuilt as you write
	$(BIN)/zensical serve

house: $(READY) ## draw docs/house.png, the rooms of the package, from its imports
	$(BIN)/python docs/house.py

notebook: $(READY) ## rerun docs/from_logits.ipynb
	$(BIN)/jupyter-execute --inplace docs/from_logits.ipynb

bench: $(READY) ## measure every claim about speed on this machine; needs CIFAR-10
	$(BIN)/python benchmarks/run.py

clean: ## remove the environment and caches; studies and data stay
	rm -rf .venv .venv-launchers build dist site .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
