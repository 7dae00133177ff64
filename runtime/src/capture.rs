//! From the trace to the graph: run once for each structure, when no plan for it is known.

use legate_jit_ir::graph::{Op as Node, Opaque, Strides};
use legate_jit_ir::{DType, Graph, Shape, Type, Ufunc, Value, View};

use crate::layout::{Class, permuting};
use crate::trace::{Arg, Op, Part, Rec, Src, Trace, unpack};

struct Builder<'a> {
    trace: &'a Trace,
    graph: Graph,
    inputs: Vec<Option<Value>>,
    records: Vec<Value>,
}

/// The graph of a trace with these records as outputs; `donated` says which inputs nobody else holds.
pub(crate) fn graph(trace: &Trace, outputs: &[u32], donated: &[bool]) -> Graph {
    let mut b = Builder {
        trace,
        graph: Graph { name: "trace".into(), donated: donated.to_vec(), ..Graph::default() },
        inputs: vec![None; trace.inputs.len()],
        records: Vec::with_capacity(trace.recs.len()),
    };
    for (n, input) in trace.input_types.iter().enumerate() {
        let ty = Type::new(input.dtype, trace.layouts[input.layout as usize].shape());
        b.inputs[n] = Some(b.graph.push(Node::Input(n as u32), &[], ty));
    }
    for rec in &trace.recs {
        let value = b.record(rec);
        b.records.push(value);
    }
    b.graph.outputs = outputs.iter().map(|&r| b.records[r as usize]).collect();
    b.graph.without_dead()
}

impl Builder<'_> {
    fn record(&mut self, rec: &Rec) -> Value {
        let shape = self.trace.layouts[rec.shape as usize].shape();
        let perm = unpack(rec.perm, shape.len());
        let args = rec.args();
        match rec.op {
            Op::Map(ufunc) => {
                let values: Vec<Value> = args.iter().map(|a| self.operand(a, shape, &perm)).collect();
                self.graph.push(Node::Map(ufunc), &values, Type::new(rec.dtype, &permuted(shape, &perm)))
            }
            Op::Copy => {
                let value = self.operand(&args[0], shape, &perm);
                self.cast(value, rec.dtype)
            }
            Op::Update => {
                let layout = &self.trace.layouts[args[0].layout as usize];
                let base = self.whole(&args[0]);
                let base = self.reshape(base, &layout.lshape);
                let value = self.operand(&args[1], layout.shape(), &unpack(0, layout.ndim()));
                let value = self.cast(value, rec.dtype);
                let ty = Type::new(rec.dtype, &layout.lshape);
                self.graph.push(Node::Update(layout.view.clone()), &[base, value], ty)
            }
            Op::Reduce(n) => {
                let reduce = self.trace.reduces[n as usize].clone();
                let value = self.operand(&args[0], shape, &perm);
                let full = self.graph.ty(value).shape.clone();
                let kept: Shape =
                    (0..full.len()).filter(|k| !reduce.axes.contains(&(*k as u32))).map(|k| full[k]).collect();
                self.graph.push(Node::Reduce(reduce), &[value], Type { dtype: rec.dtype, shape: kept })
            }
            Op::Scan(ufunc, axis) => {
                let value = self.operand(&args[0], shape, &perm);
                let ty = Type { dtype: rec.dtype, shape: self.graph.ty(value).shape.clone() };
                self.graph.push(Node::Opaque(Opaque::Scan { ufunc, axis }), &[value], ty)
            }
            Op::Matmul => {
                let values: Vec<Value> = args
                    .iter()
                    .map(|a| {
                        let layout = &self.trace.layouts[a.layout as usize];
                        self.operand(a, layout.shape(), &unpack(0, layout.ndim()))
                    })
                    .collect();
                let strides = [self.strides(&args[0]), self.strides(&args[1])];
                self.graph.push(Node::Opaque(Opaque::Matmul(strides)), &values, Type::new(rec.dtype, shape))
            }
            Op::Index(axis) => self.graph.push(Node::Index(axis), &[], Type::new(DType::I64, shape)),
        }
    }

    /// How an operand of a product lies in memory as the program has it, which the graph does not show: `p.copy()` and what is filled
    /// with one number are views there. What has to be computed first is in C order.
    fn strides(&self, arg: &Arg) -> Strides {
        let layout = &self.trace.layouts[arg.layout as usize];
        let of = match arg.src {
            Src::Node(n) => self.trace.recs[n as usize].dtype,
            Src::Input(n) => self.trace.input_types[n as usize].dtype,
            Src::Scalar(_) | Src::Const(_) => return Strides::new(),
        };
        if layout.c_contiguous || arg.part != Part::Whole || of != arg.cast {
            return Strides::new();
        }
        layout.strides.clone()
    }

    /// The whole value that an argument names.
    fn whole(&mut self, arg: &Arg) -> Value {
        match arg.src {
            Src::Node(n) => self.records[n as usize],
            Src::Input(n) => self.inputs[n as usize].expect("inputs come first"),
            Src::Scalar(n) => {
                let dtype = self.trace.scalar_types[n as usize];
                self.graph.push(Node::Scalar(n), &[], Type::new(dtype, &[]))
            }
            Src::Const(n) => {
                let value = self.trace.consts[n as usize];
                self.graph.push(Node::Const(value), &[], Type::new(value.dtype, &[]))
            }
        }
    }

    /// An argument as the operation sees it: through its layout, broadcast, permuted, cast.
    fn operand(&mut self, arg: &Arg, shape: &[usize], perm: &[u32]) -> Value {
        let mut value = self.whole(arg);
        let mut view: Option<View> = None;
        let mut seen: Shape = Shape::new();
        if !matches!(arg.src, Src::Scalar(_) | Src::Const(_)) {
            let layout = self.trace.layouts[arg.layout as usize].clone();
            value = self.reshape(value, &layout.lshape);
            if layout.class != Class::Identity {
                view = Some(layout.view.clone());
            }
            seen = layout.shape().into();
        }
        if seen[..] != *shape {
            let broadcast = View::broadcast(&seen, shape);
            view = Some(match view {
                Some(v) => v.then(&broadcast),
                None => broadcast,
            });
        }
        if !crate::layout::is_sorted(perm) {
            let order = permuting(shape, perm);
            view = Some(match view {
                Some(v) => v.then(&order),
                None => order,
            });
        }
        if let Some(view) = view {
            let ty = Type { dtype: self.graph.ty(value).dtype, shape: view.shape.clone() };
            if !view.is_identity(&self.graph.ty(value).shape) {
                value = self.graph.push(Node::View(view), &[value], ty);
            }
        }
        if arg.part != Part::Whole {
            let ty = self.graph.ty(value);
            let ty = Type { dtype: ty.dtype.real(), shape: ty.shape.clone() };
            let part = if arg.part == Part::Real { Ufunc::Real } else { Ufunc::Imag };
            value = self.graph.push(Node::Map(part), &[value], ty);
        }
        self.cast(value, arg.cast)
    }

    fn cast(&mut self, value: Value, dtype: DType) -> Value {
        let ty = self.graph.ty(value);
        if ty.dtype == dtype {
            return value;
        }
        let ty = Type { dtype, shape: ty.shape.clone() };
        self.graph.push(Node::Cast, &[value], ty)
    }

    fn reshape(&mut self, value: Value, shape: &[usize]) -> Value {
        let ty = self.graph.ty(value);
        if ty.shape[..] == *shape {
            return value;
        }
        let ty = Type { dtype: ty.dtype, shape: shape.into() };
        self.graph.push(Node::Reshape, &[value], ty)
    }
}

fn permuted(shape: &[usize], perm: &[u32]) -> Shape {
    perm.iter().map(|&d| shape[d as usize]).collect()
}
