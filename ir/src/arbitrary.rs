//! Random graphs and inputs for tests, driven by a string of bytes: whoever shrinks the bytes shrinks the graph, and bytes from
//! a seeded generator give the same graph on every machine. It makes what the recorder can make and what it hardly ever
//! makes: views of views, writes through views, broadcasts, empty and 0-d arrays, every type.

use smallvec::SmallVec;

use crate::graph::{Op, Opaque, Order, Reduce, Reducer};
use crate::shape::{Shape, c_strides};
use crate::view::AxisMap;
use crate::{DType, Graph, Scalar, Type, Ufunc, Value, View};

/// Decisions, read from bytes; all are 0 when the bytes are used up.
pub struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices { bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below n (at most 256), which must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.byte() as usize % n
    }

    pub fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// True once in n.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    fn word(&mut self) -> u64 {
        (0..8).fold(0, |w, _| w << 8 | self.byte() as u64)
    }
}

/// Bytes from a seed (splitmix64).
pub fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(count + 8);
    while out.len() < count {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend((z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(count);
    out
}

/// What graphs to make.
#[derive(Clone, Debug)]
pub struct Options {
    pub nodes: usize,
    pub dtypes: Vec<DType>,
    /// Operations that the vector math library computes, whose bits may depend on the code around them nowhere, but which are slow.
    pub transcendental: bool,
    pub opaque: bool,
    /// Extents to choose from.
    pub extents: Vec<usize>,
    /// No value has more elements than this.
    pub max_size: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            nodes: 12,
            dtypes: DType::ALL.to_vec(),
            transcendental: true,
            opaque: true,
            extents: vec![3, 4, 1, 2, 5, 8, 0],
            max_size: 600,
        }
    }
}

/// A valid graph with at least one output.
pub fn graph(c: &mut Choices, options: &Options) -> Graph {
    let mut make = Make { graph: Graph { name: "random".into(), ..Graph::default() }, options };
    let (mut inputs, mut scalars) = (0, 0);
    make.input(c, &mut inputs);
    while make.graph.nodes.len() < options.nodes && !c.is_empty() {
        match c.below(16) {
            0 => make.input(c, &mut inputs),
            1 => {
                let dtype = c.one_of(&options.dtypes);
                make.graph.push(Op::Scalar(scalars), &[], Type::new(dtype, &[]));
                scalars += 1;
            }
            2 => {
                let dtype = c.one_of(&options.dtypes);
                let value = element(c, dtype);
                let scalar = make.graph.push(Op::Const(value), &[], Type::new(dtype, &[]));
                let shape = make.graph.ty(make.value(c)).shape.clone();
                make.fit(scalar, &Type { dtype, shape });
            }
            3 => {
                let shape = make.shape(c);
                if !shape.is_empty() {
                    let axis = c.below(shape.len()) as u32;
                    make.graph.push(Op::Index(axis), &[], Type { dtype: DType::I64, shape });
                }
            }
            4 | 5 => make.view(c),
            6 => make.cast(c),
            7 => make.reshape(c),
            8 | 9 => make.update(c),
            10 => make.reduce(c),
            11 if options.opaque => make.opaque(c),
            _ => make.map(c),
        }
    }
    let mut graph = make.graph;
    let count = 1 + c.below(3);
    let last = Value(graph.nodes.len() as u32 - 1);
    graph.outputs.push(last);
    for _ in 1..count {
        let v = Value((c.byte() as usize * 7 % graph.nodes.len()) as u32);
        graph.outputs.push(v);
    }
    graph.donated = (0..inputs).map(|_| c.once_in(3)).collect();
    graph
}

struct Make<'a> {
    graph: Graph,
    options: &'a Options,
}

impl Make<'_> {
    /// Late values more often than early ones, so that graphs get deep.
    fn value(&self, c: &mut Choices) -> Value {
        let n = self.graph.nodes.len();
        let back = if c.once_in(3) { c.below(n.min(256)) } else { c.below(n.min(4)) };
        Value((n - 1 - back) as u32)
    }

    fn shape(&self, c: &mut Choices) -> Shape {
        let rank = c.one_of(&[2, 1, 2, 3, 0]);
        let mut shape: Shape = (0..rank).map(|_| c.one_of(&self.options.extents)).collect();
        while crate::shape::size(&shape) > self.options.max_size {
            shape.pop();
        }
        shape
    }

    fn input(&mut self, c: &mut Choices, inputs: &mut u32) {
        let dtype = c.one_of(&self.options.dtypes);
        let shape = self.shape(c);
        self.graph.push(Op::Input(*inputs), &[], Type { dtype, shape });
        *inputs += 1;
    }

    /// The value with this type: cast, and broadcast or cut to the shape.
    fn fit(&mut self, v: Value, ty: &Type) -> Value {
        let mut v = v;
        let shape = self.graph.ty(v).shape.clone();
        if shape != ty.shape {
            let offset = ty.shape.len() as i64 - shape.len() as i64;
            let axes = shape.iter().enumerate().map(|(k, &n)| {
                let d = k as i64 + offset;
                match ty.shape.get(d as usize) {
                    Some(&m) if d >= 0 && n >= m && n > 0 => AxisMap::along(0, d as usize, 1),
                    _ => AxisMap::at(0),
                }
            });
            let view = View { shape: ty.shape.clone(), axes: axes.collect() };
            if shape.contains(&0) && !ty.shape.contains(&0) {
                // Nothing can be read from an empty array; a constant takes its place.
                let zero = Scalar { dtype: ty.dtype, bits: [0, 0] };
                let zero = self.graph.push(Op::Const(zero), &[], Type::new(ty.dtype, &[]));
                return self.fit(zero, ty);
            }
            v = self.graph.push(Op::View(view), &[v], Type { dtype: self.graph.ty(v).dtype, shape: ty.shape.clone() });
        }
        if self.graph.ty(v).dtype != ty.dtype {
            v = self.graph.push(Op::Cast, &[v], ty.clone());
        }
        v
    }

    /// A slice, or one index, of an axis of this extent: (start, step, extent of the result; `None` for one index).
    fn slice(&self, c: &mut Choices, n: usize) -> (i64, i64, Option<usize>) {
        match c.below(8) {
            0 | 1 => (0, 1, Some(n)),
            2 if n > 1 => (1, 1, Some(n - 1)),
            3 if n > 1 => (0, 1, Some(n - 1)),
            4 if n > 2 => (1, 1, Some(n - 2)),
            5 if n > 0 => (n as i64 - 1, -1, Some(n)),
            6 if n > 0 => {
                let start = c.below(n);
                let step = 1 + c.below(3);
                (start as i64, step as i64, Some((n - start).div_ceil(step)))
            }
            7 if n > 0 => (c.below(n) as i64, 0, None),
            _ => (0, 1, Some(n)),
        }
    }

    /// Basic indexing; what it names is never named twice.
    fn indexing(&self, c: &mut Choices, shape: &[usize]) -> View {
        let mut view = View { shape: Shape::new(), axes: SmallVec::new() };
        for &n in shape {
            if view.shape.len() < 5 && c.once_in(8) {
                view.shape.push(1);
            }
            let (start, step, extent) = self.slice(c, n);
            view.axes.push(match extent {
                Some(extent) => {
                    view.shape.push(extent);
                    AxisMap::along(start, view.shape.len() - 1, step)
                }
                None => AxisMap::at(start),
            });
        }
        let rank = view.shape.len();
        if rank > 1 && c.once_in(3) {
            let (i, j) = (c.below(rank), c.below(rank));
            view = view.then(&permuted(&view.shape, i, j));
        }
        view
    }

    fn view(&mut self, c: &mut Choices) {
        let v = self.value(c);
        let ty = self.graph.ty(v).clone();
        let rank = ty.shape.len();
        let mut view = self.indexing(c, &ty.shape);
        match c.below(6) {
            0 => {
                // A new axis along which all elements repeat.
                let lead = c.one_of(&self.options.extents);
                let mut to = view.shape.clone();
                to.insert(0, lead);
                let spread = View::broadcast(&view.shape, &to);
                view = view.then(&View { shape: to, ..spread });
            }
            1 if rank >= 2 && ty.shape[0] > 0 && ty.shape[1] > 0 => {
                let n = ty.shape[0].min(ty.shape[1]);
                let mut shape: Shape = [n].as_slice().into();
                shape.extend_from_slice(&ty.shape[2..]);
                let axes = (0..rank).map(|k| AxisMap::along(0, k.saturating_sub(1), 1)).collect();
                view = View { shape, axes };
            }
            _ => {}
        }
        if crate::shape::size(&view.shape) <= self.options.max_size {
            let ty = Type { dtype: ty.dtype, shape: view.shape.clone() };
            self.graph.push(Op::View(view), &[v], ty);
        }
    }

    fn cast(&mut self, c: &mut Choices) {
        let v = self.value(c);
        let ty = Type { dtype: c.one_of(&self.options.dtypes), shape: self.graph.ty(v).shape.clone() };
        self.graph.push(Op::Cast, &[v], ty);
    }

    fn reshape(&mut self, c: &mut Choices) {
        let v = self.value(c);
        let ty = self.graph.ty(v).clone();
        let size = ty.size();
        let shape: Shape = match c.below(4) {
            0 => [size].as_slice().into(),
            1 if size.is_multiple_of(2) => [size / 2, 2].as_slice().into(),
            2 => [1, size].as_slice().into(),
            3 if size.is_multiple_of(3) => [3, size / 3, 1].as_slice().into(),
            _ => ty.shape.iter().rev().copied().collect(),
        };
        self.graph.push(Op::Reshape, &[v], Type { dtype: ty.dtype, shape });
    }

    fn update(&mut self, c: &mut Choices) {
        let base = self.value(c);
        let ty = self.graph.ty(base).clone();
        let window = self.indexing(c, &ty.shape);
        let value = self.value(c);
        let value = self.fit(value, &Type { dtype: ty.dtype, shape: window.shape.clone() });
        self.graph.push(Op::Update(window), &[base, value], ty);
    }

    fn map(&mut self, c: &mut Choices) {
        // The most common ones more often.
        use Ufunc::*;
        let common =
            [Add, Multiply, Subtract, Divide, Where, Maximum, Less, Negative, Square, LogicalAnd, LogicalNot, Power];
        let ufunc = if c.once_in(2) { Ufunc::ALL[c.below(Ufunc::ALL.len())] } else { c.one_of(&common) };
        if ufunc.props().transcendental && !self.options.transcendental {
            return;
        }
        let v = self.value(c);
        let ty = self.graph.ty(v).clone();
        let allowed = |d: &DType| self.options.dtypes.contains(d);
        let signatures: Vec<_> =
            ufunc.signatures().filter(|s| s.ins().iter().all(allowed) && allowed(&s.out)).collect();
        let own = signatures.iter().find(|s| s.ins().last() == Some(&ty.dtype)).copied();
        let Some(signature) = own.or_else(|| signatures.first().copied()) else { return };
        let args: SmallVec<[Value; 3]> = signature
            .ins()
            .iter()
            .enumerate()
            .map(|(i, &dtype)| {
                let arg = if i == 0 { v } else { self.value(c) };
                self.fit(arg, &Type { dtype, shape: ty.shape.clone() })
            })
            .collect();
        self.graph.push(Op::Map(ufunc), &args, Type { dtype: signature.out, shape: ty.shape });
    }

    fn reduce(&mut self, c: &mut Choices) {
        use Ufunc::*;
        let v = self.value(c);
        let ty = self.graph.ty(v).clone();
        let all: SmallVec<[u32; 4]> = (0..ty.shape.len() as u32).collect();
        let axes: SmallVec<[u32; 4]> = match c.below(3) {
            0 => all.clone(),
            1 => all.iter().copied().take(1).collect(),
            _ => all.iter().copied().filter(|_| c.once_in(2)).collect(),
        };
        let count: usize = axes.iter().map(|&k| ty.shape[k as usize]).product();
        let reducer = match c.below(8) {
            0..4 => Reducer::Ufunc(Add),
            4 if !ty.dtype.is_complex() => c.one_of(&[Reducer::ArgMin, Reducer::ArgMax]),
            _ => Reducer::Ufunc(c.one_of(&[Maximum, Minimum, Multiply, LogicalAnd, LogicalOr, BitwiseXor, Fmax])),
        };
        let dtype = match reducer {
            Reducer::ArgMin | Reducer::ArgMax => DType::I64,
            Reducer::Ufunc(ufunc) => match ufunc.out(&[ty.dtype, ty.dtype]) {
                Some(out) if out == ty.dtype || (ufunc.props().logical && out == DType::Bool) => out,
                _ => return,
            },
        };
        let identity = matches!(reducer, Reducer::Ufunc(u) if u.props().identity.is_some());
        if (count == 0 && !identity) || (axes.is_empty() && !matches!(reducer, Reducer::Ufunc(_))) {
            return;
        }
        let row = ty.shape.last().copied().unwrap_or(1).max(1);
        let chunked = axes == all && !all.is_empty() && count > 0 && c.once_in(4);
        let order = if chunked { Order::Chunked((row * (1 + c.below(3))) as u32) } else { Order::Tree };
        let shape = all.iter().filter(|k| !axes.contains(k)).map(|&k| ty.shape[k as usize]).collect();
        self.graph.push(Op::Reduce(Reduce { reducer, axes, order }), &[v], Type { dtype, shape });
    }

    fn opaque(&mut self, c: &mut Choices) {
        let v = self.value(c);
        let ty = self.graph.ty(v).clone();
        if c.once_in(2) && !ty.shape.is_empty() {
            let ufunc = c.one_of(&[Ufunc::Add, Ufunc::Multiply, Ufunc::Maximum]);
            if ufunc.out(&[ty.dtype, ty.dtype]) == Some(ty.dtype) {
                let axis = c.below(ty.shape.len()) as u32;
                self.graph.push(Op::Opaque(Opaque::Scan { ufunc, axis }), &[v], ty);
            }
        } else if ty.shape.len() == 2 && ty.dtype != DType::Bool {
            let other = self.value(c);
            let n = c.one_of(&self.options.extents);
            let other = self.fit(other, &Type { dtype: ty.dtype, shape: [ty.shape[1], n].as_slice().into() });
            let out = Type { dtype: ty.dtype, shape: [ty.shape[0], n].as_slice().into() };
            self.graph.push_matmul(v, other, out);
        }
    }
}

/// The identity of this shape with two axes exchanged.
fn permuted(shape: &[usize], i: usize, j: usize) -> View {
    let mut order: SmallVec<[usize; 8]> = (0..shape.len()).collect();
    order.swap(i, j);
    View {
        shape: order.iter().map(|&k| shape[k]).collect(),
        axes: (0..shape.len()).map(|k| AxisMap::along(0, order[k], 1)).collect(),
    }
}

/// The values at which operations go wrong: zeros, infinities, NaN, the ends of each type's range and their neighbours.
pub fn special(dtype: DType) -> Vec<Scalar> {
    let floats = [
        0.0,
        1.0,
        -1.0,
        2.0,
        -0.0,
        0.5,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -f64::NAN,
        3.0,
        -2.5,
        1e-310,
        f64::MAX,
        f64::MIN_POSITIVE,
        0.1,
        1e10,
        -1e-3,
    ];
    let singles = [f32::MAX, f32::MIN_POSITIVE, 1e-40, -1e-40, 16777217.0];
    match dtype {
        DType::Bool => vec![Scalar::bool(false), Scalar::bool(true)],
        DType::F64 => floats.iter().map(|&v| Scalar::f64(v)).collect(),
        DType::F32 => floats.iter().map(|&v| v as f32).chain(singles).map(Scalar::f32).collect(),
        DType::C128 => pairs(&floats).map(|(re, im)| Scalar::c128(re, im)).collect(),
        DType::C64 => pairs(&floats).map(|(re, im)| Scalar::c64(re as f32, im as f32)).collect(),
        _ => {
            let bits = 8 * dtype.size() as u32;
            let top = 1i128 << (bits - 1);
            [0, 1, 2, -1, 3, 5, -2, 7, top, top - 1, top + 1, 2 * top - 1, 100, bits as i128]
                .into_iter()
                .map(|v| Scalar::int(dtype, v))
                .collect()
        }
    }
}

fn pairs(values: &[f64]) -> impl Iterator<Item = (f64, f64)> + '_ {
    values.iter().enumerate().map(|(i, &re)| (re, values[(i * 5 + 1) % values.len()]))
}

/// A special value, or an ordinary one.
pub fn element(c: &mut Choices, dtype: DType) -> Scalar {
    let special = special(dtype);
    match c.below(3) {
        0 => special[c.below(special.len())],
        _ => {
            let word = c.word();
            let real = || (word as i32 as f64) / 65536.0;
            match dtype {
                DType::F64 => Scalar::f64(real()),
                DType::F32 => Scalar::f32(real() as f32),
                DType::C128 => Scalar::c128(real(), (word >> 32) as i32 as f64 / 65536.0),
                DType::C64 => Scalar::c64(real() as f32, (word >> 32) as i32 as f32 / 65536.0),
                _ => Scalar::int(dtype, word as i64 as i128 >> (word % 64)),
            }
        }
    }
}

/// The elements of an array of this type, in C order.
pub fn elements(c: &mut Choices, ty: &Type) -> Vec<Scalar> {
    debug_assert_eq!(c_strides(&ty.shape).len(), ty.shape.len());
    (0..ty.size()).map(|_| element(c, ty.dtype)).collect()
}

/// The types of the inputs and of the scalars of a graph, by number.
pub fn arguments(graph: &Graph) -> (Vec<Option<Type>>, Vec<Option<Type>>) {
    let (mut inputs, mut scalars) = (Vec::new(), Vec::new());
    for node in &graph.nodes {
        let (list, n) = match node.op {
            Op::Input(n) => (&mut inputs, n as usize),
            Op::Scalar(n) => (&mut scalars, n as usize),
            _ => continue,
        };
        if list.len() <= n {
            list.resize(n + 1, None);
        }
        list[n] = Some(node.ty.clone());
    }
    (inputs, scalars)
}
