"""Loops over single elements and short rows, translated from bytecode into the code that the runtime runs.

`plan` follows the instructions of a loop's body with the types of its values in place of the values (abstract interpretation: Cousot
& Cousot, 1977), until the types at every jump are known, and writes an instruction of `runtime/src/nest/code.rs` for what each does.
What it does not know, or what could not be told apart from here, becomes an instruction to leave: Python does that round then.

Numbers have one letter for their type: i, f and b are Python's int, float and bool; I, F, S and B NumPy's int64, float64, float32 and
bool; E is a float of which only the value is known, Python's or NumPy's; U is an element of NumPy's other integers, which can be
looked at but not computed with.
"""

import dis
import math
import types

import numpy

from . import _loops, _native
from . import numpy as ours

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

#: Functions of the program that are followed from one to the next.
DEEPEST = 6

#: Registers of one kind, at most.
REGISTERS = 60_000
#: Instructions of a body, and times that each is followed.
LONGEST, TIMES = 3000, 30

#: Of functions with other arguments than plain ones, of generators and coroutines (`inspect.CO_VARARGS` and so on).
NOT_PLAIN = 0x04 | 0x08 | 0x20 | 0x80 | 0x200


class Unknown(Exception):
    """What the translation does not know: Python does the round that comes there."""


class Refused(Exception):
    """The loop as a whole is none for this."""


# The things on the interpreter's stack and in variables are tuples that begin with what they are:
#   number: (kind, register, value if it is a constant)
#   array:  (dtype, axes, register, input number or None for new memory, variable that it was read from)
#   object, tuple, slice, range, iterator, method, nothing


def _number(kind, register, constant=None):
    return ("number", kind, register, constant)


def _array(dtype, axes, register, source, origin=None):
    return ("array", dtype, axes, register, source, origin)


def _is(thing, what):
    return thing[0] == what


def _plain(of):
    """Whether the attributes of a class's objects are what their dictionaries say."""
    return bool(of.__flags__ & 1 << 9) and of.__getattribute__ is object.__getattribute__ and not hasattr(of, "__getattr__")


def _path(origin):
    """Where something comes from: whether a global name, and the name with the attributes that lead there."""
    names = []
    while origin[0] == "attribute":
        names.append(origin[2])
        origin = origin[1]
    return origin[0] == "global", [origin[1], *reversed(names)]


class Code:
    """The code of the loop (number 0), or of a function at one of the places where it is called."""

    def __init__(self, number, code, instructions, globals_=None, back=None, parameters=()):
        self.number = number
        self.code = code
        self.instructions = instructions
        self.place = {i.offset: n for n, i in enumerate(instructions)}
        self.leaders = {i.offset for i in instructions if i.is_jump_target}
        self.globals = globals_
        #: Where it goes on after it, how much is on the stack there, and how deep it is.
        self.back, self.height = back, 0
        self.depth = 0
        self.parameters = parameters

    def local(self, name):
        """The name of a variable, other than those of all other codes."""
        return name if self.number == 0 else f"{name}@{self.number}"


class Translation:
    """The translation of one loop."""

    def __init__(self, code, instructions, start, optimized, variables, outside):
        self.start = start
        self.optimized = optimized
        #: What the variables hold, by name, and what the names have that are global.
        self.variables = variables
        self.outside = outside
        self.globals = outside.maps[0]
        self.instructions = instructions
        self.codes = [Code(0, code, instructions)]
        #: The number of the code of a function, by where it is called.
        self.called = {}
        self.place = self.codes[0].place
        head = instructions[self.place[start]]
        self.end = head.argval
        self.inside = [i for i in instructions if start < i.offset < self.end]
        if len(self.inside) > LONGEST:
            raise Refused
        self.registers = {"int": 0, "float": 0, "view": 0}
        self.homes = {}
        self.constants = {}
        self.inputs = {}
        self.arrays = {}
        self.objects = {}
        #: Objects of the program's classes, and of which they are.
        self.instances = {}
        self.types = {}
        self.methods = {}
        self.live = set()
        #: Names that a round binds, and those that it binds on some ways only, with what.
        self.bound = set()
        self.partly = []
        self.states = {}
        self.labels = 0

    # Registers and instructions.

    def register(self, bank, count=1):
        first = self.registers[bank]
        self.registers[bank] = first + count
        if first + count > REGISTERS:
            raise Refused
        return first

    def home(self, bank, key, count=1):
        """The register that something always has."""
        if (bank, key) not in self.homes:
            self.homes[bank, key] = self.register(bank, count)
        return self.homes[bank, key]

    def emit(self, name, *operands):
        self.out.append((name, list(operands)))

    def label(self):
        self.labels += 1
        return ("label", self.labels)

    def mark(self, label):
        self.out.append(("label", label))

    def memory(self):
        """New memory, one piece for each instruction that needs one."""
        self.memories += 1
        return self.memories - 1

    @staticmethod
    def bank(kind):
        return "float" if kind in FLOATS else "int"

    def constant(self, value):
        """A number as it stands in the program."""
        kind = KINDS.get(type(value))
        if kind is None:
            raise Unknown
        bank = self.bank(kind)
        if bank == "int" and not -(2**63) <= int(value) < 2**63:
            raise Unknown
        key = (kind, repr(value))
        if key not in self.constants:
            self.constants[key] = (bank, self.register(bank), value)
        return _number(kind, self.constants[key][1], value)

    # Values.

    def known(self, value, origin):
        """What stands for something that a variable holds."""
        kind = KINDS.get(type(value))
        if kind is not None:
            return _number(kind, self.home(self.bank(kind), origin))
        if isinstance(value, _native.ndarray):
            if value.dtype not in ELEMENTS or value.ndim > 4:
                raise Unknown
            register = self.home("view", origin)
            self.arrays.setdefault(origin, (value.dtype, value.ndim, register, [False]))
            return _array(value.dtype, value.ndim, register, origin, origin)
        if isinstance(value, numpy.generic) or hasattr(value, "__array__"):
            raise Unknown
        plain = (types.ModuleType, types.FunctionType)
        if value is None or value is ... or isinstance(value, plain) or _loops.permitted(value):
            self.objects[origin] = value
            return ("object", value)
        if _plain(type(value)) and hasattr(value, "__dict__"):
            self.instances[id(value)] = value
            self.types[origin] = type(value)
            return ("instance", id(value), origin)
        raise Unknown

    def read(self, state, name):
        if name in state:
            return self.with_origin(state[name], name)
        if "@" in name:
            raise Unknown
        # Nothing has bound it in this round: it is as it was.
        self.live.add(name)
        if name not in self.variables:
            raise Unknown
        if name in self.bound:
            return self.with_origin(self.carried(name), name)
        return self.input(("variable", name), self.variables[name])

    @staticmethod
    def with_origin(thing, name):
        return (*thing[:5], name) if _is(thing, "array") else thing

    def carried(self, name):
        """A variable of one round that the next one reads."""
        if name not in self.carry:
            kind = KINDS.get(type(self.variables[name]))
            if kind is None:
                raise Refused
            self.carry[name] = kind
        kind = self.carry[name]
        self.inputs["variable", name] = kind
        return _number(kind, self.home(self.bank(kind), ("variable", name)))

    def input(self, origin, value):
        thing = self.known(value, origin)
        if _is(thing, "number"):
            self.inputs[origin] = thing[1]
        return thing

    def global_name(self, name):
        if name not in self.outside:
            raise Unknown
        return self.input(("global", name), self.outside[name])

    # Numbers.

    def as_float(self, number):
        """The register of a number's value as a float."""
        _, kind, register, constant = number
        if kind in FLOATS:
            return register
        if constant is not None:
            return self.constant(float(constant))[2] if abs(constant) <= 2**53 else self.unknown()
        new = self.register("float")
        self.emit("to_float", new, register)
        return new

    @staticmethod
    def unknown():
        raise Unknown

    def result(self, kind, name, *operands):
        new = self.register(self.bank(kind))
        self.emit(name, new, *operands)
        if kind == "S":
            self.emit("round", new, new)
        return _number(kind, new)

    def common(self, x, y):
        """The kind of a float that an operation on two numbers gives."""
        kinds = {x, y}
        if kinds & set(TRUTHS):
            raise Unknown
        if "U" in kinds and not kinds & set("fFE"):
            raise Unknown
        if "S" in kinds:
            if kinds <= {"S", "f", "i"}:
                return "S"
            if "E" in kinds:
                raise Unknown
            return "F"
        if kinds & set("FIU"):
            return "F"
        return "E" if "E" in kinds else "f"

    def arithmetic(self, op, x, y):
        a, b = x[1], y[1]
        if a in INTEGERS and b in INTEGERS and op != "/":
            kind = "i" if a == b == "i" else "I"
            if op == "**":
                return self.integer_power(kind, x, y)
            if op not in ARITHMETIC:
                raise Unknown
            return self.result(kind, ARITHMETIC[op] + "_int", x[2], y[2])
        kind = self.common(a, b)
        if op == "**":
            if kind not in "fF" or "E" in (a, b):
                raise Unknown
            return self.result(kind, "power", self.as_float(x), self.as_float(y))
        if op not in MAPS:
            raise Unknown
        return self.result(kind, ARITHMETIC[op], *self.both(kind, x, y))

    def both(self, kind, x, y):
        """Two numbers in the precision in which NumPy would work on them."""
        registers = []
        for n in (x, y):
            register = self.as_float(n)
            if kind == "S" and n[1] != "S":
                new = self.register("float")
                self.emit("round", new, register)
                register = new
            registers.append(register)
        return registers

    def integer_power(self, kind, x, y):
        if y[3] not in (1, 2, 3):
            raise Unknown
        out = x
        for _ in range(y[3] - 1):
            out = self.result(kind, "multiply_int", out[2], x[2])
        return _number(kind, out[2])

    def compare(self, op, x, y):
        a, b = x[1], y[1]
        kind = "b" if a in "ifb" and b in "ifb" else "B"
        whole = WHOLE + TRUTHS
        if a in whole and b in whole:
            end, p, q = "_int", x[2], y[2]
        else:
            if "S" in (a, b) and a != b:
                raise Unknown
            end, p, q = "", self.as_float(x), self.as_float(y)
        if op in (">", ">="):
            p, q, op = q, p, {">": "<", ">=": "<="}[op]
        name = {"<": "less", "<=": "less_equal", "==": "equal", "!=": "equal"}[op]
        out = self.result(kind, name + end, p, q)
        return self.result(kind, "not", out[2]) if op == "!=" else out

    def truth(self, thing):
        """The register of a number's truth, or the truth itself where it is known."""
        if _is(thing, "object"):
            if thing[1] is None:
                return False
            raise Unknown
        if not _is(thing, "number"):
            raise Unknown
        _, kind, register, _ = thing
        if kind not in FLOATS:
            return ("register", register)
        zero = self.constant(0.0)
        equal = self.result("b", "equal", register, zero[2])
        return ("register", self.result("b", "not", equal[2])[2])

    def choose(self, first, second, name, p, q):
        """Python's `min` and `max`: the second where the comparison says so."""
        if first[1] != second[1] or first[1] in TRUTHS + "U":
            raise Unknown
        bank = self.bank(first[1])
        end = "_int" if bank == "int" else ""
        new = self.register(bank)
        self.emit("move_" + bank, new, first[2])
        test = self.result("b", name + end, p, q)
        skip = self.label()
        self.emit("jump_unless", test[2], skip)
        self.emit("move_" + bank, new, second[2])
        self.mark(skip)
        return _number(first[1], new)

    # Arrays.

    def seen_as(self, dtype, number):
        """A number as an operand of an operation on arrays."""
        _, kind, _, _ = number
        if kind in TRUTHS + "U" or dtype == numpy.dtype("f4") and kind not in "fiS":
            raise Unknown
        if dtype not in (numpy.dtype("f8"), numpy.dtype("f4")):
            raise Unknown
        new = self.register("view")
        self.emit("number_" + ELEMENTS[dtype][2], new, self.as_float(number))
        return _array(dtype, 0, new, None)

    def of_floats(self, thing):
        if not _is(thing, "array") or ELEMENTS[thing[1]][0] not in "FS":
            raise Unknown
        return thing

    def map(self, op, x, y):
        dtype = (x if _is(x, "array") else y)[1]
        x, y = (self.seen_as(dtype, t) if _is(t, "number") else self.of_floats(t) for t in (x, y))
        if x[1] != y[1]:
            raise Unknown
        if op == "**":
            raise Unknown
        if op not in MAPS:
            raise Unknown
        new = self.register("view")
        self.emit("map_" + ELEMENTS[dtype][2], new, x[3], y[3], self.memory(), MAPS[op])
        return _array(dtype, max(x[2], y[2]), new, None)

    def update(self, op, x, y):
        dtype = self.of_floats(x)[1]
        if _is(y, "number"):
            y = self.seen_as(dtype, y)
        if not _is(y, "array") or y[1] != dtype or op not in MAPS or y[2] > x[2]:
            raise Unknown
        self.written(x)
        self.emit("update_" + ELEMENTS[dtype][2], x[3], y[3], MAPS[op])
        return x

    def written(self, array):
        source = array[4]
        if source is not None:
            self.arrays[source][3][0] = True

    def items(self, array, key):
        """The indices of a subscript: (operands for the runtime, axes that are left)."""
        parts = list(key[1]) if _is(key, "tuple") else [key]
        used = sum(1 for p in parts if not (_is(p, "object") and p[1] in (None, ...)))
        found = []
        left = 0
        for p in parts:
            if _is(p, "object") and p[1] is None:
                found.append(("new", None, None, 1))
                left += 1
            elif _is(p, "object") and p[1] is ...:
                missing = array[2] - used
                found += [("slice", None, None, 1)] * missing
                left += missing
            elif _is(p, "number") and p[1] in WHOLE:
                found.append(("int", p[2], None, 1))
            elif _is(p, "slice"):
                bounds = []
                for part in p[1][:2]:
                    if _is(part, "object") and part[1] is None:
                        bounds.append(None)
                    elif _is(part, "number") and part[1] in WHOLE:
                        bounds.append(part[2])
                    else:
                        raise Unknown
                step = p[1][2]
                if _is(step, "object") and step[1] is None:
                    by = 1
                elif _is(step, "number") and step[1] == "i" and step[3]:
                    by = step[3]
                else:
                    raise Unknown
                found.append(("slice", *bounds, by))
                left += 1
            else:
                raise Unknown
        if used > array[2]:
            raise Unknown
        return found, left + array[2] - min(array[2], sum(1 for f in found if f[0] != "new"))

    def subscript(self, thing, key):
        if _is(thing, "tuple"):
            if not (_is(key, "number") and key[3] is not None and -len(thing[1]) <= key[3] < len(thing[1])):
                raise Unknown
            return thing[1][key[3]]
        if not _is(thing, "array"):
            raise Unknown
        _, dtype, axes, register, source, origin = thing
        if _is(key, "array"):
            if axes != 1 or key[2] != 1 or key[1] != numpy.dtype("i8"):
                raise Unknown
            new = self.register("view")
            self.emit("take", new, register, key[3], self.memory(), ELEMENTS[dtype][1])
            return _array(dtype, 1, new, None)
        place = self.element(thing, key)
        if place is not None:
            kind, _, name = ELEMENTS[dtype]
            new = self.register(self.bank(kind))
            if dtype in SMALL:
                self.emit("load_small", new, *place, SMALL.index(dtype))
                return _number(kind, new)
            self.emit(f"load_{name}_{len(place) - 1}", new, *place)
            return _number(kind, new)
        view, left = self.view(thing, key)
        return _array(dtype, left, view, source, origin)

    def view(self, thing, key):
        found, left = self.items(thing, key)
        if left > 4:
            raise Unknown
        first = len(self.indices)
        self.indices += found
        new = self.register("view")
        self.emit("index", new, thing[3], first, len(found))
        return new, left

    def element(self, thing, key):
        """Operands that name a single element, or None for what has axes."""
        parts = key[1] if _is(key, "tuple") else [key]
        if len(parts) != thing[2] or not all(_is(p, "number") and p[1] in WHOLE for p in parts):
            return None
        if len(parts) <= 2 and thing[1] not in SMALL:
            return [thing[3], *(p[2] for p in parts)]
        return [self.view(thing, key)[0]]

    def store(self, thing, key, value):
        if not _is(thing, "array"):
            raise Unknown
        dtype = thing[1]
        kind, item, name = ELEMENTS[dtype]
        if kind == "U":
            raise Unknown
        place = self.element(thing, key)
        if place is not None:
            if not _is(value, "number"):
                raise Unknown
            register = self.stored(kind, value)
            self.written(thing)
            self.emit(f"store_{name}_{len(place) - 1}", register, *place)
            return
        if _is(value, "number"):
            value = self.seen_as(dtype, value)
        if not _is(value, "array") or value[1] != dtype:
            raise Unknown
        view, left = self.view(thing, key)
        if value[2] > left:
            raise Unknown
        self.written(thing)
        self.emit("assign", view, value[3], item)

    def stored(self, kind, value):
        """The register of a number that becomes an element of an array."""
        _, of, register, _ = value
        if kind in "FS":
            if of in TRUTHS:
                raise Unknown
            return self.as_float(value)
        if kind == "I":
            if of in INTEGERS:
                return register
            if of in "fF":
                new = self.register("int")
                self.emit("to_int", new, register)
                return new
        elif of in TRUTHS:
            return register
        raise Unknown

    def product(self, x, y, by_dot=False):
        if not (_is(x, "array") and _is(y, "array")) or x[1] != y[1] or not 1 <= x[2] <= 2 or not 1 <= y[2] <= 2:
            raise Unknown
        kind, _, name = ELEMENTS[self.of_floats(x)[1]]
        if x[2] == y[2] == 1:
            new = self.register("float")
            self.emit("dot_" + name, new, x[3], y[3], int(by_dot))
            return _number(kind, new)
        new = self.register("view")
        self.emit("matmul_" + name, new, x[3], y[3], self.memory())
        return _array(x[1], x[2] + y[2] - 2, new, None)

    def reduce(self, name, x):
        if self.of_floats(x)[2] != 1:
            raise Unknown
        kind, _, end = ELEMENTS[x[1]]
        new = self.register("float")
        self.emit(f"{name}_{end}", new, x[3])
        return _number(kind, new)

    def copied(self, x):
        if not _is(x, "array"):
            raise Unknown
        new = self.register("view")
        self.emit("copy", new, x[3], self.memory(), ELEMENTS[x[1]][1])
        return _array(x[1], x[2], new, None)

    def length(self, x, axis):
        new = self.register("int")
        self.emit("length", new, x[3], axis)
        return _number("i", new)

    def of_instance(self, thing, name):
        """An attribute of an object, as it is before the rounds."""
        value = self.instances[thing[1]]
        of_class = getattr(type(value), name, None)
        if name not in vars(value) or hasattr(type(of_class), "__set__"):
            raise Unknown
        return self.input(("attribute", thing[2], name), vars(value)[name])

    def method_of(self, thing, name):
        """What a call of a method finds on the stack."""
        if _is(thing, "array"):
            return [("method", name, thing), ("nothing",)]
        if _is(thing, "instance"):
            value = self.instances[thing[1]]
            f = getattr(type(value), name, None)
            if name not in vars(value) and isinstance(f, types.FunctionType):
                self.methods["attribute", thing[2], name] = f
                return [("bound", f, thing), ("nothing",)]
        return [("nothing",), self.attribute(thing, name)]

    def attribute(self, thing, name):
        if _is(thing, "instance"):
            return self.of_instance(thing, name)
        if _is(thing, "object") and isinstance(thing[1], types.ModuleType):
            if thing[1] not in (ours, math) or not hasattr(thing[1], name):
                raise Unknown
            value = getattr(thing[1], name)
            if KINDS.get(type(value)) is not None:
                return self.constant(value)
            return ("object", value)
        if not _is(thing, "array"):
            raise Unknown
        if name == "shape":
            return ("tuple", tuple(self.length(thing, axis) for axis in range(thing[2])))
        if name == "ndim":
            return self.constant(thing[2])
        if name == "size" and thing[2] == 1:
            return self.length(thing, 0)
        if name == "T":
            new = self.register("view")
            self.emit("transpose", new, thing[3])
            return (*thing[:3], new, *thing[4:])
        raise Unknown

    # Calls.

    def call(self, function, arguments):
        if _is(function, "method"):
            return self.method(function[1], function[2], arguments)
        if not _is(function, "object"):
            raise Unknown
        f = function[1]
        numbers = all(_is(a, "number") for a in arguments)
        if f is range and numbers and 1 <= len(arguments) <= 3 and all(a[1] == "i" for a in arguments):
            one, zero = self.constant(1), self.constant(0)
            full = {1: lambda stop: (zero, stop, one), 2: lambda start, stop: (start, stop, one), 3: lambda *all: all}
            return ("range", full[len(arguments)](*arguments))
        if f is slice and 1 <= len(arguments) <= 3:
            none = ("object", None)
            parts = [none, *arguments] if len(arguments) == 1 else list(arguments)
            return ("slice", tuple(parts + [none] * (3 - len(parts))))
        if f is len and len(arguments) == 1 and _is(arguments[0], "array") and arguments[0][2] > 0:
            return self.length(arguments[0], 0)
        if numbers and f in (min, max) and len(arguments) == 2:
            x, y = arguments
            return self.choose(x, y, "less", *((y[2], x[2]) if f is min else (x[2], y[2])))
        if len(arguments) == 1 and numbers:
            return self.of_number(f, arguments[0])
        if f in (ours.dot, ours.inner, ours.matmul) and len(arguments) == 2:
            if f is not ours.dot and any(_is(a, "array") and a[2] == 2 for a in arguments) and f is ours.inner:
                raise Unknown
            return self.product(*arguments, by_dot=f is not ours.matmul)
        if len(arguments) == 1 and _is(arguments[0], "array"):
            for name, functions in (
                ("sum", (ours.sum,)),
                ("maximum", (ours.max, ours.amax)),
                ("minimum", (ours.min, ours.amin)),
            ):
                if f in functions:
                    return self.reduce(name, arguments[0])
            if f is ours.copy:
                return self.copied(arguments[0])
        raise Unknown

    def of_number(self, f, x):
        kind, register = x[1], x[2]
        if f is abs or f in (ours.abs, ours.absolute):
            if kind in TRUTHS + "U" or f is not abs and kind in "if":
                raise Unknown
            return self.result(kind, "absolute" + ("" if kind in FLOATS else "_int"), register)
        if f is float and kind in FLOATS + WHOLE:
            return _number("f", self.as_float(x))
        if f is int and kind in FLOATS:
            return self.result("i", "to_int", register)
        if f is int and kind in WHOLE:
            return _number("i", register)
        if f is math.sqrt and kind in FLOATS + INTEGERS:
            return self.result("f", "sqrt", self.as_float(x))
        if f is ours.sqrt and kind in FLOATS + INTEGERS:
            return self.result("S" if kind == "S" else "F", "sqrt", self.as_float(x))
        name = getattr(f, "__name__", None)
        if name in FUNCTIONS and f is getattr(ours, name) and kind in "fFiI":
            return self.result("F", "function", self.as_float(x), self.function(name))
        if name in MATH and f is getattr(math, name) and kind in "fFiI":
            return self.result("f", "function", self.as_float(x), self.function("math." + name))
        if f in (math.floor, math.ceil) and kind in "fF":
            whole = self.result("f", "function", self.as_float(x), self.function(f.__name__))
            return self.result("i", "to_int", whole[2])
        raise Unknown

    def function(self, name):
        """The number of an elementwise function."""
        if name not in self.functions:
            self.functions.append(name)
        return self.functions.index(name)

    def enter(self, code, f, arguments, stack, state, back):
        """Goes on in a function of the program."""
        of = f.__code__
        place = (code.number, back)
        if (
            of.co_flags & NOT_PLAIN
            or of.co_kwonlyargcount
            or of.co_freevars
            or f.__globals__ is not self.globals
            or code.depth >= DEEPEST
            or not len(arguments) <= of.co_argcount <= len(arguments) + len(f.__defaults__ or ())
        ):
            raise Unknown
        known = self.called.get((place, of))
        if known is None:
            known = Code(len(self.codes), of, list(dis.get_instructions(of)), f.__globals__, place, of.co_varnames[: of.co_argcount])
            known.depth = code.depth + 1
            self.codes.append(known)
            self.called[place, of] = known
        known.height = len(stack)
        missing = of.co_argcount - len(arguments)
        arguments = [*arguments, *(self.literal(value) for value in (f.__defaults__ or ())[len(f.__defaults__ or ()) - missing :])]
        if missing == 0:
            arguments = arguments[: of.co_argcount]
        state = dict(state)
        # (A parameter may be another name: whoever gave it the memory does not run meanwhile.)
        plain = [(*a[:5], None) if _is(a, "array") else a for a in arguments]
        for name, thing in zip(known.parameters, [self.fresh(a, None) for a in plain]):
            self.bind(stack, state, known.local(name), thing)
        self.jump((known.number, 0), stack, state)

    def leave_function(self, code, stack, state):
        """Goes back to where a function was called."""
        result = stack.pop()
        result = self.returned(code, result)
        if len(stack) != code.height:
            raise Unknown
        end = f"@{code.number}"
        state = {name: thing for name, thing in state.items() if not name.endswith(end)}
        self.jump(code.back, [*stack, result], state)

    def returned(self, code, thing):
        if _is(thing, "array") and thing[5] is not None and thing[5].endswith(f"@{code.number}"):
            # Memory of its own has no other name now, a parameter's has.
            if thing[5] not in map(code.local, code.parameters):
                return (*thing[:5], None)
        if thing[0] in ("tuple", "slice", "range"):
            return (thing[0], tuple(self.returned(code, part) for part in thing[1]))
        return thing

    def method(self, name, thing, arguments):
        if name == "dot" and len(arguments) == 1:
            return self.product(thing, arguments[0], by_dot=True)
        if not arguments:
            names = {"sum": "sum", "max": "maximum", "min": "minimum"}
            if name in names:
                return self.reduce(names[name], thing)
            if name == "copy":
                return self.copied(thing)
        raise Unknown

    # What lies where between one piece of code and the next.

    def settle(self, thing, key):
        """Moves a thing to where it always lies under this key."""
        if _is(thing, "number"):
            bank = self.bank(thing[1])
            to = self.home(bank, key)
            if to != thing[2]:
                self.emit("move_" + bank, to, thing[2])
            return _number(thing[1], to)
        if _is(thing, "array"):
            to = self.home("view", key)
            if to != thing[3]:
                self.emit("move_view", to, thing[3])
            return (*thing[:3], to, *thing[4:])
        if thing[0] in ("object", "instance", "bound", "iterator", "nothing"):
            return thing
        if _is(thing, "method"):
            return ("method", thing[1], self.settle(thing[2], (key, "self")))
        if thing[0] in ("tuple", "slice", "range"):
            return (thing[0], tuple(self.settle(part, (key, n)) for n, part in enumerate(thing[1])))
        raise Unknown

    def bind(self, stack, state, name, thing):
        """Gives a variable another value."""
        key = ("variable", name)
        if _is(thing, "array") and thing[5] == name and thing[3] == self.home("view", key):
            # An operation in place: the same array.
            return
        if "@" not in name:
            self.bound.add(name)
        self.only_name(thing)
        if _is(thing, "array") and name in self.carry:
            raise Refused
        if not _is(thing, "number"):
            thing = self.detached(thing, key)
        # What is on the stack keeps the value that the variable had.
        stack[:] = [self.detached(s, key) for s in stack]
        state[name] = self.settle(thing, key)

    def only_name(self, thing):
        """Refuses a second name for memory that the next round of an inner loop uses again."""
        if _is(thing, "array") and thing[4] is None and thing[5] is not None:
            raise Unknown
        if thing[0] in ("tuple", "slice", "range"):
            for part in thing[1]:
                self.only_name(part)

    def detached(self, thing, key):
        """The same thing where no variable's value lies."""
        if _is(thing, "number") and thing[2] == self.homes.get((self.bank(thing[1]), key)) and thing[3] is None:
            bank = self.bank(thing[1])
            new = self.register(bank)
            self.emit("move_" + bank, new, thing[2])
            return _number(thing[1], new)
        if _is(thing, "array") and thing[3] == self.homes.get(("view", key)):
            new = self.register("view")
            self.emit("move_view", new, thing[3])
            return (*thing[:3], new, *thing[4:])
        if thing[0] in ("tuple", "slice", "range"):
            return (thing[0], tuple(self.detached_part(part, (key, n)) for n, part in enumerate(thing[1])))
        return thing

    def detached_part(self, part, key):
        return self.detached(self.detached(part, key), key[0])

    def joined(self, one, other):
        """What two things are that come together, or None where that is not known."""
        if one == other:
            return one
        if _is(one, "number") and _is(other, "number"):
            a, b = one[1], other[1]
            if a == b:
                return _number(a, one[2] if one[2] == other[2] else None)
            if {a, b} <= set("fFEi"):
                return _number("E", None)
            return None
        if _is(one, "array") and _is(other, "array") and one[1:3] == other[1:3] and one[4] == other[4]:
            return (*one[:5], one[5] or other[5])
        if one[0] == other[0] and one[0] in ("tuple", "slice", "range") and len(one[1]) == len(other[1]):
            parts = tuple(self.joined(a, b) for a, b in zip(one[1], other[1]))
            return None if None in parts else (one[0], parts)
        return None

    def arrive(self, offset, stack, state):
        """Notes with what an instruction is reached, and moves everything to where it is expected."""
        # Everything is moved aside first: what lies in a place may be needed in another one.
        stack = [self.fresh(thing, ("stack", n)) for n, thing in enumerate(stack)]
        stack = [self.settle(thing, ("stack", n)) for n, thing in enumerate(stack)]
        state = {name: (*thing[:5], None) if _is(thing, "array") else thing for name, thing in state.items()}
        old = self.states.get(offset)
        if old is None:
            new = (tuple(stack), state)
        else:
            if len(old[0]) != len(stack):
                raise Refused
            joined = tuple(self.joined(a, b) for a, b in zip(old[0], stack))
            if None in joined:
                raise Unknown
            # (Registers of kinds that changed are where that kind lies.)
            joined = tuple(self.placed(t, ("stack", n)) for n, t in enumerate(joined))
            both = {}
            for name in old[1]:
                if name in state:
                    both[name] = self.joined(old[1][name], state[name])
                    if both[name] is None:
                        both[name] = ("nothing",)
                    both[name] = self.placed(both[name], ("variable", name))
            self.partly += [(name, old[1].get(name) or state[name]) for name in old[1].keys() ^ state.keys()]
            new = (joined, both)
        if new != old:
            self.states[offset] = new
            self.todo.append(offset)
        for n, (have, want) in enumerate(zip(stack, new[0])):
            self.convert(have, want)
        for name, want in new[1].items():
            self.convert(state[name], want)

    def fresh(self, thing, key):
        """The same thing in registers of its own, unless it lies where it always lies under this key."""
        if _is(thing, "number"):
            bank = self.bank(thing[1])
            if key is not None and thing[2] == self.homes.get((bank, key)):
                return thing
            new = self.register(bank)
            self.emit("move_" + bank, new, thing[2])
            return _number(thing[1], new)
        if _is(thing, "array"):
            if key is not None and thing[3] == self.homes.get(("view", key)):
                return thing
            new = self.register("view")
            self.emit("move_view", new, thing[3])
            return (*thing[:3], new, *thing[4:])
        if _is(thing, "method"):
            return ("method", thing[1], self.fresh(thing[2], (key, "self")))
        if thing[0] in ("tuple", "slice", "range"):
            return (thing[0], tuple(self.fresh(part, (key, n)) for n, part in enumerate(thing[1])))
        return thing

    def placed(self, thing, key):
        if _is(thing, "number"):
            return _number(thing[1], self.home(self.bank(thing[1]), key))
        if thing[0] in ("tuple", "slice", "range"):
            return (thing[0], tuple(self.placed(part, (key, n)) for n, part in enumerate(thing[1])))
        return thing

    def convert(self, have, want):
        if _is(have, "number") and _is(want, "number") and self.bank(have[1]) != self.bank(want[1]):
            self.emit("to_float", want[2], have[2])
        elif have[0] in ("tuple", "slice", "range") and have[0] == want[0]:
            for a, b in zip(have[1], want[1]):
                self.convert(a, b)

    # The instructions.

    def translate(self):
        """Follows the body until nothing new comes of it, then writes it."""
        self.carry = {}
        for _ in range(TIMES):
            before = (dict(self.carry), set(self.live), set(self.bound))
            self.states, self.partly = {}, []
            self.follow()
            # What the rounds carry on must be of the kind with which they begin.
            ends = [state for stack, state in self.ends]
            changed = False
            perhaps = {name for name, _ in self.partly}.union(*ends)
            self.left = {}
            for name in sorted(self.bound):
                # (What is only bound on ways that leave the round is Python's.)
                definite = name not in perhaps or all(name in state for state in ends)
                read = name in perhaps and self.read_elsewhere(name)
                if name not in self.carry and read and definite:
                    self.left[name] = self.kind_at(ends, name)
                elif name in self.live or read:
                    if name not in self.carry:
                        if name not in self.variables:
                            raise Refused
                        self.carried(name)
                        changed = True
                    things = [s[name] for s in ends if name in s] + [thing for n, thing in self.partly if n == name]
                    changed = self.settled(things, name) or changed
            if not changed and before == (self.carry, self.live, self.bound):
                break
        else:
            raise Refused
        return self.assemble()

    def settled(self, things, name):
        """Whether a variable that the rounds carry on has to begin with another kind than it has now.

        A sum that begins with Python's 0 is NumPy's float after a while: the rounds that come after that are the ones to translate.
        """
        kinds = {thing[1] if _is(thing, "number") else None for thing in things}
        if kinds <= {self.carry[name]}:
            return False
        if self.carry[name] not in "if" or not kinds <= set("ifFE"):
            raise Refused
        self.carry[name] = "F"
        self.inputs["variable", name] = "F"
        return True

    @staticmethod
    def kind_at(states, name):
        """The kind of number that a variable holds at the ends of rounds."""
        kinds = {state[name][1] if _is(state[name], "number") else None for state in states}
        if len(kinds) != 1 or kinds & {None, "E", "U"}:
            raise Refused
        return kinds.pop()

    def read_elsewhere(self, name):
        """Whether anything but the translated code may read what a round left in a variable."""
        reads = ("LOAD_FAST", "LOAD_NAME", "LOAD_GLOBAL", "LOAD_DEREF", "LOAD_CLOSURE", "DELETE_FAST", "DELETE_NAME")
        outside = (i for i in self.instructions if i.offset not in self.visited)
        return not self.optimized or any(i.opname in reads and i.argval == name for i in outside)

    def follow(self):
        first = self.instructions[self.place[self.start] + 1].offset
        depth = _loops._depths(self.instructions)[self.start]
        self.variable = self.home("int", "the variable")
        stack = [("nothing",)] * (depth - 1) + [("iterator", None), _number("i", self.variable)]
        self.first = (0, first)
        self.states[self.first] = (tuple(stack), {})
        self.todo = [self.first]
        self.pieces = {}
        self.visited = set()
        self.ends = []
        self.indices = []
        self.functions = []
        self.memories = 0
        times = {}
        while self.todo:
            offset = self.todo.pop()
            times[offset] = times.get(offset, 0) + 1
            if times[offset] > TIMES:
                raise Refused
            self.pieces[offset] = self.piece(offset)
        # What was followed on the way with other types is no end of a round: once more with those that stay.
        self.ends, self.indices, self.functions, self.memories, self.visited = [], [], [], 0, set()
        for offset in self.pieces:
            self.pieces[offset] = self.piece(offset)
        if self.todo:
            raise Refused

    def piece(self, offset):
        """The code from one instruction to where it goes on elsewhere."""
        self.out = []
        try:
            self.block(offset)
        except Unknown:
            used = {o for name, operands in self.out if name != "label" for o in operands if isinstance(o, tuple) and o[0] == "label"}
            for label in used - {operands for name, operands in self.out if name == "label"}:
                self.mark(label)
            self.emit("leave")
        return self.out

    def jump(self, there, stack, state):
        """Goes on somewhere else: (code, offset)."""
        if there == (0, self.start):
            self.ends.append((list(stack), dict(state)))
            self.emit("end_round")
        elif there[0] > 0 or self.start < there[1] < self.end:
            self.arrive(there, list(stack), state)
            self.emit("jump", ("offset", there))
        else:
            self.emit("leave")

    def branch(self, truth, wanted, offset, stack, state, following):
        """Goes on somewhere else if a truth is the wanted one, and with the next instruction if not."""
        if isinstance(truth, bool):
            self.jump(offset if truth == wanted else following, stack, state)
            return
        there = self.label()
        self.emit("jump_if" if wanted else "jump_unless", truth[1], there)
        self.jump(following, list(stack), dict(state))
        self.mark(there)
        self.jump(offset, list(stack), dict(state))

    def block(self, start):
        stack, state = self.states[start]
        stack, state = list(stack), dict(state)
        code = self.codes[start[0]]
        n, last = code.place[start[1]], None
        while True:
            i = code.instructions[n]
            following = (code.number, code.instructions[n + 1].offset) if n + 1 < len(code.instructions) else None
            if last is not None and code.number == 0:
                self.visited.add(last)
            last = i.offset
            here = (code.number, i.offset)
            if here != start and i.offset in code.leaders:
                self.jump(here, stack, state)
                return
            name, arg = i.opname, i.argval
            n += 1
            if name in ("NOP", "CACHE", "RESUME", "PRECALL", "EXTENDED_ARG"):
                continue
            if name == "POP_TOP":
                stack.pop()
            elif name == "PUSH_NULL":
                stack.append(("nothing",))
            elif name == "LOAD_CONST":
                stack.append(self.literal(arg))
            elif name == "LOAD_FAST" or name == "LOAD_NAME" and (arg in self.variables or arg in self.bound):
                stack.append(self.read(state, code.local(arg)))
            elif name in ("LOAD_GLOBAL", "LOAD_NAME"):
                if not self.optimized and arg in self.bound:
                    raise Unknown
                if name == "LOAD_GLOBAL" and i.arg & 1:
                    stack.append(("nothing",))
                stack.append(self.global_name(arg))
            elif name in ("STORE_FAST", "STORE_NAME"):
                thing = stack.pop()
                self.bind(stack, state, code.local(arg), thing)
            elif name == "LOAD_ATTR":
                stack.append(self.attribute(stack.pop(), arg))
            elif name == "LOAD_METHOD":
                stack += self.method_of(stack.pop(), arg)
            elif name == "KW_NAMES":
                raise Unknown
            elif name == "CALL":
                arguments = stack[len(stack) - arg :]
                del stack[len(stack) - arg :]
                function, method = stack.pop(), stack.pop()
                function = function if _is(method, "nothing") else method
                if _is(function, "bound"):
                    arguments = [function[2], *arguments]
                    function = ("object", function[1])
                if _is(function, "object") and isinstance(function[1], types.FunctionType) and not _loops.permitted(function[1]):
                    self.enter(code, function[1], arguments, stack, state, following[1])
                    return
                stack.append(self.call(function, arguments))
            elif name == "RETURN_VALUE" and code.number > 0:
                self.leave_function(code, stack, state)
                return
            elif name in ("BUILD_TUPLE", "BUILD_SLICE"):
                parts = stack[len(stack) - arg :]
                del stack[len(stack) - arg :]
                if name == "BUILD_SLICE":
                    parts += [("object", None)] * (3 - arg)
                stack.append(("tuple" if name == "BUILD_TUPLE" else "slice", tuple(parts)))
            elif name == "UNPACK_SEQUENCE":
                thing = stack.pop()
                if not _is(thing, "tuple") or len(thing[1]) != arg:
                    raise Unknown
                stack += reversed(thing[1])
            elif name == "COPY":
                stack.append(stack[-arg])
            elif name == "SWAP":
                stack[-1], stack[-arg] = stack[-arg], stack[-1]
            elif name == "BINARY_SUBSCR":
                key, thing = stack.pop(), stack.pop()
                stack.append(self.subscript(thing, key))
            elif name == "STORE_SUBSCR":
                key, thing, value = stack.pop(), stack.pop(), stack.pop()
                self.store(thing, key, value)
            elif name == "BINARY_OP":
                y, x = stack.pop(), stack.pop()
                stack.append(self.operator(i.argrepr, x, y))
            elif name == "COMPARE_OP":
                y, x = stack.pop(), stack.pop()
                if not (_is(x, "number") and _is(y, "number")):
                    raise Unknown
                stack.append(self.compare(arg, x, y))
            elif name == "IS_OP":
                y, x = stack.pop(), stack.pop()
                if y != ("object", None):
                    raise Unknown
                stack.append(self.constant((x == y) != bool(i.arg)))
            elif name == "UNARY_NEGATIVE":
                x = stack.pop()
                if not _is(x, "number") or x[1] in TRUTHS + "U":
                    raise Unknown
                stack.append(self.result(x[1], "negate" + ("" if x[1] in FLOATS else "_int"), x[2]))
            elif name == "UNARY_NOT":
                truth = self.truth(stack.pop())
                stack.append(self.constant(not truth) if isinstance(truth, bool) else self.result("b", "not", truth[1]))
            elif name == "GET_ITER":
                thing = stack.pop()
                if not _is(thing, "range"):
                    raise Unknown
                first = self.home("int", ("range", here), 3)
                self.emit("start_range", first, *(part[2] for part in thing[1]))
                stack.append(("iterator", first))
            elif name == "FOR_ITER":
                if not _is(stack[-1], "iterator") or stack[-1][1] is None:
                    raise Unknown
                over = self.label()
                to = code.instructions[n]
                if to.opname in ("STORE_FAST", "STORE_NAME"):
                    # The variable gets its number where it is.
                    key = ("variable", code.local(to.argval))
                    stack = [self.detached(s, key) for s in stack]
                    new = self.home("int", key)
                    inside = dict(state)
                    self.emit("next_of_range", stack[-1][1], new, over)
                    self.bind(stack, inside, key[1], _number("i", new))
                    self.jump((code.number, code.instructions[n + 1].offset), list(stack), inside)
                else:
                    new = self.home("int", ("number", here))
                    self.emit("next_of_range", stack[-1][1], new, over)
                    self.jump(following, [*stack, _number("i", new)], dict(state))
                self.mark(over)
                self.jump((code.number, arg), stack[:-1], dict(state))
                return
            elif name in ("JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"):
                self.jump((code.number, arg), stack, state)
                return
            elif name.startswith("POP_JUMP_"):
                thing = stack.pop()
                if name.endswith("NONE"):
                    is_none = thing == ("object", None)
                    self.jump((code.number, arg) if is_none != ("_NOT_" in name) else following, stack, state)
                    return
                self.branch(self.truth(thing), name.endswith("TRUE"), (code.number, arg), stack, state, following)
                return
            elif name in ("JUMP_IF_FALSE_OR_POP", "JUMP_IF_TRUE_OR_POP"):
                truth = self.truth(stack[-1])
                if isinstance(truth, bool):
                    raise Unknown
                there = self.label()
                self.emit("jump_if" if "TRUE" in name else "jump_unless", truth[1], there)
                self.jump(following, stack[:-1], dict(state))
                self.mark(there)
                self.jump((code.number, arg), list(stack), dict(state))
                return
            else:
                raise Unknown

    def literal(self, value):
        if isinstance(value, tuple):
            return ("tuple", tuple(self.literal(v) for v in value))
        if value is None or value is ...:
            return ("object", value)
        return self.constant(value)

    def operator(self, symbol, x, y):
        in_place = symbol.endswith("=")
        op = symbol.removesuffix("=")
        if op == "@":
            if in_place:
                raise Unknown
            return self.product(x, y)
        if _is(x, "number") and _is(y, "number"):
            return self.arithmetic(op, x, y)
        if _is(x, "array") and in_place:
            return self.update(op, x, y)
        if x[0] not in ("number", "array") or y[0] not in ("number", "array"):
            raise Unknown
        if op == "**":
            # A square is a product, in NumPy too.
            if not (_is(y, "number") and y[3] == 2 and y[1] == "i"):
                raise Unknown
            return self.map("*", x, x)
        return self.map(op, x, y)

    # The end.

    def assemble(self):
        code = _laid_out(self.pieces, self.first)
        if not any(name == "end_round" for name, _ in code):
            raise Refused
        ints = [(register, int(value)) for bank, register, value in self.constants.values() if bank == "int"]
        floats = [(register, float(value)) for bank, register, value in self.constants.values() if bank == "float"]
        after = {**self.carry, **self.left}
        carried = [(name, kind, self.home(self.bank(kind), ("variable", name))) for name, kind in after.items()]
        inputs = [
            (*_path(origin), kind, self.home(self.bank(kind), origin)) for origin, kind in self.inputs.items()
        ]
        arrays = [
            (*_path(origin), ELEMENTS[dtype][2], axes, register, written[0])
            for origin, (dtype, axes, register, written) in self.arrays.items()
        ]
        objects = [(*_path(origin), value, "object") for origin, value in self.objects.items()]
        objects += [(*_path(origin), of, "class") for origin, of in self.types.items()]
        objects += [(*_path(origin), f, "method") for origin, f in self.methods.items()]
        counts = (self.registers["int"], self.registers["float"], self.registers["view"], self.memories)
        return (code, self.indices, self.functions, counts, ints, floats, self.variable), inputs, arrays, objects, carried


def _laid_out(pieces, first):
    """The pieces one after the other, from the first, with places for labels: those that nothing leads to are left out."""
    order = sorted(pieces, key=lambda place: (place != first, place))
    code, places = [], {}
    for number, piece in enumerate(order):
        places["offset", piece] = len(code)
        lines = pieces[piece]
        following = order[number + 1] if number + 1 < len(order) else None
        for n, (name, operands) in enumerate(lines):
            if name == "label":
                places[operands] = len(code)
            elif not (name == "jump" and n + 1 == len(lines) and operands[0] == ("offset", following)):
                code.append((name, operands))
    code.append(("leave", []))

    def final(place):
        """Where a jump leads in the end."""
        for _ in range(len(code)):
            name, operands = code[place]
            if name != "jump":
                break
            place = places[operands[0]]
        return place

    out, new = [], []
    for n, (name, operands) in enumerate(code):
        new.append(len(out))
        there = [("to", final(places[o])) if isinstance(o, tuple) else o for o in operands]
        head = code[there[0][1]] if name == "jump" else ("", [])
        if name == "jump" and there[0][1] <= n and head[0] == "next_of_range":
            # The end of a loop's body: what its head does, the other way round.
            first, variable, over = head[1]
            out.append(("again", [first, variable, ("to", final(there[0][1] + 1))]))
            out.append(("jump", [("to", final(places[over]))]))
        else:
            out.append(("jump_back" if name == "jump" and there[0][1] <= n else name, there))
    return [(name, [new[o[1]] if isinstance(o, tuple) else o for o in operands]) for name, operands in out]


def _reads_its_number(instructions, start):
    """Whether a loop, or one inside it, uses the number that it counts."""
    end = next(i.argval for i in instructions if i.offset == start)
    for n, i in enumerate(instructions):
        if i.opname == "FOR_ITER" and start <= i.offset < end:
            bound = instructions[n + 1].argval
            inner = (j for j in instructions[n + 2 :] if j.offset < i.argval)
            if any(j.opname in ("LOAD_FAST", "LOAD_NAME") and j.argval == bound for j in inner):
                return True
    return False


#: What rounds do that are better recorded, if all of them do the same.
OF_ROWS = ("map_", "update_", "assign", "copy", "take", "matmul_", "dot_", "sum_", "maximum_", "minimum_")


def _worth(code):
    """Whether a round does anything with single elements, and nothing with rows."""
    names = [name for name, _ in code]
    return any(n.startswith(("load_", "store_")) for n in names) and not any(n.startswith(OF_ROWS) for n in names)


def is_own(error):
    """Whether an error was raised by the code here, and not by a signal's handler that ran meanwhile."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is None or at.tb_frame.f_code.co_filename.startswith(_loops.PACKAGE)


def plan(code, start, optimized, variables, outside):
    """The translation of the loop of `code` whose `FOR_ITER` is at the offset `start`, or None.

    `variables` has what the names of the frame are bound to, `outside` the global names and
    Python's own (a ChainMap). Returns
    ((code, indices, functions, registers, constants, register of the loop's variable), inputs, arrays, objects, carried), where the
    last four name variables (whether global, name, …): numbers with their kinds and registers; arrays with the type of their elements,
    axes, register and whether they are written; what must stay as it is (an object, a class, the function of a method); numbers that
    a round leaves behind.
    """
    if _loops.LOOKING.intersection(code.co_names):
        return None
    instructions = list(dis.get_instructions(code))
    by_number = _reads_its_number(instructions, start)
    end = next(i.argval for i in instructions if i.offset == start)
    if not by_number and any(i.opname == "BUILD_SLICE" and start < i.offset < end for i in instructions):
        # (What does the same to rows in every round is recorded, and that is soon known.)
        return None
    try:
        made = Translation(code, instructions, start, optimized, variables, outside).translate()
    except (Refused, Unknown):
        return None
    return made if by_number or _worth(made[0][0]) else None
