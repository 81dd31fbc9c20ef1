# The front doors. Each sets up what it needs first; run again, setting up takes seconds.
.DEFAULT_GOAL := help
SHELL := /bin/bash
RUN := .venv/bin

.PHONY: help setup setup-lab demo test check bench bench-pack clean

help:  ## what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Python environment only (.venv, from uv.lock)
	@scripts/setup python

setup-lab:  ## and the distribution's packages that the lab needs (root or sudo)
	@scripts/setup python lab

demo: setup-lab  ## a real site on three real hosts of a lab on this machine
	@scripts/demo

test: setup-lab  ## every test, the lab's included
	@BAYPLAN_REQUIRE_LAB=1 scripts/as-root $(RUN)/pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup  ## lint, types, layers
	@$(RUN)/ruff check .
	@$(RUN)/ruff format --check .
	@$(RUN)/mypy
	@$(RUN)/lint-imports

bench: setup-lab  ## the figures of docs/benchmarks.md, measured again
	@scripts/as-root $(RUN)/python -m bench

DATA ?= ../shared/data/day-profile
bench-pack: setup  ## hosts that packing needs, beside others' rules (DATA=directory of CSV files)
	@$(RUN)/python -m bench.packing $(DATA)

clean:  ## the environment and caches (the lab: bayplan lab down)
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis
