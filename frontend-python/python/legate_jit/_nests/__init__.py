"""Loops over single elements and short rows, translated from bytecode into the code that the runtime runs.

`plan` follows the instructions of a loop's body with the types of its values in place of the values (abstract interpretation: Cousot
& Cousot, 1977), until the types at every jump are known, and writes an instruction of `runtime/src/nest/code.rs` for what each does.
What it does not know, or what could not be told apart from here, becomes an instruction to leave: Python does that round then.

Numbers have one letter for their type: i, f and b are Python's int, float and bool; I, F, S and B NumPy's int64, float64, float32 and
bool; E is a float of which only the value is known, Python's or NumPy's; U is an element of NumPy's other integers, which can be
looked at but not computed with.
"""

from .. import _loops
from .entry import entries, operands  # noqa: F401
from .flow import Translation
from .things import Refused, Unknown


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


def plan(code, start, optimized, variables, outside, within=None):
    """The translation of the loop of `code` whose `FOR_ITER` is at the offset `start`, or None; or of the `while` loop `within`
    these offsets, whose rounds are seen to begin at `start`.

    `variables` has what the names of the frame are bound to, `outside` the global names and
    Python's own (a ChainMap). Returns
    ((code, indices, functions, registers, constants, register of the loop's variable), inputs, arrays, objects, carried), where the
    last four name variables (whether global, name, …): numbers with their kinds and registers; arrays with the type of their elements,
    axes, register and whether they are written; what must stay as it is (an object, a class, the function of a method); numbers that
    a round leaves behind.
    """
    if _loops.LOOKING.intersection(code.co_names):
        return None
    instructions = _loops.instructions_of(code)
    steps = within is not None or _reads_its_number(instructions, start)
    if not steps:
        end = next(i.argval for i in instructions if i.offset == start)
        if any(i.opname == "BUILD_SLICE" and start < i.offset < end for i in instructions):
            # (What does the same to rows in every round is recorded, and that is soon known.)
            return None
    try:
        made = Translation(code, instructions, start, optimized, variables, outside, within).translate()
    except (Refused, Unknown):
        return None
    return made if steps or _worth(made[0][0]) else None
