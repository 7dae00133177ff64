//! Ranks as threads of one process: whatever the graph, the tilings and the number of ranks, the bits are those of one process.

use std::sync::Arc;

use legate_jit_ir::arbitrary::{self, Choices, Options};
use legate_jit_ir::graph::{Op, Order, Reduce, Reducer};
use legate_jit_ir::{DType, Graph, Scalar, Type, Ufunc, View};
use smallvec::smallvec;

use super::controller::Controller;
use super::executor::Executor;
use super::message::Launch;
use super::tiling::{Held, Tiling};
use super::worker::work;
use crate::Tier;
use crate::buffer::Store;
use crate::exec::Prepared;
use crate::transport::threads::{Thread, connect};

fn prepare(graph: &Graph) -> Prepared {
    let plan = legate_jit_passes::compile(graph, &legate_jit_passes::Cx::default()).unwrap();
    Prepared::stepwise(plan, Tier::Vm).unwrap()
}

/// Runs a function on each rank, each in a thread.
fn on_ranks<R: Send>(ranks: usize, run: impl Fn(Thread) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let run = &run;
        let handles: Vec<_> = connect(ranks).into_iter().map(|t| scope.spawn(move || run(t))).collect();
        handles.into_iter().map(|h| h.join().unwrap()).collect()
    })
}

fn bytes_of(elements: &[Scalar]) -> Vec<u8> {
    elements.iter().flat_map(|e| e.to_bytes()[..e.dtype.size()].to_vec()).collect()
}

/// Equal elements; two NaNs count as equal, as their payload may follow the order of an instruction's operands.
fn assert_same(a: &[u8], b: &[u8], dtype: DType, what: &str) {
    let size = dtype.real().size();
    for (i, (x, y)) in a.chunks(size).zip(b.chunks(size)).enumerate() {
        let (p, q) = (Scalar::from_bytes(dtype.real(), x), Scalar::from_bytes(dtype.real(), y));
        let nan = dtype.kind() >= legate_jit_ir::dtype::Kind::Float && p.as_f64().is_nan() && q.as_f64().is_nan();
        assert!(x == y || nan, "{what}: number {i} is {p:?}, expected {q:?}");
    }
}

/// A cut of so many bytes into blocks at multiples of the element size, some of them empty.
fn any_tiling(c: &mut Choices, bytes: usize, item: usize, ranks: usize) -> Tiling {
    if c.once_in(4) {
        return Tiling::root(bytes, ranks);
    }
    let count = bytes / item;
    let mut offsets: Vec<usize> = (1..ranks)
        .map(|r| match c.once_in(3) {
            true => count * c.byte() as usize / 255 * item,
            false => count * r / ranks * item,
        })
        .collect();
    offsets.extend([0, bytes]);
    offsets.sort_unstable();
    Tiling::new(offsets)
}

fn check_random(seed: u64, options: &Options) {
    let bytes = arbitrary::bytes(seed, 4000);
    let (structure, data) = bytes.split_at(400);
    let mut graph = arbitrary::graph(&mut Choices::new(structure), options);
    graph.donated = vec![seed.is_multiple_of(3); graph.donated.len()];
    // The recorder makes these reductions over bool only.
    let recorded = |node: &legate_jit_ir::Node| match &node.op {
        Op::Reduce(r) => crate::tree::supported(r.reducer, graph.ty(node.args[0]).dtype),
        _ => true,
    };
    if !graph.nodes.iter().all(recorded) {
        return;
    }
    let plan = prepare(&graph);
    let (input_types, scalar_types) = arbitrary::arguments(&graph);
    let mut c = Choices::new(data);
    let scalars: Vec<[u64; 2]> =
        scalar_types.iter().map(|t| t.as_ref().map_or([0; 2], |t| arbitrary::element(&mut c, t.dtype).bits)).collect();
    let inputs: Vec<Vec<u8>> = input_types
        .iter()
        .map(|t| t.as_ref().map_or(Vec::new(), |t| bytes_of(&arbitrary::elements(&mut c, t))))
        .collect();
    let stores = |_: usize| inputs.iter().map(|b| Store::from_bytes(b).unwrap()).collect::<Vec<_>>();
    let expected = plan.run(&stores(0), &scalars);

    let ranks = 2 + c.below(4);
    let partition_bytes = c.one_of(&[1usize, 64, 2000]);
    let tilings: Vec<Tiling> = inputs
        .iter()
        .zip(&input_types)
        .map(|(b, t)| any_tiling(&mut c, b.len(), t.as_ref().map_or(1, |t| t.dtype.size()), ranks))
        .collect();
    let launch = Launch {
        inputs: (1..=inputs.len() as u64).collect(),
        outputs: (1000..1000 + graph.outputs.len() as u64).collect(),
        scalars: scalars.clone(),
        ..Launch::default()
    };
    let results = on_ranks(ranks, |transport| {
        let transport = Arc::new(transport);
        let me = crate::transport::Transport::rank(&*transport);
        let mut executor = Executor::new(transport, partition_bytes);
        // A rank has its own blocks and nonsense everywhere else.
        let memory: Vec<Arc<Store>> = inputs
            .iter()
            .zip(&tilings)
            .enumerate()
            .map(|(n, (data, tiling))| {
                let owned = tiling.owned(me);
                let block: Vec<u8> =
                    data.iter().enumerate().map(|(i, &b)| if owned.contains(&i) { b } else { 0xa5 }).collect();
                executor.hold(1 + n as u64, Held::new(tiling.clone()));
                Store::from_bytes(&block).unwrap()
            })
            .collect();
        let outputs = executor.launch(&plan, &launch, &memory);
        // The text of the error is rank 0's.
        outputs.map(|outputs| {
            outputs
                .into_iter()
                .map(|placed| {
                    executor.fetch(placed.id, &placed.store).unwrap();
                    placed.store
                })
                .collect::<Vec<_>>()
        })
    });
    match (expected, &results[0]) {
        (Ok(expected), Ok(got)) => {
            for ((e, g), &out) in expected.iter().zip(got).zip(&graph.outputs) {
                let what = format!("seed {seed}, {ranks} ranks, {partition_bytes} bytes, {tilings:?}\n{:?}", graph);
                assert_same(g.as_slice(), e.as_slice(), graph.ty(out).dtype, &what);
            }
        }
        (Err(expected), Err(got)) => assert_eq!(expected, *got),
        (expected, got) => {
            panic!("seed {seed}: {:?} in one process, {:?} on ranks", expected.err(), got.as_ref().err())
        }
    }
}

#[test]
fn small_random_graphs_keep_their_bits() {
    let options = Options { nodes: 10, ..Options::default() };
    (0..400).for_each(|seed| check_random(seed, &options));
}

#[test]
fn larger_random_graphs_keep_their_bits() {
    let extents = vec![3, 70, 1, 2, 131, 17, 90];
    let dtypes = vec![DType::F64, DType::F32, DType::I32, DType::Bool, DType::C64];
    let options = Options { nodes: 10, extents, dtypes, max_size: 30_000, ..Options::default() };
    (0..60).for_each(|seed| check_random(10_000 + seed, &options));
}

/// A controller in this thread and workers in others.
fn with_controller<R>(ranks: usize, partition_bytes: usize, f: impl FnOnce(&mut Controller) -> R) -> R {
    std::thread::scope(|scope| {
        let mut ends = connect(ranks).into_iter();
        let root = ends.next().unwrap();
        let workers: Vec<_> = ends.map(|t| scope.spawn(move || work(Arc::new(t)))).collect();
        let mut controller = Controller::new(Arc::new(root), partition_bytes).unwrap();
        let result = f(&mut controller);
        controller.shutdown().unwrap();
        workers.into_iter().for_each(|w| w.join().unwrap().unwrap());
        result
    })
}

fn read(controller: &mut Controller, store: &Store) -> Vec<u8> {
    if store.placed() != 0 {
        controller.take(store.placed(), store).unwrap();
    }
    store.as_slice().to_vec()
}

/// `p[1:-1, 1:-1] = .25 * (…)` and the l2 of the change, as the slides' Jacobi program records one iteration.
fn jacobi(n: usize) -> Graph {
    let mut g = Graph { name: "jacobi".into(), donated: vec![false], ..Graph::default() };
    let ty = Type::new(DType::F64, &[n, n]);
    let inner = Type::new(DType::F64, &[n - 2, n - 2]);
    let window = |i: usize, j: usize| {
        let mut view = View::identity(&[n - 2, n - 2]);
        (view.axes[0].start, view.axes[1].start) = (i as i64, j as i64);
        view
    };
    let p = g.push(Op::Input(0), &[], ty.clone());
    let mut sum = None;
    for (i, j) in [(1, 2), (1, 0), (2, 1), (0, 1)] {
        let part = g.push(Op::View(window(i, j)), &[p], inner.clone());
        sum = Some(match sum {
            None => part,
            Some(s) => g.push(Op::Map(Ufunc::Add), &[s, part], inner.clone()),
        });
    }
    let quarter = g.push(Op::Const(Scalar::f64(0.25)), &[], Type::new(DType::F64, &[]));
    let quarter = g.push(Op::View(View::broadcast(&[], &inner.shape)), &[quarter], inner.clone());
    let new = g.push(Op::Map(Ufunc::Multiply), &[quarter, sum.unwrap()], inner.clone());
    let updated = g.push(Op::Update(window(1, 1)), &[p, new], ty.clone());
    let change = g.push(Op::Map(Ufunc::Subtract), &[updated, p], ty.clone());
    let square = g.push(Op::Map(Ufunc::Multiply), &[change, change], ty.clone());
    let reduce = Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes: smallvec![0, 1], order: Order::Tree };
    let l2 = g.push(Op::Reduce(reduce), &[square], Type::new(DType::F64, &[]));
    g.outputs = vec![updated, l2];
    g
}

#[test]
fn jacobi_on_ranks_has_the_bits_of_one_process() {
    let n = 150;
    let plan = prepare(&jacobi(n));
    let data = bytes_of(&(0..n * n).map(|i| Scalar::f64((i as f64 * 0.37).sin())).collect::<Vec<_>>());
    let steps = 7;
    let mut expected = Vec::new();
    let mut p = Store::from_bytes(&data).unwrap();
    for _ in 0..steps {
        let out = plan.run(&[p], &[]).unwrap();
        expected.push(out[1].as_slice().to_vec());
        p = out[0].clone();
    }
    for ranks in [2, 3, 4, 7] {
        with_controller(ranks, 4096, |controller| {
            let mut q = Store::from_bytes(&data).unwrap();
            for expected in &expected {
                let out = controller.run(&plan, &[q], &[]).unwrap();
                q = out[0].clone();
                assert_ne!(q.placed(), 0, "a field of {} bytes lies on all ranks", q.bytes());
                assert_eq!(read(controller, &out[1]), *expected, "l2 on {ranks} ranks");
            }
            assert_eq!(read(controller, &q), p.as_slice(), "the field on {ranks} ranks");
        });
    }
}

/// `a @ x` for an m × k matrix.
fn matvec(m: usize, k: usize) -> Graph {
    let mut g = Graph { name: "matvec".into(), donated: vec![false; 2], ..Graph::default() };
    let a = g.push(Op::Input(0), &[], Type::new(DType::F64, &[m, k]));
    let x = g.push(Op::Input(1), &[], Type::new(DType::F64, &[k]));
    let mut column = View::identity(&[k]);
    column.shape = smallvec![k, 1];
    let x = g.push(Op::View(column), &[x], Type::new(DType::F64, &[k, 1]));
    let y = g.push_matmul(a, x, Type::new(DType::F64, &[m, 1]));
    g.outputs = vec![y];
    g
}

#[test]
fn a_matrix_times_a_vector_is_done_in_blocks_of_rows() {
    let data = |n: usize| bytes_of(&(0..n).map(|i| Scalar::f64((i as f64 * 0.91).cos())).collect::<Vec<_>>());
    for (m, k) in [(129, 40), (500, 333), (64, 7), (131, 2)] {
        let plan = prepare(&matvec(m, k));
        let (a, x) = (data(m * k), data(k));
        let stores = || [Store::from_bytes(&a).unwrap(), Store::from_bytes(&x).unwrap()];
        let expected = plan.run(&stores(), &[]).unwrap()[0].as_slice().to_vec();
        for ranks in [2, 3, 5] {
            with_controller(ranks, 64, |controller| {
                let out = controller.run(&plan, &stores(), &[]).unwrap();
                assert_eq!(out[0].placed() != 0, m >= 128, "{m} rows on {ranks} ranks");
                assert_eq!(read(controller, &out[0]), expected, "{m} × {k} on {ranks} ranks");
            });
        }
    }
}

#[test]
fn a_worker_that_cannot_go_on_ends_the_job() {
    let mut ends = connect(2).into_iter();
    let root = ends.next().unwrap();
    let worker = ends.next().unwrap();
    let worker = std::thread::spawn(move || work(Arc::new(worker)));
    let transport: &dyn crate::transport::Transport = &root;
    let launch = super::message::Message::Launch(Launch { plan: 77, ..Launch::default() });
    transport.broadcast(0, crate::transport::Tag::Command, launch.encode()).unwrap();
    let lost = transport.recv(1, crate::transport::Tag::Rows).unwrap_err();
    assert_eq!(lost.to_string(), "rank 1: rank 0 launched a plan that it has not sent");
    assert!(worker.join().unwrap().is_err());
}
