"""Which loops use their variable for nothing but places that move on evenly, by their bytecode.

`for k in range(n): out[k] = f(a[k - 1 : k + 2])` does in every round what it did in the last one, one place further. That is so where
everything that is made of the variable is a sum of it and of numbers that stay the same, or a product with one, and where nothing
but an index is made of those (integers, slices, tuples of them) for an array. The body is followed with *kinds* in place of values; it
goes straight from its first instruction to its last.

If such a loop is all that another one does, but for numbers (`for i in range(n): for j in range(n - w + 1): ...`), and all that is made
of both variables moves on evenly with each, that one is told, too.
"""

import functools

from . import _loops

#: Made of the variable: an integer that moves on evenly.
PLACE = "place"
#: A slice or a tuple with places in it.
KEY = "key"
#: For certain an array of ours, or a number of its.
ARRAY = "array"
#: All else. Instead of a kind there may also be a `Held`.
OTHER = "other"


class Held(str):
    """What a name held before the round, or an array if that is one: a part, a sum, ..."""


#: Operators that make a place of places.
EVEN = frozenset(["+", "-", "+=", "-="])
TIMES = frozenset(["*", "*="])

#: What these take from the stack, and leave there.
EFFECTS = {
    "BINARY_OP": (2, 1),
    "COMPARE_OP": (2, 1),
    "CONTAINS_OP": (2, 1),
    "IS_OP": (2, 1),
    "LIST_EXTEND": (1, 0),
    "LOAD_ATTR": (1, 1),
    "LOAD_METHOD": (1, 2),
    "POP_TOP": (1, 0),
    "PUSH_NULL": (0, 1),
    "UNARY_INVERT": (1, 1),
    "UNARY_NOT": (1, 1),
}

#: Those of which the stack holds as many operands as their argument says; and how many more.
COUNTED = {"BUILD_LIST": 0, "BUILD_CONST_KEY_MAP": 1, "CALL": 2}

#: Attributes of an array that are arrays.
PARTS = frozenset(["T", "real", "imag"])

LOADS = {"LOAD_FAST": 0, "LOAD_DEREF": 0, "LOAD_NAME": 1, "LOAD_GLOBAL": 1}
STORES = {"STORE_FAST": 0, "STORE_DEREF": 0, "STORE_NAME": 1}


class NotEven(Exception):
    """The loop does something else."""


class Body:
    """The straight body of a loop over `variable`."""

    def __init__(self, variable, places=((), ())):
        self.variable = variable
        #: Other names that hold places: local ones, others.
        self.places = places
        self.stack = []
        #: Kinds of the names that the round has bound: local ones, others.
        self.bound = ({}, {})
        #: Names that are read before the round binds them, and of those the ones that must be arrays.
        self.read = (set(), set())
        self.arrays = (set(), set())
        self.uses = False

    def run(self, instructions):
        for i in instructions:
            self.step(i)
        if self.stack:
            raise NotEven

    def pop(self, n=1):
        if n > len(self.stack):
            raise NotEven
        kinds = self.stack[len(self.stack) - n :]
        del self.stack[len(self.stack) - n :]
        return kinds

    def step(self, i):
        name = i.opname
        if name in LOADS:
            if name == "LOAD_GLOBAL" and i.arg & 1:
                self.stack.append(OTHER)
            self.stack.append(self.load(LOADS[name], i.argval))
        elif name in STORES:
            (kind,) = self.pop()
            if i.argval == self.variable:
                raise NotEven
            self.bound[STORES[name]][i.argval] = kind
        elif name == "LOAD_CONST":
            self.stack.append(OTHER)
        elif name == "BINARY_SUBSCR":
            self.stack.append(self.part(*self.pop(2)))
        elif name == "STORE_SUBSCR":
            value, container, key = self.pop(3)
            self.part(container, key)
            still(value)
        elif name == "BINARY_OP":
            self.stack.append(combined(*self.pop(2), i.argrepr))
        elif name in ("UNARY_NEGATIVE", "UNARY_POSITIVE"):
            (kind,) = self.pop()
            if kind == KEY:
                raise NotEven
            self.stack.append(kind)
        elif name == "BUILD_SLICE" or name == "BUILD_TUPLE":
            kinds = self.pop(i.arg)
            moves = any(kind in (PLACE, KEY) for kind in kinds)
            if moves and name == "BUILD_SLICE" and KEY in kinds:
                raise NotEven
            self.stack.append(KEY if moves else OTHER)
        elif name == "COPY":
            if i.arg > len(self.stack):
                raise NotEven
            self.stack.append(self.stack[-i.arg])
        elif name == "SWAP":
            if i.arg > len(self.stack):
                raise NotEven
            self.stack[-i.arg], self.stack[-1] = self.stack[-1], self.stack[-i.arg]
        elif name == "LOAD_ATTR" and i.argval in PARTS:
            (kind,) = self.pop()
            still(kind)
            self.stack.append(kind)
        elif name in EFFECTS:
            takes, leaves = EFFECTS[name]
            self.take(takes, leaves)
        elif name in COUNTED:
            self.take(i.arg + COUNTED[name], 1)
        elif name == "BUILD_MAP":
            self.take(2 * i.arg, 1)
        elif name == "UNPACK_SEQUENCE":
            self.take(1, i.arg)
        elif name not in ("CACHE", "EXTENDED_ARG", "KW_NAMES", "NOP", "PRECALL"):
            raise NotEven

    def take(self, takes, leaves):
        for kind in self.pop(takes):
            still(kind)
        self.stack.extend([OTHER] * leaves)

    def load(self, where, name):
        if name == self.variable:
            self.uses = True
            return PLACE
        if name in self.bound[where]:
            return self.bound[where][name]
        if name in self.places[where]:
            return PLACE
        self.read[where].add(name)
        return Held(f"{where}{name}")

    def part(self, container, key):
        """The kind of `container[key]`."""
        still(container)
        if key in (PLACE, KEY):
            if isinstance(container, Held):
                self.arrays[int(container[0])].add(container[1:])
            elif container != ARRAY:
                raise NotEven
            return ARRAY
        return container


class Head:
    """What a loop over `variable` does before the loop in it begins: numbers, and a range."""

    #: Python's functions of numbers, and what they make.
    FUNCTIONS = {"range": "range", "len": OTHER, "min": OTHER, "max": OTHER}
    #: What arrays may be asked for.
    NUMBERS = frozenset(["shape", "size", "ndim"])

    def __init__(self, variable):
        self.variable = variable
        self.stack = []
        self.bound = ({}, {})
        #: Names that are read, each with whether it may be an array; names of functions.
        self.read = ({}, {})
        self.functions = set()

    def run(self, instructions):
        for i in instructions:
            self.step(i)
        if self.stack != ["iterator"]:
            raise NotEven

    def step(self, i):
        name = i.opname
        if name == "LOAD_GLOBAL" and i.argval in self.FUNCTIONS:
            if not i.arg & 1:
                raise NotEven
            self.functions.add(i.argval)
            self.stack.append(("call", i.argval))
        elif name == "PUSH_NULL":
            self.stack.append("null")
        elif name == "LOAD_NAME" and self.stack[-1:] == ["null"]:
            if i.argval not in self.FUNCTIONS:
                raise NotEven
            self.functions.add(i.argval)
            self.stack[-1] = ("call", i.argval)
        elif name in LOADS:
            if name == "LOAD_GLOBAL" and i.arg & 1:
                raise NotEven
            self.stack.append(self.load(LOADS[name], i.argval))
        elif name in STORES:
            kind = self.number(self.stack.pop())
            if i.argval == self.variable:
                raise NotEven
            self.bound[STORES[name]][i.argval] = kind
        elif name == "LOAD_CONST":
            self.stack.append(OTHER)
        elif name == "LOAD_ATTR" and i.argval in self.NUMBERS:
            if not isinstance(self.stack.pop(), Held):
                raise NotEven
            self.stack.append(OTHER)
        elif name == "BINARY_SUBSCR":
            container, key = self.stack.pop(-2), self.stack.pop()
            if container != OTHER or self.number(key) != OTHER:
                raise NotEven
            self.stack.append(OTHER)
        elif name == "BINARY_OP":
            a, b = self.number(self.stack.pop(-2)), self.number(self.stack.pop())
            self.stack.append(combined(a, b, i.argrepr))
        elif name == "CALL":
            arguments = [self.stack.pop() for _ in range(i.arg)]
            called = self.stack.pop()
            if not isinstance(called, tuple):
                raise NotEven
            if called[1] != "len" and any(self.number(kind) != OTHER for kind in arguments):
                raise NotEven
            if called[1] == "len" and not all(isinstance(kind, Held) for kind in arguments):
                raise NotEven
            self.stack.append(self.FUNCTIONS[called[1]])
        elif name == "GET_ITER":
            if self.stack.pop() != "range":
                raise NotEven
            self.stack.append("iterator")
        elif name not in ("CACHE", "EXTENDED_ARG", "NOP", "PRECALL"):
            raise NotEven

    def load(self, where, name):
        if name == self.variable:
            return PLACE
        if name in self.bound[where]:
            return self.bound[where][name]
        self.read[where].setdefault(name, True)
        return Held(f"{where}{name}")

    def number(self, kind):
        """The kind of what has to be a number."""
        if isinstance(kind, Held):
            self.read[int(kind[0])][kind[1:]] = False
            return OTHER
        if kind not in (PLACE, OTHER):
            raise NotEven
        return kind


def still(kind):
    """Nothing else may be done with places."""
    if kind in (PLACE, KEY):
        raise NotEven


def combined(a, b, operator):
    if a == PLACE or b == PLACE:
        known = (OTHER, PLACE)
        even = operator in EVEN or operator in TIMES and not a == b
        if not even or not all(kind in known or isinstance(kind, Held) for kind in (a, b)):
            raise NotEven
        return PLACE
    still(a)
    still(b)
    if ARRAY in (a, b):
        return ARRAY
    return a if isinstance(a, Held) else b


@functools.lru_cache(256)
def places(code):
    """The loops over a range that move on evenly.

    Of each: (first offset, offset behind, place of the iterator on the stack, names that it reads before it binds them, names that must
    be arrays, what `around` finds). Names are (numbers of the local ones, global ones).
    """
    _, optimized, library, lines, _, _ = _loops.analyse(code)
    found = []
    if library or not lines:
        return found
    names = _loops.local_names(code)
    instructions, depths = _loops.instructions_of(code), _loops.depths_of(code)
    for n, i in enumerate(instructions):
        if i.opname != "FOR_ITER" or i.offset not in depths:
            continue
        bound = instructions[n + 1]
        inner = [j for j in instructions[n + 2 :] if j.offset < i.argval]
        back = inner.pop() if inner else None
        straight = back and back.opname == "JUMP_BACKWARD" and back.argval == i.offset
        if not straight or bound.opname != ("STORE_FAST" if optimized else "STORE_NAME"):
            continue
        body = Body(bound.argval)
        try:
            body.run(inner)
        except NotEven:
            continue
        if body.uses and _loops.is_harmless(inner, names):

            def numbered(pair):
                return sorted(names.index(name) for name in pair[0]), sorted(pair[1])

            outer = around(instructions, n, body, inner, optimized, numbered)
            if outer is not None:
                outer = (outer[0], depths[outer[0]] - 1, *outer[1:])
            place = depths[i.offset] - 1
            found.append((i.offset, i.argval, place, numbered(body.read), numbered(body.arrays), outer))
    return found


def around(instructions, n, body, inner, optimized, numbered):
    """The loop that does nothing but the loop with this instruction and this body, or None.

    (First offset, names of what moves with its rounds, names that the inner loop's head reads, those of Python's own functions, names
    that must be arrays). A name that is read is (number of a local one, name, whether it may be an array).
    """
    before = [m for m in range(n) if instructions[m].opname == "FOR_ITER" and instructions[m].argval > instructions[n].offset]
    if not before:
        return None
    first = before[-1]
    outer, bound = instructions[first], instructions[first + 1]
    after = [j for j in instructions[n:] if instructions[n].argval <= j.offset < outer.argval]
    ends = [j for j in after if j.opname not in ("CACHE", "EXTENDED_ARG", "NOP")]
    if len(ends) != 1 or ends[0].opname != "JUMP_BACKWARD" or ends[0].argval != outer.offset:
        return None
    variables = [bound.argval, instructions[n + 1].argval]
    if bound.opname != ("STORE_FAST" if optimized else "STORE_NAME") or variables[0] == variables[1]:
        return None
    head = Head(bound.argval)
    where = 0 if optimized else 1
    try:
        head.run(instructions[first + 2 : n])
        places = tuple({name for name, kind in names.items() if kind == PLACE} for names in head.bound)
        places[where].add(bound.argval)
        both = Body(variables[1], places)
        both.run(inner)
    except (NotEven, IndexError):
        return None
    for names, read, bound_there, fixed in zip(body.bound, body.read, head.bound, head.read):
        # Nothing goes on from round to round but what lies in arrays.
        if names.keys() & read or (names.keys() | bound_there.keys() | set(variables)) & fixed.keys():
            return None
        # Numbers may be bound before the inner loop, arrays are what they are.
        if names.keys() & (bound_there.keys() | set(variables)):
            return None
    if variables[1] in body.read[where] or variables[1] in head.bound[where]:
        return None
    sizes = [(numbered(([name], []))[0][0], name, kind) for name, kind in sorted(head.read[0].items())]
    sizes += [(None, name, kind) for name, kind in sorted(head.read[1].items())]
    return outer.offset, numbered(places), sizes, sorted(head.functions), numbered(both.arrays)
