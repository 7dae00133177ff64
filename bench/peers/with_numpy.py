"""NumPy: the program as it stands."""

import numpy

from peers import Solver

NAME = "numpy"
TITLE = "NumPy"


def version():
    return numpy.__version__


def module():
    return numpy


def solver(program):
    return Solver(numpy.array, lambda inputs: program.solve(numpy, **inputs))
