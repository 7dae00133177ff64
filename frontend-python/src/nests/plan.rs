//! Plans: what a translated loop works on, taken from a frame's variables and given back to them.
//!
//! A boundary file: it replaces references in frames.

use legate_jit_ir::nest::code::Ins;
use legate_jit_ir::nest::{self as ir, Given, Item};
use legate_jit_runtime::Array;
use legate_jit_runtime::nest::{Numbers, Program};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::numbers::{Number, element, is_float, number, object_of};
use crate::loops::frame;
use crate::{error, value};

/// Where something is found: what a variable holds, or an attribute of it, and so on.
struct Path {
    place: Place,
    attributes: Vec<Py<PyAny>>,
}

/// What must not change.
enum Same {
    Object,
    /// Of the same class.
    Class,
    /// The function that the last attribute finds in the class.
    Method,
}

/// Where a variable is found.
pub(super) enum Place {
    /// In the frame.
    Slot(usize),
    /// In the dictionary of the module's names.
    Name(Py<PyAny>),
    /// Among the names that are global, or else Python's own.
    Global(Py<PyAny>),
}

/// A loop that was translated.
pub(super) struct Plan {
    /// Kept, so that its address stays its own.
    pub(super) code: Py<PyAny>,
    /// The loop's, on the stack.
    pub(super) place: usize,
    pub(super) start: u32,
    pub(super) program: Program,
    inputs: Vec<(Path, char, usize)>,
    arrays: Vec<Path>,
    /// What must be as it was.
    objects: Vec<(Path, Py<PyAny>, Same)>,
    carried: Vec<(Place, char, usize)>,
}

type RawItem = (String, Option<u16>, Option<u16>, i64);
type RawProgram = (
    Vec<(String, Vec<u32>)>,
    Vec<RawItem>,
    Vec<String>,
    (usize, usize, usize, usize),
    Vec<(usize, i64)>,
    Vec<(usize, f64)>,
    usize,
);
type RawInput = (bool, Vec<Py<PyAny>>, char, usize);
type RawArray = (bool, Vec<Py<PyAny>>, String, usize, usize, bool);
type RawObject = (bool, Vec<Py<PyAny>>, Py<PyAny>, String);
type RawCarried = (Py<PyAny>, char, usize);
pub(super) type RawPlan = (RawProgram, Vec<RawInput>, Vec<RawArray>, Vec<RawObject>, Vec<RawCarried>);

/// What a plan works on.
pub(super) struct Gathered {
    pub(super) numbers: Numbers,
    pub(super) arrays: Vec<Array>,
}

impl Plan {
    pub(super) fn new(
        py: Python<'_>,
        (program, inputs, arrays, objects, carried): RawPlan,
        code: Py<PyAny>,
        (place, start): (usize, u32),
        find: impl Fn(bool, Py<PyAny>) -> PyResult<Place>,
    ) -> PyResult<Option<Plan>> {
        let path = |global: bool, mut names: Vec<Py<PyAny>>| -> PyResult<Path> {
            Ok(Path { place: find(global, names.remove(0))?, attributes: names })
        };
        let (code_of, items, functions, counts, int_constants, float_constants, variable) = program;
        let mut given = Vec::new();
        let mut places = Vec::new();
        for (global, names, dtype, axes, register, written) in arrays {
            let Some(dtype) = element(&dtype) else { return Ok(None) };
            given.push(Given { register, dtype, axes, written, unit: false });
            places.push(path(global, names)?);
        }
        let items = items.into_iter().map(|(kind, a, b, step)| match (kind.as_str(), a) {
            ("int", Some(a)) => Item::Int(a),
            ("new", _) => Item::New,
            _ => Item::Slice(a, b, step),
        });
        let of_bank = |floats: bool| {
            let these = carried.iter().filter(move |(_, kind, _)| is_float(*kind) == floats);
            these.map(|(_, _, register)| *register).collect::<Vec<_>>()
        };
        let code_of: Result<Vec<Ins>, _> = code_of.iter().map(|(name, operands)| Ins::new(name, operands)).collect();
        let program = ir::Program {
            code: code_of.map_err(|e| PyRuntimeError::new_err(e.to_string()))?,
            items: items.collect(),
            functions,
            ints: counts.0,
            floats: counts.1,
            views: counts.2,
            memories: counts.3,
            int_constants,
            float_constants: float_constants.into_iter().map(|(r, x): (usize, f64)| (r, x.to_bits())).collect(),
            arrays: given,
            variable,
            kept_ints: of_bank(false),
            kept_floats: of_bank(true),
        };
        let program = Program::new(program).map_err(|e| error::raise(py, e))?;
        let mut plan =
            Plan { code, place, start, program, inputs: vec![], arrays: places, objects: vec![], carried: vec![] };
        for (global, names, kind, register) in inputs {
            plan.inputs.push((path(global, names)?, kind, register));
        }
        for (global, names, object, same) in objects {
            let same = match same.as_str() {
                "object" => Same::Object,
                "class" => Same::Class,
                _ => Same::Method,
            };
            plan.objects.push((path(global, names)?, object, same));
        }
        for (name, kind, register) in carried {
            plan.carried.push((find(false, name)?, kind, register));
        }
        Ok(Some(plan))
    }

    /// What the variables hold, if it is of the kinds that the plan was made for.
    pub(super) fn gather(
        &self,
        py: Python<'_>,
        frame: &Bound<'_, PyAny>,
        layout: &frame::Layout,
    ) -> PyResult<Option<Gathered>> {
        let names = Names::new(frame)?;
        for (path, object, same) in &self.objects {
            let same = match same {
                Same::Object => names.follow(py, path, layout)?.is_some_and(|now| now.is(object)),
                Same::Class => names.follow(py, path, layout)?.is_some_and(|now| now.get_type().is(object)),
                Same::Method => names.finds_method(py, path, object, layout)?,
            };
            if !same {
                return Ok(None);
            }
        }
        let mut numbers = self.program.numbers();
        for (path, kind, register) in &self.inputs {
            let number = match names.follow(py, path, layout)? {
                Some(object) => number(py, &object, *kind),
                None => None,
            };
            match number {
                Some(Number::Int(n)) => numbers.ints[*register] = n,
                Some(Number::Float(n)) => numbers.floats[*register] = n,
                None => return Ok(None),
            }
        }
        let mut arrays = Vec::new();
        for (path, given) in self.arrays.iter().zip(self.program.given()) {
            let object = names.follow(py, path, layout)?;
            let array = object.as_ref().filter(|o| value::is_array(o)).and_then(|o| value::value(o)?.array());
            match array {
                Some(a) if a.dtype() == given.dtype && a.ndim() == given.axes && (a.writable() || !given.written) => {
                    arrays.push(a.clone());
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(Gathered { numbers, arrays }))
    }

    /// Gives the variables what the rounds left in them.
    pub(super) fn hand_back(
        &self,
        py: Python<'_>,
        frame: &Bound<'_, PyAny>,
        layout: &frame::Layout,
        numbers: &Numbers,
    ) -> PyResult<()> {
        for (place, kind, register) in &self.carried {
            let object = object_of(py, *kind, numbers, *register)?;
            match place {
                // SAFETY: a name of the code, whose frame is between two rounds.
                Place::Slot(n) => unsafe { layout.replace(frame, *n, object) },
                Place::Name(name) | Place::Global(name) => {
                    frame.getattr(intern!(py, "f_locals"))?.set_item(name, object)?;
                }
            }
        }
        Ok(())
    }
}

/// The names that a frame sees.
struct Names<'a, 'py> {
    frame: &'a Bound<'py, PyAny>,
    globals: Bound<'py, PyDict>,
    builtins: Bound<'py, PyDict>,
}

impl<'a, 'py> Names<'a, 'py> {
    fn new(frame: &'a Bound<'py, PyAny>) -> PyResult<Names<'a, 'py>> {
        let py = frame.py();
        let globals = frame.getattr(intern!(py, "f_globals"))?.cast_into::<PyDict>()?;
        let builtins = frame.getattr(intern!(py, "f_builtins"))?.cast_into::<PyDict>()?;
        Ok(Names { frame, globals, builtins })
    }

    fn follow(&self, py: Python<'py>, path: &Path, layout: &frame::Layout) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.walk(py, &path.place, &path.attributes, layout)
    }

    /// Whether the last attribute is this function of the object's class.
    fn finds_method(
        &self,
        py: Python<'py>,
        path: &Path,
        function: &Py<PyAny>,
        layout: &frame::Layout,
    ) -> PyResult<bool> {
        let Some((name, way)) = path.attributes.split_last() else { return Ok(false) };
        let Some(object) = self.walk(py, &path.place, way, layout)? else { return Ok(false) };
        let own = object.getattr(intern!(py, "__dict__"))?.contains(name)?;
        let of_class = object.get_type().getattr_opt(name.bind(py).cast::<PyString>()?)?;
        Ok(!own && of_class.is_some_and(|found| found.is(function)))
    }

    fn walk(
        &self,
        py: Python<'py>,
        place: &Place,
        attributes: &[Py<PyAny>],
        layout: &frame::Layout,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut object = self.get(py, place, layout)?;
        for name in attributes {
            // (Classes were compared before: their objects keep attributes in a dictionary.)
            let Some(of) = object else { return Ok(None) };
            object = of.getattr_opt(name.bind(py).cast::<PyString>()?)?;
        }
        Ok(object)
    }

    fn get(&self, py: Python<'py>, place: &Place, layout: &frame::Layout) -> PyResult<Option<Bound<'py, PyAny>>> {
        match place {
            // SAFETY: a name of the code; the slot is a reference or null.
            Place::Slot(n) => Ok(unsafe { Bound::from_borrowed_ptr_or_opt(py, layout.slot(self.frame, *n)) }),
            Place::Name(name) => self.globals.get_item(name),
            Place::Global(name) => match self.globals.get_item(name)? {
                Some(object) => Ok(Some(object)),
                None => self.builtins.get_item(name),
            },
        }
    }
}
