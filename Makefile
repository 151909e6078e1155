# The menu. The work itself is in tools/ and in `.venv/bin/ha`; each target may be repeated at any time.
# HA_CACHE (default ~/.cache/event-manager-ha) holds what is kept outside the checkout: the Pulumi CLI, host images.
# STACK (default dev) is the stack that `lab` boots; HTTP_PORT and HTTPS_PORT (8080 and 8443) are where it answers.
# CI=true turns a missing linter from a skip into a failure.

STACK ?= dev
REPEAT ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests fmt check test test-unit test-app test-engine test-lab lab lab-down drills bench docs lock
.NOTPARALLEL:

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Install what is missing: Debian packages, .venv, the Pulumi CLI, the application's release
	@tools/setup

setup-tests: ## As setup, and the browser that tests drive
	@tools/setup --tests

lab: ## Boot the stack on this machine, wait until it is healthy, print its URL (STACK=dev)
	@tools/setup --lab
	@.venv/bin/ha lab up --stack $(STACK) $(if $(HTTP_PORT),--http-port $(HTTP_PORT)) $(if $(HTTPS_PORT),--https-port $(HTTPS_PORT))

lab-down: ## Remove the lab and everything that it made on this machine
	@test ! -x .venv/bin/ha || .venv/bin/ha lab down

fmt: setup ## Format the Python code and sort its imports
	@tools/format

check: setup ## The fast checks alone: linters, types, unit tests
	@tools/check
	@tools/test unit

test: setup-tests ## All tests: check, application, engine, lab
	@tools/check
	@tools/test unit app engine lab

test-unit: setup ## Unit tests: no root, no network, seconds
	@tools/test unit

test-app: setup ## The application's own tests
	@tools/test app

test-engine: setup ## The real Pulumi engine against an AWS API on this machine; no hosts
	@tools/test engine

test-lab: setup-tests ## The estate boots and is looked at from all sides; needs root
	@tools/test lab

drills: setup ## Every drill that the running lab's stack can take (STACK=dev REPEAT=1); results in .results/
	@.venv/bin/ha --lab drill run --all --repeat $(REPEAT) --stack $(STACK)

bench: setup ## Time and memory of the lab, cold and warm
	@.venv/bin/python tools/bench

docs: setup ## Write the generated parts of the documentation anew, look for broken links
	@.venv/bin/python -m tools.generate_docs
	@.venv/bin/python tools/check-links

lock: setup ## Resolve requirements*.in anew, keeping pins that still fit
	@tools/lock
