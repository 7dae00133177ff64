"""Calls: of functions that have an instruction, and of the program's own, which are followed."""

import math

from .. import _loops
from .. import numpy as ours
from .things import CALLS, DEEPEST, FLOATS, FUNCTIONS, INTEGERS, MATH, NOT_PLAIN, TRUTHS, Unknown, WHOLE, is_, number
from .values import Code, Values


class Calls(Values):
    """What calls become."""

    def call(self, function, arguments):
        if is_(function, "method"):
            return self.method(function[1], function[2], arguments)
        if not is_(function, "object"):
            raise Unknown
        f = function[1]
        numbers = all(is_(a, "number") for a in arguments)
        if f is range and numbers and 1 <= len(arguments) <= 3 and all(a[1] == "i" for a in arguments):
            one, zero = self.constant(1), self.constant(0)
            full = {1: lambda stop: (zero, stop, one), 2: lambda start, stop: (start, stop, one), 3: lambda *all: all}
            return ("range", full[len(arguments)](*arguments))
        if f is slice and 1 <= len(arguments) <= 3:
            none = ("object", None)
            parts = [none, *arguments] if len(arguments) == 1 else list(arguments)
            return ("slice", tuple(parts + [none] * (3 - len(parts))))
        if f is len and len(arguments) == 1 and is_(arguments[0], "array") and arguments[0][2] > 0:
            return self.length(arguments[0], 0)
        if numbers and f in (min, max) and len(arguments) == 2:
            x, y = arguments
            return self.choose(x, y, "less", *((y[2], x[2]) if f is min else (x[2], y[2])))
        if len(arguments) == 1 and numbers:
            return self.of_number(f, arguments[0])
        if f in (ours.dot, ours.inner, ours.matmul) and len(arguments) == 2:
            if f is ours.inner and any(is_(a, "array") and a[2] == 2 for a in arguments):
                raise Unknown
            return self.product(*arguments, by_dot=f is not ours.matmul)
        if len(arguments) == 1 and is_(arguments[0], "array"):
            for name, functions in (
                ("sum", (ours.sum,)),
                ("maximum", (ours.max, ours.amax)),
                ("minimum", (ours.min, ours.amin)),
            ):
                if f in functions:
                    return self.reduce(name, arguments[0])
            if f is ours.copy:
                return self.copied(arguments[0])
            if f in (ours.zeros_like, ours.empty_like):
                # (Nobody can say what is in new memory.)
                return self.full_like(arguments[0], self.constant(0.0))
            if f is ours.ones_like:
                return self.full_like(arguments[0], self.constant(1.0))
        raise Unknown

    def of_number(self, f, x):
        kind, register = x[1], x[2]
        if f is abs or f in (ours.abs, ours.absolute):
            if kind in TRUTHS + "U" or f is not abs and kind in "if":
                raise Unknown
            return self.result(kind, "absolute" + ("" if kind in FLOATS else "_int"), register)
        if f is float and kind in FLOATS + WHOLE:
            return number("f", self.as_float(x))
        if f is int and kind in FLOATS:
            return self.result("i", "to_int", register)
        if f is int and kind in WHOLE:
            return number("i", register)
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
            if len(self.codes) > CALLS:
                raise Unknown
            known = Code(len(self.codes), of, _loops.instructions_of(of), f.__globals__, place, of.co_varnames[: of.co_argcount])
            known.depth = code.depth + 1
            self.codes.append(known)
            self.called[place, of] = known
        known.height = len(stack)
        defaults = f.__defaults__ or ()
        given = len(defaults) - (of.co_argcount - len(arguments))
        arguments = [*arguments, *map(self.literal, defaults[given:])]
        state = dict(state)
        # (A parameter may be another name: whoever gave it the memory does not run meanwhile.)
        plain = [(*a[:5], None) if is_(a, "array") else a for a in arguments]
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
        # (The name of what is global is none of the function's.)
        if is_(thing, "array") and isinstance(thing[5], str) and thing[5].endswith(f"@{code.number}"):
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
