"""Which loops of a program do nothing but array operations, by their bytecode.

A loop over a `range` whose body only computes with arrays and with numbers that stay the same records the same operations in every
round. After a round has been seen, the others need no Python (`loops.rs`). What such a body may contain stands here, as what it may
(not as what it may not): instructions that read and bind local names, operators, indexing, calls; names of attributes and functions
that have no effect but on arrays of ours. A call of a function of the program is followed.
"""

import builtins
import dis
import functools
import math
import types

import numpy

from . import _native
from . import numpy as ours

#: Instructions of Python 3.11 without an effect outside the frame, but on arrays.
INSTRUCTIONS = frozenset(
    """
    BINARY_OP BINARY_SUBSCR BUILD_CONST_KEY_MAP BUILD_LIST BUILD_MAP BUILD_SLICE BUILD_TUPLE CACHE CALL COMPARE_OP CONTAINS_OP COPY
    COPY_FREE_VARS DELETE_FAST EXTENDED_ARG FOR_ITER GET_ITER JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT JUMP_FORWARD
    JUMP_IF_FALSE_OR_POP JUMP_IF_TRUE_OR_POP KW_NAMES LIST_EXTEND LOAD_ATTR LOAD_CONST LOAD_DEREF LOAD_FAST LOAD_GLOBAL LOAD_METHOD
    LOAD_NAME MAKE_CELL NOP POP_JUMP_BACKWARD_IF_FALSE POP_JUMP_BACKWARD_IF_NONE POP_JUMP_BACKWARD_IF_NOT_NONE
    POP_JUMP_BACKWARD_IF_TRUE POP_JUMP_FORWARD_IF_FALSE POP_JUMP_FORWARD_IF_NONE POP_JUMP_FORWARD_IF_NOT_NONE
    POP_JUMP_FORWARD_IF_TRUE POP_TOP PRECALL PUSH_NULL RESUME RETURN_VALUE STORE_DEREF STORE_FAST STORE_NAME STORE_SUBSCR SWAP
    UNARY_INVERT UNARY_NEGATIVE UNARY_NOT UNARY_POSITIVE UNPACK_SEQUENCE
    """.split()
)

#: Those that bind names, or unbind them.
BINDING = frozenset(["STORE_FAST", "STORE_DEREF", "STORE_NAME", "DELETE_FAST"])

#: What arrays, numbers and slices may be asked for.
ATTRIBUTES = frozenset(
    """
    T all any argmax argmin astype clip conj conjugate copy cumprod cumsum diagonal dot dtype fill flatten imag itemsize max mean min
    nbytes ndim prod ravel real reshape round shape size squeeze std strides sum swapaxes trace transpose var
    """.split()
)

#: Functions of ours, by their names in `legate_jit.numpy` and its `linalg`: their effects are recorded operations, and what they
#: record depends on no values.
FUNCTIONS = frozenset(
    """
    all amax amin any append arange argmax argmin around array_split asarray atleast_1d atleast_2d atleast_3d average broadcast_to clip
    column_stack concat concatenate copy copyto cross cumprod cumsum diag diagonal diff dot dsplit dstack einsum empty empty_like
    expand_dims eye fill_diagonal flip fliplr flipud full full_like hsplit hstack identity imag inner kron linspace matmul
    matrix_transpose max mean meshgrid min moveaxis ndim ones ones_like outer pad prod ptp ravel real repeat reshape roll rollaxis rot90
    round shape size split squeeze stack std sum swapaxes tensordot tile trace transpose trapezoid tri tril triu vander var vdot vsplit
    vstack where zeros zeros_like
    """.split()
)

#: Python's own functions that may be called, on numbers or on arrays.
BUILTINS = frozenset(
    getattr(builtins, name)
    for name in "abs bool complex divmod float int isinstance len max min pow range round slice sum tuple".split()
)

#: What the module `math` has.
MATH = {name: thing for name, thing in vars(math).items() if not name.startswith("_")}

#: Numbers and names that constants and defaults may be made of.
CONSTANTS = (int, float, complex, str, bytes, type(None), type(...))

#: Functions that may find local names by other ways than by their instructions.
LOOKING = frozenset(["dir", "eval", "exec", "locals", "vars", "_getframe"])

#: Functions of the program that are followed from one to the next.
DEEPEST = 8
#: Instructions of a function that is looked at.
LONGEST = 5_000

#: Of a code object whose local names are kept in its frame (`inspect.CO_OPTIMIZED`).
OPTIMIZED = 1

#: Of generators and coroutines.
GENERATOR = 0x20 | 0x80 | 0x200

PACKAGE = __file__.rpartition("_loops")[0]


@functools.lru_cache(16)
def instructions_of(code):
    """The instructions of a code object. (To find them takes some microseconds for each.)"""
    return list(dis.get_instructions(code))


@functools.lru_cache(16)
def depths_of(code):
    """How many references are on the stack before each of its instructions that can be reached without an exception, by offsets."""
    return _depths(instructions_of(code))


@functools.lru_cache(256)
def analyse(code):
    """What `loops.rs` wants to know of a code object.

    Returns (slots, optimized, library, instructions, whole, loops): the number of its local names; whether they are kept apart from
    the global ones; whether it is a part of this package; for each instruction (offset, references on the stack while it runs,
    whether it is an operator, whether it is a call); then a body for the whole code and (first offset, offset behind, place of the
    iterator on the stack, body, whether the variable may be left alone) for each loop. A body is (whether it may be repeated, numbers of
    the local names that it reads, global names that it reads).
    """
    names = local_names(code)
    optimized = bool(code.co_flags & OPTIMIZED)
    library = code.co_filename.startswith(PACKAGE)
    if library or code.co_flags & GENERATOR or len(code.co_code) > 2 * LONGEST:
        return len(names), optimized, library, [], (False, [], []), []
    instructions, depths = instructions_of(code), depths_of(code)
    lines = []
    for i in instructions:
        if i.offset in depths:
            called = i.opname == "CALL"
            # The arguments of a function that runs are its own; only its result will come back.
            after = depths[i.offset] + dis.stack_effect(i.opcode, i.arg, jump=False) - 1 if called else depths[i.offset]
            lines.append((i.offset, after, i.opname == "BINARY_OP", called))
    loops = []
    for n, i in enumerate(instructions):
        if i.opname == "FOR_ITER" and i.offset in depths:
            inner = [j for j in instructions if i.offset < j.offset < i.argval]
            bound = instructions[n + 1]
            variable = bound.argval if bound.opname in ("STORE_FAST", "STORE_NAME") else None
            ok, reads, outer = _body(inner, names, {variable})
            # What nobody reads need not have the last number of the range. (Names that a round binds and none reads are only right
            # after a round of Python's.)
            unread = bound.opname == "STORE_FAST" and not any(variable == _read(j) for j in instructions)
            others = (j.argval for j in inner if j.opname in BINDING and j.argval != variable)
            unread = unread and all(name in names and names.index(name) in reads for name in others)
            unread = unread and not LOOKING.intersection(code.co_names)
            body = (ok and variable is not None, reads, outer)
            loops.append((i.offset, i.argval, depths[i.offset] - 1, body, unread))
    return len(names), optimized, library, lines, _body(instructions, names, ()), loops


def local_names(code):
    """The local names of a code object in the order in which they lie in its frame."""
    names = list(code.co_varnames)
    names += [name for name in code.co_cellvars if name not in names]
    return names + list(code.co_freevars)


def _depths(instructions):
    """How many references are on the stack before each instruction that can be reached without an exception."""
    place = {i.offset: n for n, i in enumerate(instructions)}
    depths, todo = {}, [(0, 0)]
    while todo:
        n, depth = todo.pop()
        while n < len(instructions):
            i = instructions[n]
            if i.offset in depths:
                break
            depths[i.offset] = depth
            arg = i.arg if i.opcode >= dis.HAVE_ARGUMENT else None
            if i.opcode in dis.hasjrel or i.opcode in dis.hasjabs:
                todo.append((place[i.argval], depth + dis.stack_effect(i.opcode, arg, jump=True)))
            if i.opname in ("RETURN_VALUE", "RAISE_VARARGS", "RERAISE") or (
                i.opname.startswith("JUMP_") and "_IF_" not in i.opname
            ):
                break
            depth += dis.stack_effect(i.opcode, arg, jump=False)
            n += 1
    return depths


def _read(i):
    """The local name that an instruction reads, or None."""
    return i.argval if i.opname in ("LOAD_FAST", "LOAD_DEREF", "LOAD_CLOSURE") else None


def _body(instructions, names, unread):
    ok, reads, outer = True, set(), set()
    for n, i in enumerate(instructions):
        if i.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            ok = ok and (i.argval in ATTRIBUTES or i.argval in FUNCTIONS or i.argval in _names())
        elif i.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            outer.add(i.argval)
            ok = ok and i.argval not in unread
        elif i.opname == "IS_OP":
            ok = ok and instructions[n - 1].opname == "LOAD_CONST" and instructions[n - 1].argval is None
        elif i.opname == "LOAD_CONST":
            ok = ok and _constant(i.argval)
        elif i.opname not in INSTRUCTIONS:
            ok = False
        name = _read(i)
        if name is not None:
            ok = ok and name not in unread
            reads.add(names.index(name))
    return ok, sorted(reads), sorted(outer)


def is_harmless(instructions, names):
    """Whether instructions have no effects but on arrays and on the names that they bind."""
    return _body(instructions, names, ())[0]


def _constant(value):
    return all(map(_constant, value)) if isinstance(value, (tuple, frozenset)) else isinstance(value, CONSTANTS)


def _is_number_type(thing):
    return isinstance(thing, type) and issubclass(thing, numpy.generic)


_known = {}


def _names():
    """Attributes of modules that lead to permitted things."""
    if "names" not in _known:
        ufuncs = _native.ufuncs()
        _known["names"] = {"linalg", "norm", "pi", "e", "inf", "nan", "newaxis", *ufuncs, *MATH}
        _known["names"] |= {name for name, thing in vars(numpy).items() if _is_number_type(thing)}
    return _known["names"]


def _objects():
    """The modules, functions and types that a body may have in hand, by their addresses."""
    if "objects" not in _known:
        found = [ours, math, ours.linalg, ours.linalg.norm]
        found += [getattr(ours, name) for name in FUNCTIONS if hasattr(ours, name)]
        found += filter(callable, MATH.values())
        found += filter(_is_number_type, vars(numpy).values())
        found += BUILTINS
        _known["objects"] = {id(f): f for f in found}
    return _known["objects"]


def permitted(thing):
    """Whether a module, function or type may be in the hands of a body that is repeated."""
    if id(thing) in _objects() or isinstance(thing, (numpy.dtype, _native.ufunc)):
        return True
    if isinstance(thing, types.MethodDescriptorType):
        array = _native.ndarray
        return thing.__name__ in ATTRIBUTES and issubclass(array, thing.__objclass__)
    return False


def reach(frames, things):
    """What else a round depends on.

    `frames` are (globals, names that are read) of the functions that run, `things` the modules, functions and types among
    the values of local names. Returns the global names ((dictionary, name) pairs, with those of the functions that can be
    called) and the cells of closures; or None where something is not permitted.
    """
    pairs, cells, seen = {}, [], set()
    todo = [(globals_, names, DEEPEST) for globals_, names in frames]

    def follow(thing, depth):
        if not isinstance(thing, types.FunctionType):
            return permitted(thing) or not callable(thing) and not isinstance(thing, types.ModuleType)
        if id(thing) in _objects():
            return True
        if thing in seen:
            return True
        seen.add(thing)
        _, _, library, _, (ok, _, names), _ = analyse(thing.__code__)
        defaults = (thing.__defaults__ or ()) + tuple((thing.__kwdefaults__ or {}).values())
        if library or not ok or depth == 0 or not all(map(_constant, defaults)):
            return False
        todo.append((thing.__globals__, names, depth - 1))
        for cell in thing.__closure__ or ():
            cells.append(cell)
            todo.append(({"": cell.cell_contents}, [""], depth - 1))
        return True

    if not all(follow(thing, DEEPEST) for thing in things):
        return None
    while todo:
        globals_, names, depth = todo.pop()
        for name in names:
            if name in globals_:
                value = globals_[name]
                if name:
                    pairs[id(globals_), name] = (globals_, name)
            elif getattr(builtins, name, None) is None or globals_.get("__builtins__") not in (builtins, vars(builtins)):
                return None
            else:
                # (As long as nobody defines a global name like it.)
                pairs[id(globals_), name] = (globals_, name)
                value = getattr(builtins, name)
            if not follow(value, depth):
                return None
    return list(pairs.values()), cells


def probe(first, second, check):
    """Calls `check` in a frame of which everything is known."""
    for _ in range(3):
        return check(first, second)
