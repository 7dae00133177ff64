//! How much time looking for loops may take: a part of what the program has taken since it first could have been looked at.
//!
//! The first look costs a process some milliseconds, and what is found has to be translated or watched. Whether that pays is only
//! known from how long the program runs: one that is done after five milliseconds is best left alone.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Looking may take one part of so many.
const SHARE: u32 = 3;
/// What the first look takes: modules are imported, code runs for the first time.
const FIRST: Duration = Duration::from_millis(3);

static BEGAN: OnceLock<Instant> = OnceLock::new();
/// What looks have taken, in nanoseconds.
static SPENT: AtomicU64 = AtomicU64::new(0);
/// Looks may take any time: for tests.
static ALWAYS: AtomicBool = AtomicBool::new(false);

/// A look at something for the first time. Its time counts.
pub struct Look(Instant);

/// Begins a look at something new, unless the program has not run for long enough.
pub fn begin() -> Option<Look> {
    let now = Instant::now();
    let ran = now - *BEGAN.get_or_init(|| now);
    let spent = Duration::from_nanos(SPENT.load(Ordering::Relaxed)).max(FIRST);
    (ran >= SHARE * spent || is_eager()).then_some(Look(now))
}

impl Drop for Look {
    fn drop(&mut self) {
        SPENT.fetch_add(self.0.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }
}

/// Looks at whatever comes from now on, whether that pays or not.
pub fn be_eager() {
    ALWAYS.store(true, Ordering::Relaxed);
}

/// Whether loops are taken for which that does not pay: for tests.
pub fn is_eager() -> bool {
    ALWAYS.load(Ordering::Relaxed)
}
