"""What lies in which registers where one piece of code goes on with another."""

from .calls import Calls
from .things import Refused, Unknown, array, is_, number, part


class Places(Calls):
    """Every variable, and every place on the stack, has registers where it lies between pieces."""

    def settle(self, thing, key):
        """Moves a thing to where it always lies under this key."""
        if is_(thing, "number"):
            bank = self.bank(thing[1])
            to = self.home(bank, key)
            if to != thing[2]:
                self.emit("move_" + bank, to, thing[2])
            return number(thing[1], to)
        if is_(thing, "array"):
            to = self.home("view", key)
            if to != thing[3]:
                self.emit("move_view", to, thing[3])
            return (*thing[:3], to, *thing[4:])
        if thing[0] in ("object", "instance", "bound", "iterator", "nothing"):
            return thing
        if is_(thing, "method"):
            return ("method", thing[1], self.settle(thing[2], (key, "self")))
        if thing[0] in ("tuple", "slice", "range"):
            return (thing[0], tuple(self.settle(part, (key, n)) for n, part in enumerate(thing[1])))
        raise Unknown

    def bind(self, stack, state, name, thing):
        """Gives a variable another value."""
        key = ("variable", name)
        if is_(thing, "array") and thing[5] == name and thing[3] == self.home("view", key):
            # An operation in place: the same array.
            return
        if is_(thing, "array") and thing[4] == key and name not in state:
            # The array that it has, perhaps handed through a function.
            return
        if "@" not in name:
            self.bound.add(name)
        self.only_name(thing)
        if is_(thing, "array") and name in self.carry:
            raise Refused
        if not is_(thing, "number"):
            thing = self.detached(thing, key)
        # What is on the stack keeps the value that the variable had.
        stack[:] = [self.detached(s, key) for s in stack]
        state[name] = self.settle(thing, key)

    def only_name(self, thing):
        """Refuses a second name for memory that the next round of an inner loop uses again."""
        if is_(thing, "array") and thing[4] is None and thing[5] is not None:
            raise Unknown
        if thing[0] in ("tuple", "slice", "range"):
            for part in thing[1]:
                self.only_name(part)

    def detached(self, thing, key):
        """The same thing where no variable's value lies."""
        if is_(thing, "number") and thing[2] == self.homes.get((self.bank(thing[1]), key)) and thing[3] is None:
            bank = self.bank(thing[1])
            new = self.register(bank)
            self.emit("move_" + bank, new, thing[2])
            return number(thing[1], new)
        if is_(thing, "array") and thing[3] == self.homes.get(("view", key)):
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
        if is_(one, "number") and is_(other, "number"):
            a, b = one[1], other[1]
            if a == b:
                return number(a, one[2] if one[2] == other[2] else None)
            if {a, b} <= set("fFEi"):
                return number("E", None)
            return None
        if is_(one, "array") and is_(other, "array") and one[1:3] == other[1:3]:
            if one[4] == other[4]:
                return (*one[:5], one[5] or other[5])
            if part(one[4]) == part(other[4]):
                return array(*one[1:4], part(one[4]), one[5] or other[5])
        if one[0] == other[0] and one[0] in ("tuple", "slice", "range") and len(one[1]) == len(other[1]):
            parts = tuple(self.joined(a, b) for a, b in zip(one[1], other[1]))
            return None if None in parts else (one[0], parts)
        return None

    def arrive(self, offset, stack, state):
        """Notes with what an instruction is reached, and moves everything to where it is expected."""
        # Everything is moved aside first: what lies in a place may be needed in another one.
        stack = [self.fresh(thing, ("stack", n)) for n, thing in enumerate(stack)]
        stack = [self.settle(thing, ("stack", n)) for n, thing in enumerate(stack)]
        state = {name: (*thing[:5], None) if is_(thing, "array") else thing for name, thing in state.items()}
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
        if is_(thing, "number"):
            bank = self.bank(thing[1])
            if key is not None and thing[2] == self.homes.get((bank, key)):
                return thing
            new = self.register(bank)
            self.emit("move_" + bank, new, thing[2])
            return number(thing[1], new)
        if is_(thing, "array"):
            if key is not None and thing[3] == self.homes.get(("view", key)):
                return thing
            new = self.register("view")
            self.emit("move_view", new, thing[3])
            return (*thing[:3], new, *thing[4:])
        if is_(thing, "method"):
            return ("method", thing[1], self.fresh(thing[2], (key, "self")))
        if thing[0] in ("tuple", "slice", "range"):
            return (thing[0], tuple(self.fresh(part, (key, n)) for n, part in enumerate(thing[1])))
        return thing

    def placed(self, thing, key):
        if is_(thing, "number"):
            return number(thing[1], self.home(self.bank(thing[1]), key))
        if thing[0] in ("tuple", "slice", "range"):
            return (thing[0], tuple(self.placed(part, (key, n)) for n, part in enumerate(thing[1])))
        return thing

    def convert(self, have, want):
        if is_(have, "number") and is_(want, "number") and self.bank(have[1]) != self.bank(want[1]):
            self.emit("to_float", want[2], have[2])
        elif have[0] in ("tuple", "slice", "range") and have[0] == want[0]:
            for a, b in zip(have[1], want[1]):
                self.convert(a, b)
