"""The same work by other means, so that a time has something to be compared with.

A peer is a module of this folder with

    NAME, TITLE        its short name and what a table calls it
    NAMES              the programs it has (peers that run the programs themselves need none)
    version()          the version in use; raises ImportError where the package is not installed
    solver(program)    the solver for a program of ../programs, or None if this peer has none

and a solver has

    prepare(arrays)    NumPy inputs -> the peer's own (copies; not timed)
    solve(inputs)      does the work, with every result finished when it returns (timed)
"""

import importlib

MODULES = {
    "numpy": "peers.with_numpy",
    "ours": "peers.with_ours",
    "numba": "peers.with_numba",
    "jax": "peers.with_jax",
    "numexpr": "peers.with_numexpr",
    "torch": "peers.with_torch",
    "dask": "peers.with_dask",
    "cupynumeric": "peers.with_cupynumeric",
}


def load(name):
    return importlib.import_module(MODULES[name])


class Solver:
    """A solver made of two functions; `prepare` gets only the arrays, everything else passes through."""

    def __init__(self, prepare, solve):
        self.prepare_array = prepare
        self.solve = solve

    def prepare(self, arrays):
        return {k: self.prepare_array(v) for k, v in arrays.items()}
