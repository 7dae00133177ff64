"""Where `while` loops are entered, and what stands there on the interpreter's stack.

A `while` loop has no iterator that could be exchanged. But an operation of ours that is called by an instruction of its body knows where
the frame is. If all that Python has done since the last line began was to put operands on the stack (names, constants, numbers made of
them), the frame's variables are what they were at that place: rounds are done from there round to there, and then the operands are put
together once more, from what the variables hold now, by a function that has just these instructions.
"""

import dis
import functools

from .. import _loops

#: What only puts operands on the stack.
PURE = frozenset(
    """
    BINARY_OP BUILD_SLICE BUILD_TUPLE CACHE COMPARE_OP COPY EXTENDED_ARG LOAD_ATTR LOAD_CONST LOAD_FAST LOAD_GLOBAL LOAD_METHOD LOAD_NAME NOP
    PUSH_NULL SWAP UNARY_NEGATIVE UNARY_NOT UNARY_POSITIVE
    """.split()
)

#: Operands of the instructions that lead to an operation of ours.
OPERANDS = {"BINARY_SUBSCR": 2, "STORE_SUBSCR": 3}

#: What uses the value of a local name.
USES = frozenset(["LOAD_FAST", "DELETE_FAST"])


def entries(code):
    """The instructions of a code's `while` loops at which a round may begin.

    A list of (offset, offset of the last operand's end, operands, place of the first on the stack, offset where the round begins,
    references on the stack there, loops, local names). Loops are (first offset, offset behind), the outermost first; the names are
    the numbers of those that the outermost binds and whose values are needed where the round begins.
    """
    if code.co_flags & _loops.GENERATOR or code.co_cellvars or code.co_freevars or len(code.co_code) > 2 * _loops.LONGEST:
        return []
    if _loops.LOOKING.intersection(code.co_names):
        return []
    instructions = _loops.instructions_of(code)
    place = {i.offset: n for n, i in enumerate(instructions)}
    loops = set()
    for i in instructions:
        if "JUMP_BACKWARD" in i.opname and _named(instructions, place[i.argval]).opname != "FOR_ITER":
            loops.add((i.argval, i.offset + 2))
    if not loops:
        return []
    depths = _loops.depths_of(code)
    loops = sorted((loop for loop in loops if loop[0] in depths), key=lambda loop: (loop[0], -loop[1]))
    found = []
    for n, i in enumerate(instructions):
        around = [loop for loop in loops if loop[0] <= i.offset < loop[1] and i.offset in depths]
        cut, count = _operands(instructions, n)
        if not around or cut is None:
            continue
        begins = _begins(instructions, depths, cut)
        for base in sorted({depths[loop[0]] for loop in around}):
            start = begins.get(base)
            these = [loop for loop in around if start is not None and depths[loop[0]] == base and loop[0] <= start]
            if these:
                end = instructions[cut].offset
                carried = _live(code)[start] & _bound(instructions, *these[0])
                names = [k for k in range(len(code.co_varnames)) if carried >> k & 1]
                found.append((i.offset, end, count, depths[end] - count, start, base, these, names))
                break
    return found


def _bound(instructions, first, behind):
    """The numbers of the local names that a loop binds, as bits."""
    names = {i.arg for i in instructions if i.opname == "STORE_FAST" and first <= i.offset < behind}
    return sum(1 << name for name in names)


def _operands(instructions, n):
    """Behind which instruction the operands of the one at a place are on the stack, and how many; (None, 0) where it has none for this."""
    i = instructions[n]
    if i.opname in OPERANDS:
        return n, OPERANDS[i.opname]
    if i.opname in ("PRECALL", "CALL") and i.arg == 0:
        # A method without arguments: its object is what counts.
        n -= 1 + (i.opname == "CALL")
        if instructions[n].opname == "LOAD_METHOD" and instructions[n].argval == "copy":
            return n - (instructions[n - 1].opname == "EXTENDED_ARG"), 1
    return None, 0


def _begins(instructions, depths, cut):
    """From where on nothing was done but to put operands on the stack: the last offsets, by how much is on the stack there."""
    found = {}
    for n in range(cut, 0, -1):
        i, before = instructions[n], instructions[n - 1]
        if before.opname != "EXTENDED_ARG":
            found.setdefault(depths[i.offset], i.offset)
        in_place = before.opname == "BINARY_OP" and before.argrepr.endswith("=")
        if i.is_jump_target or before.opname not in PURE or in_place or before.offset not in depths:
            break
    return found


def _named(instructions, n):
    """The instruction at a place, without what only lengthens its argument."""
    while instructions[n].opname == "EXTENDED_ARG":
        n += 1
    return instructions[n]


def operands(code, start, end, count):
    """The code of a function of all variables that returns the operands that the instructions from `start` to `end` put on the stack."""
    of, nop = dis.opmap, bytes([dis.opmap["NOP"], 0])
    # (All stays where it is, as the lines are found by offsets.)
    head = bytes([of["RESUME"], 0])
    if start > 16:
        over = (start - 6) // 2
        head += bytes([of["EXTENDED_ARG"], over >> 8, of["JUMP_FORWARD"], over & 255])
    last = bytes([of["BUILD_TUPLE"], count, of["RETURN_VALUE"], 0])
    old = code.co_code
    new = head + nop * ((start - len(head)) // 2) + old[start:end] + last
    new += nop * ((len(old) - len(new)) // 2)
    changes = dict(co_code=new, co_exceptiontable=b"", co_stacksize=code.co_stacksize + count)
    if code.co_flags & _loops.OPTIMIZED:
        names = len(code.co_varnames)
        flags = code.co_flags & ~0x0C
        changes.update(co_argcount=names, co_posonlyargcount=0, co_kwonlyargcount=0, co_flags=flags)
    return code.replace(**changes)


def live(code, start):
    """The local names whose values at an instruction may be used later."""
    known = _live(code)[start]
    return {name for n, name in enumerate(code.co_varnames) if known >> n & 1}


@functools.lru_cache(16)
def _live(code):
    """The numbers of those names, as bits, by the offsets of instructions."""
    instructions = _loops.instructions_of(code)
    place = {i.offset: n for n, i in enumerate(instructions)}
    handlers = [(e.start, e.end, place[e.target]) for e in dis._parse_exception_table(code)]
    # By instruction: what it does not let through, what it uses, and where the code goes on.
    steps = []
    for n, i in enumerate(instructions):
        there = [place[i.argval]] if i.opcode in dis.hasjrel or i.opcode in dis.hasjabs else []
        ends = i.opname in ("RETURN_VALUE", "RAISE_VARARGS", "RERAISE") or i.opname.startswith("JUMP_") and "_IF_" not in i.opname
        there += [] if ends or n + 1 == len(instructions) else [n + 1]
        there += [handler for first, end, handler in handlers if first <= i.offset < end]
        bit = 1 << i.arg if i.opname == "STORE_FAST" or i.opname in USES else 0
        steps.append((~bit if i.opname == "STORE_FAST" else -1, bit if i.opname in USES else 0, there))
    known = [0] * (len(instructions) + 1)
    changed = True
    while changed:
        changed = False
        for n in range(len(instructions) - 1, -1, -1):
            passes, now, there = steps[n]
            for k in there:
                now |= known[k] & passes
            if now != known[n]:
                known[n], changed = now, True
    return {i.offset: known[n] for n, i in enumerate(instructions)}
