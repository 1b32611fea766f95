# `make help` lists the targets: those with a text after two hashes.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

STACK ?= dev
RELEASE ?=
ACCELERATOR ?=
ifneq ($(filter-out auto kvm emulation container,$(ACCELERATOR)),)
$(error ACCELERATOR = $(ACCELERATOR): must be auto, kvm, emulation or container)
endif
PYTHON ?= python3
KINKY := .venv/bin/kinky
PYTEST := .venv/bin/python -m pytest

.NOTPARALLEL:
.PHONY: help venv dist pins packages browser image host up check down test e2e conformance soak bench golden generate shell lint

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: host ## everything: tools, node image, embedded host, stack dev, check from outside (root; STACK=ci, ACCELERATOR=container)
	$(KINKY) up --stack $(STACK) $(if $(ACCELERATOR),--accelerator $(ACCELERATOR))
	@$(MAKE) --no-print-directory check

check: ## look at the inner cluster from outside, through its exported kubeconfig
	@eval "$$($(KINKY) env --stack $(STACK))"; kubectl get nodes -o wide; kubectl get pods -A

down: venv ## destroy the stacks of the embedded host, stop it, remove its data (root)
	$(KINKY) down

host: image ## the embedded host with the node images on it, without a stack (root)
	$(KINKY) host up $(if $(filter kvm emulation,$(ACCELERATOR)),--accelerator $(ACCELERATOR))

image: packages venv ## the programs that KinKy uses, and the node image (root; RELEASE=v1.35, NODE_FILES=DIR adds your files)
	@setup/go
	$(KINKY) tools --ensure $(if $(RELEASE),--release $(RELEASE)) >/dev/null
	$(KINKY) image build $(if $(RELEASE),--release $(RELEASE)) $(if $(NODE_FILES),--add "$(NODE_FILES)") >/dev/null

test: venv ## unit, program, golden and configuration tests, and those with an API server; no root
	$(PYTEST) -n auto --dist loadgroup --durations 10

e2e: image ## the main job in virtual machines, all the rest on container guests; nothing left (root; E2E=tests/e2e/vm)
ifdef E2E
	$(PYTEST) $(E2E) -m host -v -x
else
	$(KINKY) down
	@lists=$$(mktemp -d); trap "$(KINKY) down; rm -r $$lists" EXIT; export KINKY_E2E_KEEP=$$lists/before.json; \
	$(PYTEST) tests/e2e/beside tests/e2e/vm -m host -v -x -n 2 --dist loadfile; \
	$(PYTEST) tests/e2e --ignore tests/e2e/beside --ignore tests/e2e/vm -m host -v -x
endif

soak: image ## by hand: ten clusters in a row, 16 faults, killed tests, rotations of three control planes with kills, Vault itself (root)
	$(PYTEST) tests/e2e -m soak -v -x

conformance: image ## by hand: Kubernetes' own suite on a cluster of container guests, 30 minutes (root; FOCUS=regular expression)
	.venv/bin/python -m tests.conformance $(if $(FOCUS),--focus '$(FOCUS)')

bench: image ## measure up, or FIGURES=status, leases, load; one JSON (root; WIDE=1, GROUND=container, RUNS=20)
	@$(KINKY) bench --stack $(STACK) $(if $(FIGURES),--figures $(FIGURES)) $(if $(RUNS),--runs $(RUNS)) $(if $(WIDE),--wide) $(if $(GROUND),--ground $(GROUND))

golden: venv ## rewrite the golden files; read the diff before it is committed
	KINKY_GOLDEN=write $(PYTEST) tests/golden

generate: venv ## rewrite the schemas and the pages that come from models, rights and commands
	$(KINKY) generate

shell: venv ## a shell with pulumi, kubectl and kinky set up for the stack
	@bash --rcfile <(cat ~/.bashrc 2>/dev/null; $(KINKY) env --stack $(STACK); echo 'PS1="(kinky $(STACK)) $$PS1"') -i

lint: venv ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

packages:
	@setup/debian-packages setup/packages.txt embedded-host/packages.txt node-image/packages-build.txt

browser: ## Chromium, with which make test shows the page of kinky report; without it those tests are skipped (root)
	@setup/debian-packages tests/packages.txt

venv: .venv/.ready ## just the virtual environment

dist: venv ## a wheel and a source archive in dist/, to be installed by pip
	.venv/bin/python -m hatchling build

PINS := .venv/bin/uv pip compile --quiet --generate-hashes --no-annotate --no-emit-find-links --python-version 3.11 --custom-compile-command 'make pins'
pins: venv ## write requirements.txt with hashes from pyproject.toml, and the same for Go's wheel
	$(PINS) pyproject.toml --group dev --output-file requirements.txt
	$(PINS) toolchain/go-requirements.in --output-file toolchain/go-requirements.txt

# Root may install for a user without root, whatever root's umask is.
.venv/.ready: requirements.txt setup/launcher
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@umask 022; $(PYTHON) -m venv .venv || { rm -rf .venv; echo "hint: apt-get install python3-venv" >&2; exit 1; }
	umask 022; .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt
	setup/launcher
	@umask 022; touch $@
