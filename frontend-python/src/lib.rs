//! The Python front end: `legate_jit._native`.
//!
//! Thin: objects are converted, the runtime is called, errors are translated. What NumPy composes of other functions is
//! composed in Python (`python/legate_jit/numpy`); what it has and we have not runs in NumPy (`_fallback.py`).

mod adopt;
mod cache;
mod capi;
mod convert;
mod convertible;
mod counted;
mod dtypes;
mod enumerated;
mod error;
mod fallback;
mod flags;
mod flat;
mod functions;
mod index;
mod interpolate;
mod lean;
mod lend;
mod looks;
mod loops;
mod methods;
mod nests;
mod operators;
mod passed;
mod picked;
mod protocol;
mod quick;
mod random;
mod ranks;
mod reduce;
mod sequence;
mod settings;
mod slots;
mod sort;
mod source;
mod ufunc;
mod value;

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Runs everything that is pending.
#[pyfunction]
fn sync(py: Python<'_>) -> PyResult<()> {
    adopt::detached(py, legate_jit_runtime::sync)
}

/// The runtime's counters.
#[pyfunction]
fn stats(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let all = PyDict::new(py);
    for (name, count) in legate_jit_runtime::stats() {
        all.set_item(name, count)?;
    }
    Ok(all)
}

#[pymodule]
fn _native(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    dtypes::init(py)?;
    capi::init(py)?;
    settings::init(py)?;
    looks::init(m)?;
    legate_jit_runtime::prepare();
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add_class::<value::Value>()?;
    m.add_class::<source::Source>()?;
    slots::init(m)?;
    m.add("owner", lean::class::<adopt::Owner>(py)?)?;
    m.add("flagsobj", lean::class::<flags::Flags>(py)?)?;
    m.add("ndenumerate", lean::class::<enumerated::Enumerated>(py)?)?;
    m.add("flatiter", lean::class::<flat::Flat>(py)?)?;
    m.add("ufunc", slots::ufunc_class(py)?)?;
    m.add_function(wrap_pyfunction!(sync, m)?)?;
    m.add_function(wrap_pyfunction!(stats, m)?)?;
    m.add_function(wrap_pyfunction!(error::set_strict, m)?)?;
    m.add_function(wrap_pyfunction!(ranks::work, m)?)?;
    m.add_function(wrap_pyfunction!(settings::config, m)?)?;
    m.add_function(wrap_pyfunction!(settings::set_tier, m)?)?;
    m.add_function(wrap_pyfunction!(settings::set_inline, m)?)?;
    m.add_function(wrap_pyfunction!(settings::plan_only, m)?)?;
    m.add_function(wrap_pyfunction!(settings::end_blas_threads, m)?)?;
    m.add_function(wrap_pyfunction!(settings::fallback_is_error, m)?)?;
    m.add_function(wrap_pyfunction!(ufunc::ufuncs, m)?)?;
    m.add_function(wrap_pyfunction!(ufunc::_unpickle_ufunc, m)?)?;
    m.add_function(wrap_pyfunction!(functions::zeros, m)?)?;
    m.add_function(wrap_pyfunction!(functions::ones, m)?)?;
    m.add_function(wrap_pyfunction!(functions::empty, m)?)?;
    m.add_function(wrap_pyfunction!(functions::full, m)?)?;
    m.add_function(wrap_pyfunction!(functions::zeros_like, m)?)?;
    m.add_function(wrap_pyfunction!(functions::ones_like, m)?)?;
    m.add_function(wrap_pyfunction!(functions::empty_like, m)?)?;
    m.add_function(wrap_pyfunction!(functions::full_like, m)?)?;
    m.add_function(wrap_pyfunction!(functions::arange, m)?)?;
    m.add_function(wrap_pyfunction!(functions::array, m)?)?;
    m.add_function(wrap_pyfunction!(functions::asarray, m)?)?;
    m.add_function(wrap_pyfunction!(functions::asvalue, m)?)?;
    m.add_function(wrap_pyfunction!(functions::ascontiguousarray, m)?)?;
    m.add_function(wrap_pyfunction!(functions::copy, m)?)?;
    m.add_function(wrap_pyfunction!(functions::where_, m)?)?;
    m.add_function(wrap_pyfunction!(functions::nonzero_of, m)?)?;
    m.add_function(wrap_pyfunction!(functions::bincount_of, m)?)?;
    m.add_function(wrap_pyfunction!(functions::coordinates, m)?)?;
    m.add_function(wrap_pyfunction!(functions::count_of, m)?)?;
    m.add_function(wrap_pyfunction!(functions::concatenate, m)?)?;
    m.add_function(wrap_pyfunction!(functions::matmul, m)?)?;
    m.add_function(wrap_pyfunction!(functions::sum, m)?)?;
    m.add_function(wrap_pyfunction!(functions::prod, m)?)?;
    m.add_function(wrap_pyfunction!(functions::min, m)?)?;
    m.add_function(wrap_pyfunction!(functions::max, m)?)?;
    m.add_function(wrap_pyfunction!(functions::any, m)?)?;
    m.add_function(wrap_pyfunction!(functions::all, m)?)?;
    m.add_function(wrap_pyfunction!(functions::argmin, m)?)?;
    m.add_function(wrap_pyfunction!(functions::argmax, m)?)?;
    m.add_function(wrap_pyfunction!(functions::cumsum, m)?)?;
    m.add_function(wrap_pyfunction!(functions::cumprod, m)?)?;
    quick::init(m)?;
    m.add_function(wrap_pyfunction!(loops::look_for_loops, m)?)?;
    m.add_function(wrap_pyfunction!(quick::in_front, m)?)?;
    m.add_function(wrap_pyfunction!(quick::indexed_together, m)?)?;
    m.add("asanyarray", m.getattr("asarray")?)?;
    m.add_function(wrap_pyfunction!(functions::adopt_array, m)?)?;
    m.add_function(wrap_pyfunction!(random::draw, m)?)?;
    m.add_function(wrap_pyfunction!(source::source_class, m)?)?;
    m.add_function(wrap_pyfunction!(source::around, m)?)?;
    m.add_function(wrap_pyfunction!(functions::host, m)?)?;
    m.add_function(wrap_pyfunction!(flags::flags_of, m)?)?;
    m.add_function(wrap_pyfunction!(fallback::run_in_numpy, m)?)?;
    m.add_function(wrap_pyfunction!(fallback::call_numpy, m)?)?;
    m.add_function(wrap_pyfunction!(passed::passed, m)?)?;
    m.add_function(wrap_pyfunction!(counted::count, m)?)?;
    m.add_function(wrap_pyfunction!(counted::call_counts, m)?)?;
    m.add_function(wrap_pyfunction!(functions::_unpickle_array, m)?)?;
    m.add_function(wrap_pyfunction!(functions::_unpickle_scalar, m)?)?;
    m.add_function(wrap_pyfunction!(cache::cache_dir, m)?)?;
    m.add_function(wrap_pyfunction!(cache::cache_list, m)?)?;
    m.add_function(wrap_pyfunction!(cache::cache_verify, m)?)?;
    m.add_function(wrap_pyfunction!(cache::cache_prune, m)?)?;
    m.add_function(wrap_pyfunction!(cache::cache_export, m)?)?;
    m.add_function(wrap_pyfunction!(cache::cache_import, m)?)?;
    m.add_function(wrap_pyfunction!(cache::cache_compile, m)?)?;
    m.add_function(wrap_pyfunction!(cache::kernels, m)?)?;
    m.add_function(wrap_pyfunction!(cache::kernels_refused, m)?)?;
    m.add_function(wrap_pyfunction!(cache::kernel_ptx, m)?)?;
    m.add_function(wrap_pyfunction!(cache::parse_bytes, m)?)?;
    Ok(())
}
