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

.PHONY: help
help: ## What there is to run
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: venv
venv: ## The development tools, in .venv (made again when requirements/dev.txt changes)
	@tools/venv.sh

.PHONY: engine
engine: ## A container engine that answers (installs Docker when root on Debian or Ubuntu)
	@tools/engine.sh up

.PHONY: images
images: engine ## The container images, when missing or out of date
	@tools/images/build.sh

.PHONY: molecule
molecule: venv images ## One scenario: make molecule SCENARIO=default
	@molecule test --scenario-name $(SCENARIO)
