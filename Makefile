# The project's commands. Each sets up what it needs first; the second time that takes no time.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON := .venv/bin/python
AGENT ?= scripted

.PHONY: help demo test nightly lint unit molecule vm lock bench soak clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

demo: ## three labelled issues become three pull requests, on this machine alone
	@tools/setup.sh runtime
	@$(PYTHON) -m claude_flow.testing.demo --agent $(AGENT) $(if $(KEEP),--keep)

test: lint unit molecule ## everything that must hold

lint: ## style, types, layers, the role
	@tools/setup.sh dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/yamllint --strict .
	.venv/bin/ansible-lint --offline
	shellcheck tools/*.sh .ci/run

unit: ## the tests, without the container
	@tools/setup.sh dev
	.venv/bin/pytest -n 4 --dist worksteal

molecule: ## the role, on a real systemd in containers
	@tools/setup.sh dev
	tools/molecule.sh default invalid_config uninstall

vm: ## the role on virtual machines, Debian 12 and 13: memory limits, reboots, power cuts
	@tools/setup.sh vm
	MOLECULE_TARGETS=bookworm tools/molecule.sh vm
	MOLECULE_TARGETS=trixie tools/molecule.sh vm

nightly: vm ## what takes too long for each change: an upgrade, a fleet, a host behind a proxy, virtual machines, every wall of both sandboxes, a hundred thousand cases a property
	tools/molecule.sh upgrade fleet hardening local mirrors
	CONFIG_PROPERTY_CASES=100000 .venv/bin/pytest -n 4 --timeout 0 tests/unit/config/test_properties.py

bench: ## measure against peers
	bench/config/run.sh
	bench/service/run.sh
	bench/workspace/run.sh
	bench/role/run.sh

soak: ## 200 attempts in a row on one daemon: are its memory and open files flat?
	@bench/soak/run.sh

lock: ## compile the requirements anew from pyproject.toml
	tools/lock.sh

clean: ## remove what was made here
	rm -rf .venv .cache build dist
