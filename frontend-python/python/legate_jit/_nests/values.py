"""Numbers and arrays: the instructions for what a program does to them."""

import math
import types

import numpy

from .. import _loops, _native
from .. import numpy as ours
from .things import (
    ARITHMETIC,
    ELEMENTS,
    FLOATS,
    INTEGERS,
    KINDS,
    LONGEST,
    MAPS,
    REGISTERS,
    Refused,
    SMALL,
    TRUTHS,
    Unknown,
    WHOLE,
    WRITTEN,
    array,
    is_,
    number,
    is_plain,
    part,
)


class Code:
    """The code of the loop (number 0, and later turns of a round), or of a function at one of the places where it is called."""

    def __init__(self, number, code, instructions, globals_=None, back=None, parameters=(), turn=None):
        self.number = number
        #: Of the loop's own code: how often a round has gone through it before.
        self.turn = 0 if number == 0 else turn
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
        return name if self.turn is not None else f"{name}@{self.number}"


class Values:
    """Numbers and arrays, and the instructions for what is done to them."""

    def __init__(self, code, instructions, start, optimized, variables, outside, within=None):
        #: Where a round begins: behind the head of a `for` loop, or at an instruction of a `while` loop.
        self.start = start
        self.is_while = within is not None
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
        if within is None:
            self.low, self.end = start + 2, instructions[self.place[start]].argval
        else:
            self.low, self.end = within
            self.codes[0].leaders.add(start)
        #: The loop's code in the turns of a round.
        self.turns = [self.codes[0]]
        if sum(1 for i in instructions if self.low <= i.offset < self.end) > LONGEST:
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
        self.written_so_far = 0

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
        self.written_so_far += 1
        if self.written_so_far > WRITTEN:
            raise Refused
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
        return number(kind, self.constants[key][1], value)

    # Values.

    def known(self, value, origin):
        """What stands for something that a variable holds."""
        kind = KINDS.get(type(value))
        if kind is not None:
            return number(kind, self.home(self.bank(kind), origin))
        if isinstance(value, _native.ndarray):
            if value.dtype not in ELEMENTS or value.ndim > 4:
                raise Unknown
            register = self.home("view", ("given", origin))
            self.arrays.setdefault(origin, (value.dtype, value.ndim, register, [False]))
            return array(value.dtype, value.ndim, register, origin, origin)
        if isinstance(value, numpy.generic) or hasattr(value, "__array__"):
            raise Unknown
        plain = (types.ModuleType, types.FunctionType)
        if value is None or value is ... or isinstance(value, plain) or _loops.permitted(value):
            self.objects[origin] = value
            return ("object", value)
        if is_plain(type(value)) and hasattr(value, "__dict__"):
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
        if name in self.bound and not self.begins_with_array(name):
            return self.carried(name)
        return self.with_origin(self.input(("variable", name), self.variables[name]), name)

    def begins_with_array(self, name):
        """Whether a variable holds an array to begin with: at the end of a round it has to be that one again."""
        return isinstance(self.variables.get(name), _native.ndarray)

    @staticmethod
    def with_origin(thing, name):
        return (*thing[:5], name) if is_(thing, "array") else thing

    def carried(self, name):
        """A variable of one round that the next one reads."""
        if name not in self.carry:
            kind = KINDS.get(type(self.variables[name]))
            if kind is None:
                raise Refused
            self.carry[name] = kind
        kind = self.carry[name]
        self.inputs["variable", name] = kind
        return number(kind, self.home(self.bank(kind), ("variable", name)))

    def input(self, origin, value):
        thing = self.known(value, origin)
        if is_(thing, "number"):
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
        return number(kind, new)

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
        return number(kind, out[2])

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
        if is_(thing, "object"):
            if thing[1] is None:
                return False
            raise Unknown
        if not is_(thing, "number"):
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
        return number(first[1], new)

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
        return array(dtype, 0, new, None)

    def of_floats(self, thing):
        if not is_(thing, "array") or ELEMENTS[thing[1]][0] not in "FS":
            raise Unknown
        return thing

    def map(self, op, x, y):
        dtype = (x if is_(x, "array") else y)[1]
        x, y = (self.seen_as(dtype, t) if is_(t, "number") else self.of_floats(t) for t in (x, y))
        if x[1] != y[1]:
            raise Unknown
        if op == "**":
            raise Unknown
        if op not in MAPS:
            raise Unknown
        new = self.register("view")
        self.emit("map_" + ELEMENTS[dtype][2], new, x[3], y[3], self.memory(), MAPS[op])
        return array(dtype, max(x[2], y[2]), new, None)

    def update(self, op, x, y):
        dtype = self.of_floats(x)[1]
        if is_(y, "number"):
            y = self.seen_as(dtype, y)
        if not is_(y, "array") or y[1] != dtype or op not in MAPS or y[2] > x[2]:
            raise Unknown
        self.written(x)
        self.emit("update_" + ELEMENTS[dtype][2], x[3], y[3], MAPS[op])
        return x

    def written(self, array):
        source = array[4]
        if source is not None:
            self.arrays[source[1] if source[0] == "part" else source][3][0] = True

    def items(self, array, key):
        """The indices of a subscript: (operands for the runtime, axes that are left)."""
        parts = list(key[1]) if is_(key, "tuple") else [key]
        used = sum(1 for p in parts if not (is_(p, "object") and p[1] in (None, ...)))
        found = []
        left = 0
        for p in parts:
            if is_(p, "object") and p[1] is None:
                found.append(("new", None, None, 1))
                left += 1
            elif is_(p, "object") and p[1] is ...:
                missing = array[2] - used
                found += [("slice", None, None, 1)] * missing
                left += missing
            elif is_(p, "number") and p[1] in WHOLE:
                found.append(("int", p[2], None, 1))
            elif is_(p, "slice"):
                bounds = []
                for part in p[1][:2]:
                    if is_(part, "object") and part[1] is None:
                        bounds.append(None)
                    elif is_(part, "number") and part[1] in WHOLE:
                        bounds.append(part[2])
                    else:
                        raise Unknown
                step = p[1][2]
                if is_(step, "object") and step[1] is None:
                    by = 1
                elif is_(step, "number") and step[1] == "i" and step[3]:
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
        if is_(thing, "tuple"):
            if not (is_(key, "number") and key[3] is not None and -len(thing[1]) <= key[3] < len(thing[1])):
                raise Unknown
            return thing[1][key[3]]
        if not is_(thing, "array"):
            raise Unknown
        _, dtype, axes, register, source, origin = thing
        if is_(key, "array"):
            if axes != 1 or key[2] != 1 or key[1] != numpy.dtype("i8"):
                raise Unknown
            new = self.register("view")
            self.emit("take", new, register, key[3], self.memory(), ELEMENTS[dtype][1])
            return array(dtype, 1, new, None)
        place = self.element(thing, key)
        if place is not None:
            kind, _, name = ELEMENTS[dtype]
            new = self.register(self.bank(kind))
            if dtype in SMALL:
                self.emit("load_small", new, *place, SMALL.index(dtype))
                return number(kind, new)
            self.emit(f"load_{name}_{len(place) - 1}", new, *place)
            return number(kind, new)
        view, left = self.view(thing, key)
        return array(dtype, left, view, part(source), origin)

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
        parts = key[1] if is_(key, "tuple") else [key]
        if len(parts) != thing[2] or not all(is_(p, "number") and p[1] in WHOLE for p in parts):
            return None
        if len(parts) <= 2 and thing[1] not in SMALL:
            return [thing[3], *(p[2] for p in parts)]
        return [self.view(thing, key)[0]]

    def store(self, thing, key, value):
        if not is_(thing, "array"):
            raise Unknown
        dtype = thing[1]
        kind, item, name = ELEMENTS[dtype]
        if kind == "U":
            raise Unknown
        place = self.element(thing, key)
        if place is not None:
            if not is_(value, "number"):
                raise Unknown
            register = self.stored(kind, value)
            self.written(thing)
            self.emit(f"store_{name}_{len(place) - 1}", register, *place)
            return
        if is_(value, "number"):
            value = self.seen_as(dtype, value)
        if not is_(value, "array") or value[1] != dtype:
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
        if not (is_(x, "array") and is_(y, "array")) or x[1] != y[1] or not 1 <= x[2] <= 2 or not 1 <= y[2] <= 2:
            raise Unknown
        kind, _, name = ELEMENTS[self.of_floats(x)[1]]
        if x[2] == y[2] == 1:
            new = self.register("float")
            self.emit("dot_" + name, new, x[3], y[3], int(by_dot))
            return number(kind, new)
        new = self.register("view")
        self.emit("matmul_" + name, new, x[3], y[3], self.memory())
        return array(x[1], x[2] + y[2] - 2, new, None)

    def reduce(self, name, x):
        if self.of_floats(x)[2] == 0:
            raise Unknown
        kind, _, end = ELEMENTS[x[1]]
        new = self.register("float")
        self.emit(f"{name}_{end}", new, x[3])
        return number(kind, new)

    def copied(self, x):
        if not is_(x, "array"):
            raise Unknown
        new = self.register("view")
        self.emit("copy", new, x[3], self.memory(), ELEMENTS[x[1]][1])
        return array(x[1], x[2], new, None)

    def full_like(self, x, value):
        """New elements, as many as an array has."""
        _, item, _ = ELEMENTS[self.of_floats(x)[1]]
        new = self.register("view")
        self.emit("full", new, x[3], self.seen_as(x[1], value)[3], self.memory(), item)
        return array(x[1], x[2], new, None)

    def length(self, x, axis):
        new = self.register("int")
        self.emit("length", new, x[3], axis)
        return number("i", new)

    def of_instance(self, thing, name):
        """An attribute of an object, as it is before the rounds."""
        value = self.instances[thing[1]]
        of_class = getattr(type(value), name, None)
        if name not in vars(value) or hasattr(type(of_class), "__set__"):
            raise Unknown
        return self.input(("attribute", thing[2], name), vars(value)[name])

    def method_of(self, thing, name):
        """What a call of a method finds on the stack."""
        if is_(thing, "array"):
            return [("method", name, thing), ("nothing",)]
        if is_(thing, "instance"):
            value = self.instances[thing[1]]
            f = getattr(type(value), name, None)
            if name not in vars(value) and isinstance(f, types.FunctionType):
                self.methods["attribute", thing[2], name] = f
                return [("bound", f, thing), ("nothing",)]
        return [("nothing",), self.attribute(thing, name)]

    def attribute(self, thing, name):
        if is_(thing, "instance"):
            return self.of_instance(thing, name)
        if is_(thing, "object") and isinstance(thing[1], types.ModuleType):
            if thing[1] not in (ours, math) or not hasattr(thing[1], name):
                raise Unknown
            value = getattr(thing[1], name)
            if KINDS.get(type(value)) is not None:
                return self.constant(value)
            return ("object", value)
        if not is_(thing, "array"):
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
            return array(thing[1], thing[2], new, part(thing[4]), thing[5])
        raise Unknown
