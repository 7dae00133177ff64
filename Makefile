# Each target sets up what it needs; on a machine that has it already this costs a second.
#
#   make demo     Jacobi, conjugate gradient and channel flow: the numbers beside NumPy's, the times, a picture
#   make test     every check: format, lints, Rust and Python tests, ranks under MPI
#   make bench    all programs against all peers, with a report
#   make instructions   counts the instructions of small pieces of work, and compares them with the ones in the repository
#   make wheel    dist/*.whl, which needs neither LLVM nor MPI where it is installed
#   make build    the Python module for .venv
#   make fmt lint clean

SHELL := /bin/bash
ENV := . scripts/env

.PHONY: demo test bench instructions wheel build fmt lint clean

demo:
	@scripts/setup demo && scripts/build
	@$(ENV) && "$$venv/bin/python" bench/demo.py

test:
	@scripts/setup test
	@scripts/test

bench:
	@scripts/setup bench && scripts/build
	@$(ENV) && "$$venv/bin/python" bench/run.py && "$$venv/bin/python" bench/cold.py --out bench/results/cold.json \
	  && "$$venv/bin/python" bench/report.py

instructions:
	@scripts/setup test && scripts/build
	@$(ENV) && "$$venv/bin/python" bench/instructions.py

wheel:
	@scripts/setup test
	@scripts/wheel

build:
	@scripts/setup test
	@scripts/build

fmt:
	@$(ENV) && cargo fmt --all

lint:
	@scripts/setup test
	@$(ENV) && cargo fmt --all --check && cargo clippy --release --locked --workspace --all-targets --no-deps -- -D warnings

clean:
	@$(ENV) && rm -rf "$$CARGO_TARGET_DIR" "$$venv" dist
