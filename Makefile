# The targets call tools/ and `.venv/bin/ha`. Each can be run again at any time.
# HA_CACHE (default ~/.cache/event-manager-ha): files outside the checkout, such as the Pulumi CLI and host images.
# STACK (default dev): the stack that `lab` boots. HTTP_PORT, HTTPS_PORT (default 8080, 8443): the ports on which it answers.
# CI=true: a missing linter is a failure, not a skip.

STACK ?= dev
REPEAT ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests fmt check test test-unit test-app test-engine test-lab lab lab-down drills bench docs lock
.NOTPARALLEL:

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Install what is missing: Debian packages, .venv, the Pulumi CLI, the application's release
	@tools/setup

setup-tests: ## Like setup, plus what all tests need: a browser, PostgreSQL, PgBouncer, Redis
	@tools/setup --tests

lab: ## Boot the stack on this machine, wait until it is healthy, print its URL (STACK=dev)
	@tools/setup --lab
	@.venv/bin/ha lab up --stack $(STACK) $(if $(HTTP_PORT),--http-port $(HTTP_PORT)) $(if $(HTTPS_PORT),--https-port $(HTTPS_PORT))

lab-down: ## Remove the lab and everything that it created on this machine
	@test ! -x .venv/bin/ha || .venv/bin/ha lab down

fmt: setup ## Format the Python code and sort its imports
	@tools/format

check: setup ## Only the fast checks: linters, types, unit tests
	@tools/check
	@tools/test unit

test: setup-tests ## All tests: check, application, engine, lab
	@tools/check
	@tools/test unit app engine lab

test-unit: setup ## Unit tests: no root, no network, seconds
	@tools/test unit

test-app: setup ## The application's own tests
	@tools/test app

test-engine: setup ## The real Pulumi engine against the lab's AWS API; no hosts
	@tools/test engine

test-lab: setup-tests ## Boot whole estates and test them; needs root
	@tools/test lab

drills: setup ## Run every drill that applies to the running lab's stack (STACK=dev REPEAT=1); results in .results/
	@.venv/bin/ha --lab drill run --all --repeat $(REPEAT) --stack $(STACK)

bench: setup ## Measure time and memory of the lab, cold and warm
	@.venv/bin/python tools/bench

docs: setup ## Regenerate the generated parts of the documentation, and check links
	@.venv/bin/python -m tools.generate_docs
	@.venv/bin/python tools/check-links

lock: setup ## Resolve requirements*.in again, keeping pins that still fit
	@tools/lock
