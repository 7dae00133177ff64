"""Which loops ask for one value in every round, and what their rounds do to numbers, by their bytecode.

`while change > tol and count < most: ...; count += 1` does in every round what it did in the last one, but that it counts. A round is
followed from an instruction of the loop to the same one of the next round, with the numbers that names hold and with *things* (all
else) in place of values. Jumps go where the numbers say, and at the one place that asks for a value of an array where the last round
went. What is made of numbers is kept as text, so that it can be known of any other round whether it goes the same way, and what its
names hold afterwards. Numbers that change may only be made into numbers; where one of them becomes an argument, an index or an
operand of an array, the loop is left to Python.
"""

import dis
import functools
import operator
from typing import NamedTuple

from . import _loops, _places

#: What may be kept as text.
NUMBERS = (int, float, bool, str, type(None))

#: Instructions that are followed, and characters of a text.
LONGEST = 20_000
WORDS = 2_000

#: Anything but a number.
THING = None

#: The number that comes next in a loop over a range.
NEXT = "next"

OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
}
UNARY = {
    "UNARY_NEGATIVE": ("-", operator.neg),
    "UNARY_POSITIVE": ("+", operator.pos),
    "UNARY_INVERT": ("~", operator.invert),
    "UNARY_NOT": ("not ", operator.not_),
}

#: Conditional jumps: whether they jump where the value is true.
JUMPS = {
    f"POP_JUMP_{way}_IF_{truth}": truth == "TRUE" for way in ("FORWARD", "BACKWARD") for truth in ("TRUE", "FALSE")
}
OR_POP = {"JUMP_IF_TRUE_OR_POP": True, "JUMP_IF_FALSE_OR_POP": False}
IF_NONE = {
    f"POP_JUMP_{way}_IF_{truth}": truth == "NONE" for way in ("FORWARD", "BACKWARD") for truth in ("NONE", "NOT_NONE")
}


class Other(Exception):
    """The round does something else."""


class Number(NamedTuple):
    """A number as it is in the round that is followed, as a text, and the names in that."""

    value: object
    text: str
    names: frozenset


@functools.lru_cache(64)
def _listing(code):
    instructions = list(dis.get_instructions(code))
    return instructions, {i.offset: n for n, i in enumerate(instructions)}, _loops._depths(instructions)


@functools.lru_cache(256)
def question(code, at):
    """The innermost loop around an instruction that asks for a value, a jump or a comparison that a jump follows: (first offset, offset
    behind, references on the stack below its body, offset of the jump), or None. None as well where another instruction asks.
    """
    _, _, library, lines, _, _ = _loops.analyse(code)
    if library or not lines:
        return None
    instructions, place, depths = _listing(code)
    if at not in place:
        return None
    n = place[at]
    if instructions[n].opname == "COMPARE_OP":
        n += 1
        while instructions[n].opname == "CACHE":
            n += 1
    if instructions[n].opname not in JUMPS:
        return None
    loops = [(i.argval, i.offset + 2) for i in instructions if "JUMP_BACKWARD" in i.opname and i.offset in depths]
    around = [(first, behind) for first, behind in loops if first <= at < behind]
    if not around:
        return None
    # (There may be several ways back to where a loop begins.)
    first = max(first for first, _ in around)
    return first, max(behind for begin, behind in loops if begin == first), depths[first], instructions[n].offset


def names(code):
    """The local names of a code object, as they lie in its frame, and all other names."""
    return _loops.local_names(code), list(code.co_names)


class Round:
    """A round that is followed."""

    def __init__(self, code, names, asked, truth, head, coming):
        self.instructions, self.place, self.depths = _listing(code)
        self.optimized = bool(code.co_flags & _loops.OPTIMIZED)
        #: What names hold when the round begins: local ones, global ones.
        self.names = names
        self.asked, self.truth = asked, truth
        #: Where the loop's own iterator is asked, and for what it has next.
        self.head, self.coming = head, coming
        self.stack = []
        self.bound = {}
        self.conditions = []
        #: Names of numbers that something else is made of, and the instructions that were followed.
        self.used = set()
        self.path = {}

    def run(self, at):
        """Follows the round from behind the instruction at `at`, while which something runs, to there."""
        n = self.place[at] + 1
        while self.instructions[n].opname == "CACHE":
            n += 1
        self.stack = [THING] * self.depths[self.instructions[n].offset]
        for _ in range(LONGEST):
            i = self.instructions[n]
            if i.offset == at:
                self.path[at] = i
                return
            self.path[i.offset] = i
            target = self.step(i)
            n = n + 1 if target is None else self.place[target]
        raise Other

    def pop(self, n=1):
        if n > len(self.stack):
            raise Other
        items = self.stack[len(self.stack) - n :]
        del self.stack[len(self.stack) - n :]
        return items

    def use(self, items):
        for item in items:
            if item is not THING:
                self.used |= item.names

    def step(self, i):
        """Does one instruction; the offset of the next one if that is not the one behind it."""
        name = i.opname
        if name in ("LOAD_FAST", "LOAD_NAME", "LOAD_GLOBAL"):
            if name == "LOAD_GLOBAL" and i.arg & 1:
                self.stack.append(THING)
            self.stack.append(self.load(name, i.argval))
        elif name in ("STORE_FAST", "STORE_NAME"):
            (self.bound[i.argval],) = self.pop()
        elif name == "LOAD_CONST":
            known = type(i.argval) in NUMBERS and i.argval == i.argval
            self.stack.append(Number(i.argval, repr(i.argval), frozenset()) if known else THING)
        elif name in ("BINARY_OP", "COMPARE_OP"):
            a, b = self.pop(2)
            self.stack.append(self.combined(a, b, i.argrepr.removesuffix("=") if name == "BINARY_OP" else i.argval))
        elif name in UNARY:
            (a,) = self.pop()
            sign, function = UNARY[name]
            self.stack.append(a if a is THING else made(function, (a,), f"({sign}{a.text})"))
        elif name in JUMPS:
            (a,) = self.pop()
            if self.holds(i, a) == JUMPS[name]:
                return i.argval
        elif name in OR_POP:
            (a,) = self.pop()
            if a is THING:
                raise Other
            if self.holds(i, a) == OR_POP[name]:
                self.stack.append(a)
                return i.argval
        elif name in IF_NONE:
            (a,) = self.pop()
            if a is THING:
                raise Other
            a = made(lambda x: x is None, (a,), f"({a.text} is None)")
            if self.holds(i, a) == IF_NONE[name]:
                return i.argval
        elif name in ("JUMP_FORWARD", "JUMP_BACKWARD"):
            return i.argval
        elif name == "FOR_ITER" and i.offset == self.head:
            if self.coming is None:
                raise Other
            self.stack.append(Number(self.coming, NEXT, frozenset([NEXT])))
        elif name == "FOR_ITER":
            return self.over(i)
        elif name == "COPY":
            if i.arg > len(self.stack):
                raise Other
            self.stack.append(self.stack[-i.arg])
        elif name == "SWAP":
            if i.arg > len(self.stack):
                raise Other
            self.stack[-i.arg], self.stack[-1] = self.stack[-1], self.stack[-i.arg]
        else:
            self.take(i)
        return None

    def take(self, i):
        """What makes things of its operands."""
        name = i.opname
        if name in _places.EFFECTS:
            takes, leaves = _places.EFFECTS[name]
        elif name in _places.COUNTED:
            takes, leaves = i.arg + _places.COUNTED[name], 1
        elif name in ("BUILD_SLICE", "BUILD_TUPLE"):
            takes, leaves = i.arg, 1
        elif name == "BUILD_MAP":
            takes, leaves = 2 * i.arg, 1
        elif name == "UNPACK_SEQUENCE":
            takes, leaves = 1, i.arg
        elif name in ("BINARY_SUBSCR", "STORE_SUBSCR"):
            takes, leaves = (2, 1) if name == "BINARY_SUBSCR" else (3, 0)
        elif name == "GET_ITER":
            takes, leaves = 1, 1
        elif name == "LOAD_DEREF":
            takes, leaves = 0, 1
        elif name in ("CACHE", "EXTENDED_ARG", "KW_NAMES", "NOP", "PRECALL", "RESUME"):
            return
        else:
            raise Other
        self.use(self.pop(takes))
        self.stack.extend([THING] * leaves)

    def load(self, how, name):
        if how != "LOAD_GLOBAL" and name in self.bound:
            return self.bound[name]
        held = self.names[how == "LOAD_GLOBAL"]
        value = held.get(name, THING)
        if type(value) not in NUMBERS or value is None and name not in held:
            return THING
        if how == "LOAD_GLOBAL":
            # It stays the same, which is known of it like of all that a round reads.
            known = value == value and type(value) is not str
            return Number(value, repr(value), frozenset()) if known else THING
        return Number(value, f"_{name}", frozenset([name]))

    def holds(self, i, a):
        """Whether a condition is true."""
        if a is THING:
            if i.offset != self.asked:
                raise Other
            return self.truth
        self.conditions.append(Number(bool(a.value), f"({a.text})" if a.value else f"(not {a.text})", a.names))
        return bool(a.value)

    def combined(self, a, b, sign):
        if a is THING or b is THING or sign not in OPERATORS:
            self.use((a, b))
            return THING
        return made(OPERATORS[sign], (a, b), f"({a.text} {sign} {b.text})")

    def over(self, i):
        """A loop in the round, which is seen as one: where it goes depends on nothing that changes."""
        self.use(self.pop())
        inner = [j for j in self.instructions if i.offset < j.offset < i.argval]
        for j in inner:
            self.path[j.offset] = j
            if j.opcode in dis.hasjrel and not i.offset <= j.argval <= i.argval or j.opname == "RETURN_VALUE":
                raise Other
            if j.opname in ("STORE_FAST", "STORE_NAME"):
                self.bound[j.argval] = THING
            elif j.opname in ("LOAD_FAST", "LOAD_NAME"):
                self.use([self.load(j.opname, j.argval)])
                self.used.add(j.argval)
        return i.argval


def made(function, operands, text):
    if len(text) > WORDS:
        raise Other
    try:
        value = function(*(a.value for a in operands))
    except Exception:
        raise Other from None
    return Number(value, text, frozenset().union(*(a.names for a in operands)))


def follow(code, at, asked, truth, head, coming, local, globals_):
    """What a round does that begins and ends while the instruction at `at` runs, and takes this way where the value is asked for.

    `head` is where the loop begins, `coming` what its iterator has next, if it is one over a range. `local` and `globals_` have the numbers among what names hold (at the top of a module, where all names are global ones, `local` has them).
    Returns None where it may do anything that is not known; else (numbers of the local names that it reads or binds, global names of
    that kind, names of numbers that change, whether the loop has an iterator, a function from those numbers and what the iterator has
    next to what they are after the round, or to None where another round does something else; None where there are no such names).
    """
    round_ = Round(code, (local, globals_), asked, truth, head, coming)
    try:
        round_.run(at)
    except Other:
        return None
    path = sorted(round_.path.values(), key=lambda i: i.offset)
    slots_of = _loops.local_names(code)
    ok, reads, outer = _loops._body(path, slots_of, ())
    if not ok or any(i.opname in ("STORE_DEREF", "DELETE_FAST") for i in path):
        return None
    numbers = {name: a for name, a in round_.bound.items() if a is not THING and a.names}
    # What is made of a name that changes changes, too. (Other numbers are the same in each round, which is looked at.)
    changing = {NEXT} | {name for name, a in numbers.items() if name in a.names and a.text != f"_{name}"}
    while more := {name for name, a in numbers.items() if a.names & changing} - changing:
        changing |= more
    if changing & round_.used or any(a is not THING and a.names & changing for a in round_.stack):
        return None
    iterates = round_.instructions[round_.place[head]].opname == "FOR_ITER"
    moving = sorted(changing - {NEXT})
    # (A name that is made of others alone has not been bound yet in the first round.)
    if any(type(local.get(name)) not in NUMBERS for name in moving):
        return None
    conditions = dict.fromkeys(c.text for c in round_.conditions if c.names & changing)
    # Other names in the texts stay what they are.
    fixed = set().union(*(c.names for c in round_.conditions), *(numbers[name].names for name in moving)) - changing
    step = None
    if moving or conditions:
        after = "".join(f"{numbers[name].text}, " for name in moving)
        arguments = ", ".join([f"_{name}" for name in moving] + [NEXT] * iterates)
        text = f"lambda {arguments}: ({after}) if {' and '.join(conditions) or 'True'} else None"
        if len(text) > 4 * WORDS:
            return None
        step = eval(text, {f"_{name}": local[name] for name in fixed} | {"__builtins__": {}})
    bound = {i.argval for i in path if i.opname in ("STORE_FAST", "STORE_NAME")}
    if not round_.optimized:
        return reads, sorted(({*outer} | bound) - changing), moving, iterates, step
    slots = {*reads, *map(slots_of.index, bound)} - {*map(slots_of.index, moving)}
    return sorted(slots), outer, moving, iterates, step
