"""The way through the instructions of a loop, and their code."""

import types

from .. import _loops
from .entry import live
from .places import Places
from .things import ELEMENTS, FLOATS, Refused, TIMES, TRUTHS, TURNS, Unknown, is_, number, path
from .values import Code


class Translation(Places):
    """The translation of one loop."""

    def translate(self):
        """Follows the body until nothing new comes of it, then writes it."""
        self.carry = {}
        #: Names whose values nobody asks for where a round begins.
        self.dead = set()
        if self.is_while and self.optimized:
            self.dead = {*self.codes[0].code.co_varnames} - live(self.codes[0].code, self.start)
        for _ in range(TIMES):
            before = (dict(self.carry), set(self.live), set(self.bound))
            self.states, self.partly = {}, []
            self.follow()
            # What the rounds carry on must be of the kind with which they begin.
            ends = [state for stack, state in self.ends]
            changed = False
            perhaps = {name for name, _ in self.partly}.union(*ends)
            self.left = {}
            for name in sorted(self.bound - self.dead):
                # (What is only bound on ways that leave the round is Python's.)
                definite = name not in perhaps or all(name in state for state in ends)
                read = name in perhaps and self.read_elsewhere(name)
                things = [s[name] for s in ends if name in s] + [thing for n, thing in self.partly if n == name]
                if self.begins_with_array(name):
                    if any(not is_(thing, "array") or thing[4] != ("variable", name) for thing in things):
                        raise Refused
                elif name not in self.carry and read and definite:
                    self.left[name] = self.kind_at(ends, name)
                elif name in self.live or read:
                    if name not in self.carry:
                        if name not in self.variables:
                            raise Refused
                        self.carried(name)
                        changed = True
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
        kinds = {thing[1] if is_(thing, "number") else None for thing in things}
        if kinds <= {self.carry[name]}:
            return False
        if self.carry[name] not in "if" or not kinds <= set("ifFE"):
            raise Refused
        self.carry[name] = self.inputs["variable", name] = "f" if kinds <= set("if") else "F"
        return True

    @staticmethod
    def kind_at(states, name):
        """The kind of number that a variable holds at the ends of rounds."""
        kinds = {state[name][1] if is_(state[name], "number") else None for state in states}
        if len(kinds) != 1 or kinds & {None, "E", "U"}:
            raise Refused
        return kinds.pop()

    def read_elsewhere(self, name):
        """Whether anything but the translated code may read what a round left in a variable."""
        reads = ("LOAD_FAST", "LOAD_NAME", "LOAD_GLOBAL", "LOAD_DEREF", "LOAD_CLOSURE", "DELETE_FAST", "DELETE_NAME")
        outside = (i for i in self.instructions if i.offset not in self.visited)
        return not self.optimized or any(i.opname in reads and i.argval == name for i in outside)

    def follow(self):
        depth = _loops.depths_of(self.codes[0].code)[self.start]
        self.variable = self.home("int", "the variable")
        if self.is_while:
            stack = [("nothing",)] * depth
            self.first = (0, self.start)
        else:
            stack = [("nothing",)] * (depth - 1) + [("iterator", None), number("i", self.variable)]
            self.first = (0, self.instructions[self.place[self.start] + 1].offset)
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
        turn = self.codes[there[0]].turn
        if turn is not None and there[1] == self.start and self.exchanges(state) and turn + 1 < TURNS:
            # Arrays have exchanged their names: one more turn, until they have those again with which the round began.
            following = (self.turn_after(turn).number, self.start)
            self.arrive(following, list(stack), state)
            self.emit("jump", ("offset", following))
        elif turn is not None and there[1] == self.start:
            self.ends.append((list(stack), dict(state)))
            self.emit("end_round")
        elif turn is None or self.low <= there[1] < self.end:
            self.arrive(there, list(stack), state)
            self.emit("jump", ("offset", there))
        else:
            self.emit("leave")

    def exchanges(self, state):
        """Whether a variable has the array that another one has to begin with."""
        if not self.is_while:
            return False
        arrays = ((name, thing[4]) for name, thing in state.items() if name not in self.dead and is_(thing, "array"))
        return any(whose is not None and whose[0] == "variable" and whose[1] != name for name, whose in arrays)

    def turn_after(self, turn):
        """The loop's code once more."""
        if turn + 1 == len(self.turns):
            code = Code(len(self.codes), self.turns[0].code, self.instructions, turn=turn + 1)
            code.leaders.add(self.start)
            self.turns.append(code)
            self.codes.append(code)
        return self.turns[turn + 1]

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
            if last is not None and code.turn is not None:
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
                function = function if is_(method, "nothing") else method
                if is_(function, "bound"):
                    arguments = [function[2], *arguments]
                    function = ("object", function[1])
                if is_(function, "object") and isinstance(function[1], types.FunctionType) and not _loops.permitted(function[1]):
                    self.enter(code, function[1], arguments, stack, state, following[1])
                    return
                stack.append(self.call(function, arguments))
            elif name == "RETURN_VALUE" and code.turn is None:
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
                if not is_(thing, "tuple") or len(thing[1]) != arg:
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
                if not (is_(x, "number") and is_(y, "number")):
                    raise Unknown
                stack.append(self.compare(arg, x, y))
            elif name == "IS_OP":
                y, x = stack.pop(), stack.pop()
                if y != ("object", None):
                    raise Unknown
                stack.append(self.constant((x == y) != bool(i.arg)))
            elif name == "UNARY_NEGATIVE":
                x = stack.pop()
                if not is_(x, "number") or x[1] in TRUTHS + "U":
                    raise Unknown
                stack.append(self.result(x[1], "negate" + ("" if x[1] in FLOATS else "_int"), x[2]))
            elif name == "UNARY_NOT":
                truth = self.truth(stack.pop())
                stack.append(self.constant(not truth) if isinstance(truth, bool) else self.result("b", "not", truth[1]))
            elif name == "GET_ITER":
                thing = stack.pop()
                if not is_(thing, "range"):
                    raise Unknown
                first = self.home("int", ("range", here), 3)
                self.emit("start_range", first, *(part[2] for part in thing[1]))
                stack.append(("iterator", first))
            elif name == "FOR_ITER":
                if not is_(stack[-1], "iterator") or stack[-1][1] is None:
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
                    self.bind(stack, inside, key[1], number("i", new))
                    self.jump((code.number, code.instructions[n + 1].offset), list(stack), inside)
                else:
                    new = self.home("int", ("number", here))
                    self.emit("next_of_range", stack[-1][1], new, over)
                    self.jump(following, [*stack, number("i", new)], dict(state))
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
        if is_(x, "number") and is_(y, "number"):
            return self.arithmetic(op, x, y)
        if is_(x, "array") and in_place:
            return self.update(op, x, y)
        if x[0] not in ("number", "array") or y[0] not in ("number", "array"):
            raise Unknown
        if op == "**":
            # A square is a product, in NumPy too.
            if not (is_(y, "number") and y[3] == 2 and y[1] == "i"):
                raise Unknown
            return self.map("*", x, x)
        return self.map(op, x, y)

    def assemble(self):
        code = _laid_out(self.pieces, self.first)
        if not any(name == "end_round" for name, _ in code):
            raise Refused
        ints = [(register, int(value)) for bank, register, value in self.constants.values() if bank == "int"]
        floats = [(register, float(value)) for bank, register, value in self.constants.values() if bank == "float"]
        after = {**self.carry, **self.left}
        carried = [(name, kind, self.home(self.bank(kind), ("variable", name))) for name, kind in after.items()]
        inputs = [
            (*path(origin), kind, self.home(self.bank(kind), origin)) for origin, kind in self.inputs.items()
        ]
        arrays = [
            (*path(origin), ELEMENTS[dtype][2], axes, register, written[0])
            for origin, (dtype, axes, register, written) in self.arrays.items()
        ]
        objects = [(*path(origin), value, "object") for origin, value in self.objects.items()]
        objects += [(*path(origin), of, "class") for origin, of in self.types.items()]
        objects += [(*path(origin), f, "method") for origin, f in self.methods.items()]
        counts = (self.registers["int"], self.registers["float"], self.registers["view"], self.memories)
        return (code, self.indices, self.functions, counts, ints, floats, self.variable), inputs, arrays, objects, carried


OTHERWISE = {"jump_if": "jump_unless", "jump_unless": "jump_if"}


def _in_order(pieces, first):
    """The pieces that something leads to, each before those to which it goes on, but for loops. (A function of the program comes where it
    is called.)"""
    seen, left, way = set(), [], [(first, False)]
    while way:
        place, done = way.pop()
        if done:
            left.append(place)
        elif place not in seen:
            seen.add(place)
            way.append((place, True))
            way += ((o[1], False) for _, operands in pieces[place] for o in operands if isinstance(o, tuple) and o[0] == "offset")
    return left[::-1]


def _laid_out(pieces, first):
    """The pieces one after the other, from the first, with places for labels: those that nothing leads to are left out."""
    order = _in_order(pieces, first)
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

    def again(head):
        """The end of the body of the loop with its head at this place: what the head does, the other way round."""
        first, variable, over = code[head][1]
        return [("again", [first, variable, ("to", final(head + 1))]), ("jump", [("to", final(places[over]))])]

    out, new = [], []
    for n, (name, operands) in enumerate(code):
        new.append(len(out))
        there = [("to", final(places[o])) if isinstance(o, tuple) else o for o in operands]
        if name == "jump" and there[0][1] <= n and code[there[0][1]][0] == "next_of_range":
            out += again(there[0][1])
        elif name in OTHERWISE and there[1][1] <= n:
            # Every way back is counted.
            out.append((OTHERWISE[name], [there[0], ("to", n + 1)]))
            head = there[1][1]
            out += again(head) if code[head][0] == "next_of_range" else [("jump_back", [there[1]])]
        elif name == "next_of_range" and there[2][1] <= n:
            out.append((name, [*there[:2], ("out", len(out) + 2)]))
            out.append(("jump", [("to", n + 1)]))
            out.append(("jump_back", [there[2]]))
        else:
            out.append(("jump_back" if name == "jump" and there[0][1] <= n else name, there))
    places = {"to": lambda n: new[n], "out": lambda n: n}
    return [(name, [places[o[0]](o[1]) if isinstance(o, tuple) else o for o in operands]) for name, operands in out]
