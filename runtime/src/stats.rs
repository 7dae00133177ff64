//! Counters for `legate_jit.stats()`.

use crate::session::lock;

/// Name and value of each counter.
pub fn stats() -> Vec<(&'static str, u64)> {
    let (c, ahead) = {
        let session = lock();
        (session.counters, session.ahead.counters)
    };
    let k = crate::tier::counters();
    let (put_off, made) = crate::unread::counters();
    let (rank_launches, rank_fetches) = crate::ranks::counters();
    vec![
        ("kernels_compiled", k.kernels_compiled),
        ("kernels_refused", k.kernels_refused),
        ("cache_hits", k.cache_hits),
        ("cache_misses", k.cache_misses),
        ("cache_errors", k.cache_errors),
        ("compile_ns", k.compile_ns),
        ("recorded", c.recorded),
        ("at_once", c.inline),
        ("flushes", c.flushes),
        ("unplanned", c.unplanned),
        ("plans", c.plans),
        ("plan_hits", c.plan_hits),
        ("rounds_together", c.rounds_together),
        ("rounds_repeated", c.rounds_repeated),
        ("rounds_translated", c.rounds_translated),
        ("rounds_compiled", c.rounds_compiled),
        ("rounds_shared", c.rounds_shared),
        ("scalars_evaluated", c.eager_scalars),
        ("rounds_ahead", ahead.used),
        ("rounds_wasted", ahead.wasted),
        ("outputs_put_off", put_off),
        ("outputs_made_after_all", made),
        ("rank_launches", rank_launches),
        ("rank_fetches", rank_fetches),
        ("bytes_live", crate::buffer::bytes_live() as u64),
        ("bytes_peak", crate::buffer::bytes_peak() as u64),
        ("bytes_kept", crate::buffer::kept_bytes() as u64),
    ]
}
