//! Integration tests of legate-jit that need more than one crate, or none of them.

#[cfg(test)]
mod arrows;
