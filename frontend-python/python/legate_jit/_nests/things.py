"""What a loop's variables and the interpreter's stack hold, as the translation sees it, and what it knows of types."""

import numpy

KINDS = {
    int: "i",
    float: "f",
    bool: "b",
    numpy.int64: "I",
    numpy.float64: "F",
    numpy.float32: "S",
    numpy.bool_: "B",
}
#: Elements of arrays, by the type of their elements: kind as a number, bytes, name in instructions.
ELEMENTS = {
    numpy.dtype("f8"): ("F", 8, "f64"),
    numpy.dtype("f4"): ("S", 4, "f32"),
    numpy.dtype("i8"): ("I", 8, "i64"),
    numpy.dtype("?"): ("B", 1, "bool"),
}
#: In the order of their numbers.
SMALL = [numpy.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4")]
ELEMENTS |= {dtype: ("U", dtype.itemsize, dtype.kind + str(8 * dtype.itemsize)) for dtype in SMALL}
INTEGERS, FLOATS, TRUTHS = "iI", "fFSE", "bB"
#: What may be an index.
WHOLE = INTEGERS + "U"

ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "//": "floor_divide", "%": "remainder"}
MAPS = {"+": 0, "-": 1, "*": 2, "/": 3}

#: Elementwise functions of single numbers, in double precision.
FUNCTIONS = frozenset(
    "exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arctanh floor ceil trunc rint".split()
)

#: The same of the module math, in the C library's version, as Python has them.
MATH = frozenset("acos asin atan cos cosh exp expm1 fabs log10 log2 log sin sinh tan tanh".split())

#: Functions of the program that are followed from one to the next, and places where they are called.
DEEPEST, CALLS = 6, 64

#: Turns of a loop in which arrays exchange their names, at most.
TURNS = 4

#: Registers of one kind, at most.
REGISTERS = 60_000
#: Instructions of a body, and times that each is followed; instructions that are written on the way to the last ones.
LONGEST, TIMES, WRITTEN = 3000, 30, 50_000

#: Of functions with other arguments than plain ones, of generators and coroutines (`inspect.CO_VARARGS` and so on).
NOT_PLAIN = 0x04 | 0x08 | 0x20 | 0x80 | 0x200


class Unknown(Exception):
    """What the translation does not know: Python does the round that comes there."""


class Refused(Exception):
    """The loop as a whole is none for this."""


# The things on the interpreter's stack and in variables are tuples that begin with what they are:
#   number: (kind, register, value if it is a constant)
#   array:  (dtype, axes, register, where it was found, or ("part", that) for a view of it, or None for new memory, variable that it was
#            read from)
#   object, instance (of a class of the program: id, where it comes from), method (of an array), bound (method of an instance),
#   tuple, slice, range, iterator, nothing


def number(kind, register, constant=None):
    return ("number", kind, register, constant)


def array(dtype, axes, register, source, origin=None):
    return ("array", dtype, axes, register, source, origin)


def part(source):
    """Where a view of something comes from."""
    return source if source is None or source[0] == "part" else ("part", source)


def is_(thing, what):
    return thing[0] == what


def is_plain(of):
    """Whether the attributes of a class's objects are what their dictionaries say."""
    return bool(of.__flags__ & 1 << 9) and of.__getattribute__ is object.__getattribute__ and not hasattr(of, "__getattr__")


def path(origin):
    """Where something comes from: whether a global name, and the name with the attributes that lead there."""
    names = []
    while origin[0] == "attribute":
        names.append(origin[2])
        origin = origin[1]
    return origin[0] == "global", [origin[1], *reversed(names)]
