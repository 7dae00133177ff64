//! What the first computation of a process needs, made ready beside the import: memory that has been touched, rules and tables that are
//! made when they are first used, code that has been read from the file.
//!
//! All of it takes some milliseconds of a thread that ends then. Nobody waits for it but who needs the very thing that is being made,
//! and forks.

use std::any::Any;
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;

use legate_jit_ir::Graph;
use legate_jit_passes::Cx;

use crate::{buffer, inline, machine, pool};

/// Has some of everything that programs have.
const SAMPLE: &str = "
graph @sample(%0: f64[64, 64], $0: f64) -> (f64[64, 64], f64[]) {
  %1 = $0 : f64[]
  %2 = view %1 [] : f64[62, 62]
  %3 = view %0 [1 + d0, 2 + d1] : f64[62, 62]
  %4 = view %0 [1 + d0, d1] : f64[62, 62]
  %5 = add %3, %4 : f64[62, 62]
  %6 = multiply %2, %5 : f64[62, 62]
  %7 = maximum %6, %4 : f64[62, 62]
  %8 = exp %7 : f64[62, 62]
  %9 = update %0, %8 [1 + d0, 1 + d1] : f64[64, 64]
  %10 = subtract %9, %0 : f64[64, 64]
  %11 = square %10 : f64[64, 64]
  %12 = reduce add %11 [0, 1] : f64[]
  %13 = divide %12, %1 : f64[]
  %14 = sqrt %13 : f64[]
  return %9, %14
}
";

static THREAD: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

fn thread() -> MutexGuard<'static, Option<JoinHandle<()>>> {
    THREAD.lock().unwrap_or_else(|e| e.into_inner())
}

/// Begins, if there is a processor for it.
pub(crate) fn begin() {
    if pool::alone() {
        return;
    }
    // (By the thread that will ask for memory like this: others have heaps of their own.)
    let blocks = [(); BLOCKS].map(|()| Vec::with_capacity(BLOCK));
    let work = move || make_ready(blocks);
    *thread() = std::thread::Builder::new().name("legate-jit-start".into()).spawn(work).ok();
}

/// The end of the heap, where the first computation's small things will lie. A page of it costs the thread that touches it first up to
/// half a millisecond, if it is a huge one. In pieces that are taken from there, not from the system.
const BLOCKS: usize = 64;
const BLOCK: usize = 1 << 16;

fn make_ready(mut heap: [Vec<u8>; BLOCKS]) {
    let _beside = pool::Beside::begin();
    for block in &mut heap {
        block.spare_capacity_mut().iter_mut().step_by(1 << 12).for_each(|byte| _ = byte.write(0));
    }
    drop(heap);
    inline::find_some();
    machine::last_level_cache();
    buffer::touch_some();
    if let Ok(graph) = SAMPLE.parse::<Graph>() {
        let _ = legate_jit_passes::compile(&graph, &Cx::default());
    }
}

/// Waits until all is ready, and lets nobody begin while the result lives.
pub(crate) fn hold() -> Box<dyn Any> {
    let mut thread = thread();
    if let Some(thread) = thread.take() {
        let _ = thread.join();
    }
    Box::new(thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_can_be_planned() {
        let graph: Graph = SAMPLE.parse().unwrap();
        legate_jit_passes::compile(&graph, &Cx::default()).unwrap();
    }
}
