# Whatever a person runs is a target here; CI runs the same ones.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# Nothing is written outside the checkout: not by pip, not by Ansible, not by Molecule (whose scratch folder has
# the checkout's base name only, so that two checkouts of one name would share it).
export XDG_CACHE_HOME := $(CURDIR)/.ansible/cache
export ANSIBLE_HOME := $(CURDIR)/.ansible/home
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.ansible/collections
export PATH := $(CURDIR)/.venv/bin:$(PATH)

SCENARIO ?= default
UV ?= uv

.PHONY: help
help: ## What there is to run
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: venv ## Deploy the example application over TLS into one container, and show it
	@python tools/demo.py

.PHONY: demo-down
demo-down: ## Remove everything that `make demo` started
	@tools/demo_down.sh

.PHONY: test
test: venv ## Everything: lint, unit tests, the example's tests, nginx, Molecule
	@python tools/run_tests.py

.PHONY: lint
lint: venv ## ansible-lint, yamllint, ruff, mypy, the changelog's fragments
	@python tools/run_tests.py lint

.PHONY: unit
unit: venv ## Unit tests: seconds, no container
	@python tools/run_tests.py unit

.PHONY: example
example: venv ## The example application's own tests
	@python tools/run_tests.py example

.PHONY: server
server: venv ## The server processes of a slot, under load: a minute, no container
	@python tools/run_tests.py server

.PHONY: molecule
molecule: venv images ## One scenario, with its output: make molecule SCENARIO=default
	@molecule test --scenario-name $(SCENARIO)

.PHONY: bench
bench: venv ## Speed against its targets, some minutes: make bench [ONLY=proxy|sites|releases|workers|nochange|scale] [SUITE=bookworm] [ROUNDS=5]
	@PYTHONPATH=tools python -m tests.bench $(if $(ONLY),--only $(ONLY)) $(if $(SUITE),--suite $(SUITE)) \
	  $(if $(ROUNDS),--rounds $(ROUNDS))

.PHONY: sanity
sanity: venv ## ansible-test sanity, on a copy of what the tarball gets
	@python tools/sanity.py

.PHONY: docs
docs: venv ## The tables in the roles' READMEs, from their argument specs
	@python tools/gen_docs.py

.PHONY: build
build: venv ## The collection's tarball, in build/
	@ansible-galaxy collection build --force --output-path build

.PHONY: lock
lock: ## requirements/dev.txt from pyproject.toml (needs uv: make lock UV=path/to/uv)
	@$(UV) pip compile --quiet --upgrade --group pyproject.toml:dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' --output-file requirements/dev.txt

.PHONY: venv
venv: ## The development tools, in .venv (made again when requirements/dev.txt changes)
	@tools/venv.sh

.PHONY: engine
engine: ## A container engine that answers (installs Docker when root on Debian or Ubuntu)
	@tools/engine.sh up

.PHONY: engine-down
engine-down: ## Stop the engine, if it was started from here and no container runs
	@tools/engine.sh down

.PHONY: images
images: engine ## The container images, when missing or out of date
	@tools/images/build.sh

.PHONY: clean
clean: ## Remove the images, the virtual environments, the caches and what was built
	@tools/clean.sh
