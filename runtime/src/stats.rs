//! Counters for `legate_jit.stats()`.

use crate::session::lock;

/// Name and value of each counter.
pub fn stats() -> Vec<(&'static str, u64)> {
    let c = lock().counters;
    vec![
        ("recorded", c.recorded),
        ("flushes", c.flushes),
        ("plans", c.plans),
        ("plan_hits", c.plan_hits),
        ("scalars_evaluated", c.eager_scalars),
        ("bytes_live", crate::buffer::bytes_live() as u64),
        ("bytes_peak", crate::buffer::bytes_peak() as u64),
        ("bytes_kept", crate::buffer::kept_bytes() as u64),
    ]
}
