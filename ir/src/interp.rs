//! The reference interpreter: what graphs and plans mean. It is written to be read, not to be fast, and shares no code with the
//! tiers that it is a witness for.

mod plan;
mod reduce;
#[cfg(test)]
mod tests;

use crate::cast::cast;
use crate::graph::Opaque;
use crate::shape::{Shape, c_strides, size};
use crate::{DType, Error, Graph, Op, Result, Scalar, Type, Ufunc, View};

pub use plan::run_plan;
pub use reduce::{pairwise_sum, reduce};

/// An array: its elements' bytes in C order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tensor {
    pub dtype: DType,
    pub shape: Shape,
    pub bytes: Vec<u8>,
}

impl Tensor {
    pub fn zeros(dtype: DType, shape: &[usize]) -> Tensor {
        Tensor { dtype, shape: shape.into(), bytes: vec![0; size(shape) * dtype.size()] }
    }

    /// From elements in C order, each of the type.
    pub fn from_elements(dtype: DType, shape: &[usize], elements: impl IntoIterator<Item = Scalar>) -> Tensor {
        let mut bytes = Vec::with_capacity(size(shape) * dtype.size());
        for s in elements {
            assert_eq!(s.dtype, dtype, "an element of another type");
            bytes.extend(&s.to_bytes()[..dtype.size()]);
        }
        assert_eq!(bytes.len(), size(shape) * dtype.size(), "as many elements as the shape has");
        Tensor { dtype, shape: shape.into(), bytes }
    }

    pub fn f64(shape: &[usize], elements: &[f64]) -> Tensor {
        Tensor::from_elements(DType::F64, shape, elements.iter().map(|v| Scalar::f64(*v)))
    }

    /// 0-d.
    pub fn scalar(s: Scalar) -> Tensor {
        Tensor::from_elements(s.dtype, &[], [s])
    }

    pub fn ty(&self) -> Type {
        Type { dtype: self.dtype, shape: self.shape.clone() }
    }

    pub fn len(&self) -> usize {
        size(&self.shape)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The i-th element in C order.
    pub fn get(&self, i: usize) -> Scalar {
        Scalar::from_bytes(self.dtype, &self.bytes[i * self.dtype.size()..])
    }

    pub fn set(&mut self, i: usize, s: Scalar) {
        assert_eq!(s.dtype, self.dtype, "an element of another type");
        let n = self.dtype.size();
        self.bytes[i * n..][..n].copy_from_slice(&s.to_bytes()[..n]);
    }

    pub fn elements(&self) -> impl Iterator<Item = Scalar> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The element at an index of as many coordinates as there are axes.
    pub fn at(&self, index: &[usize]) -> Scalar {
        self.get(flat(&self.shape, index))
    }

    fn set_at(&mut self, index: &[usize], s: Scalar) {
        let i = flat(&self.shape, index);
        self.set(i, s);
    }
}

/// The place in C order of an index.
fn flat(shape: &[usize], index: &[usize]) -> usize {
    c_strides(shape).iter().zip(index).map(|(s, i)| *s as usize * i).sum()
}

/// Every index of the box `lo..hi`, in C order; one empty index if it has no axes.
fn indices_of(lo: &[usize], hi: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let (lo, hi) = (lo.to_vec(), hi.to_vec());
    let any = lo.iter().zip(&hi).all(|(l, h)| l < h);
    let mut next = any.then(|| lo.clone());
    std::iter::from_fn(move || {
        let current = next.take()?;
        let mut following = current.clone();
        for d in (0..following.len()).rev() {
            following[d] += 1;
            if following[d] < hi[d] {
                next = Some(following);
                break;
            }
            following[d] = lo[d];
        }
        Some(current)
    })
}

fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    indices_of(&vec![0; shape.len()], shape)
}

/// The arguments' values, and the values of the outputs.
pub fn run(graph: &Graph, inputs: &[Tensor], scalars: &[Scalar]) -> Result<Vec<Tensor>> {
    let values = run_all(graph, inputs, scalars)?;
    Ok(graph.outputs.iter().map(|v| values[v.index()].clone()).collect())
}

/// The value of every node.
pub fn run_all(graph: &Graph, inputs: &[Tensor], scalars: &[Scalar]) -> Result<Vec<Tensor>> {
    let mut values: Vec<Tensor> = Vec::with_capacity(graph.nodes.len());
    for (i, node) in graph.nodes.iter().enumerate() {
        let args: Vec<&Tensor> = node.args.iter().map(|a| &values[a.index()]).collect();
        let value = evaluate(&node.op, &args, &node.ty, inputs, scalars)
            .map_err(|m| Error::Invalid(format!("graph {}: %{i}: {m}", graph.name)))?;
        values.push(value);
    }
    Ok(values)
}

fn evaluate(
    op: &Op,
    args: &[&Tensor],
    ty: &Type,
    inputs: &[Tensor],
    scalars: &[Scalar],
) -> std::result::Result<Tensor, String> {
    let value = match op {
        Op::Input(n) => match inputs.get(*n as usize) {
            Some(t) => t.clone(),
            None => return Err(format!("there is no input {n}")),
        },
        Op::Scalar(n) => match scalars.get(*n as usize) {
            Some(s) => Tensor::scalar(*s),
            None => return Err(format!("there is no scalar {n}")),
        },
        Op::Const(s) => Tensor::scalar(*s),
        Op::Index(axis) => {
            let coordinates = indices(&ty.shape).map(|index| Scalar::i64(index[*axis as usize] as i64));
            Tensor::from_elements(DType::I64, &ty.shape, coordinates)
        }
        Op::View(view) => read(args[0], view),
        Op::Reshape => Tensor { shape: ty.shape.clone(), ..args[0].clone() },
        Op::Map(ufunc) => map(*ufunc, args, ty)?,
        Op::Cast => Tensor::from_elements(ty.dtype, &ty.shape, args[0].elements().map(|s| cast(s, ty.dtype))),
        Op::Update(view) => {
            let mut base = args[0].clone();
            for index in indices(&view.shape) {
                base.set_at(&view.eval(&index), args[1].at(&index));
            }
            base
        }
        Op::Reduce(r) => reduce(r, args[0])?,
        Op::Opaque(Opaque::Matmul(_)) => matmul(args[0], args[1], ty)?,
        Op::Opaque(Opaque::Scan { ufunc, axis }) => scan(*ufunc, *axis as usize, args[0], ty)?,
    };
    if value.ty() == *ty { Ok(value) } else { Err(format!("its value is {}, its type {ty}", value.ty())) }
}

/// The elements that a view names.
fn read(base: &Tensor, view: &View) -> Tensor {
    let elements = indices(&view.shape).map(|index| base.at(&view.eval(&index)));
    Tensor::from_elements(base.dtype, &view.shape, elements)
}

fn map(ufunc: Ufunc, args: &[&Tensor], ty: &Type) -> std::result::Result<Tensor, String> {
    let ins: Vec<DType> = args.iter().map(|a| a.dtype).collect();
    let Some(l) = ufunc.loops().iter().find(|l| l.signature.ins() == ins) else {
        return Err(format!("no {} for {ins:?}", ufunc.name()));
    };
    let element = |i: usize| {
        let row: Vec<Scalar> = args.iter().map(|a| a.get(i)).collect();
        (l.eval)(&row)
    };
    Ok(Tensor::from_elements(l.signature.out, &ty.shape, (0..ty.size()).map(element)))
}

/// An operation of two arguments whose result can be an argument again.
fn combine(ufunc: Ufunc, dtype: DType) -> std::result::Result<impl Fn(Scalar, Scalar) -> Scalar, String> {
    match ufunc.loops().iter().find(|l| l.signature.ins() == [dtype, dtype] && l.signature.out == dtype) {
        Some(l) => Ok(|x, y| (l.eval)(&[x, y])),
        None => Err(format!("no reduction by {} for {dtype}", ufunc.name())),
    }
}

/// Row times column, added from the first to the last; of bools "and" and "or".
fn matmul(a: &Tensor, b: &Tensor, ty: &Type) -> std::result::Result<Tensor, String> {
    let (add, multiply) = (combine(Ufunc::Add, a.dtype)?, combine(Ufunc::Multiply, a.dtype)?);
    let rank = ty.shape.len();
    let inner = a.shape[rank - 1];
    let mut out = Tensor::zeros(ty.dtype, &ty.shape);
    for index in indices(&ty.shape) {
        let (mut row, mut column) = (index.clone(), index.clone());
        let products = (0..inner).map(|k| {
            row[rank - 1] = k;
            column[rank - 2] = k;
            multiply(a.at(&row), b.at(&column))
        });
        // 0.0 comes first, so that no sum is -0.0.
        let zero = cast(Scalar::i64(0), ty.dtype);
        let sum = products.fold(zero, &add);
        out.set_at(&index, sum);
    }
    Ok(out)
}

fn scan(ufunc: Ufunc, axis: usize, a: &Tensor, ty: &Type) -> std::result::Result<Tensor, String> {
    let step = combine(ufunc, ty.dtype)?;
    let mut out = Tensor::from_elements(ty.dtype, &ty.shape, a.elements().map(|s| cast(s, ty.dtype)));
    for index in indices(&ty.shape).filter(|index| index[axis] > 0) {
        let mut before = index.clone();
        before[axis] -= 1;
        let value = step(out.at(&before), out.at(&index));
        out.set_at(&index, value);
    }
    Ok(out)
}
