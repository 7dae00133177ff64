//! The tests of code generation, in one program, since each program that links MLIR takes long to link.

#[path = "codegen/cache.rs"]
mod cache;
#[path = "codegen/casts.rs"]
mod casts;
#[path = "codegen/compiler.rs"]
mod compiler;
#[path = "codegen/exits.rs"]
mod exits;
#[path = "codegen/harness.rs"]
mod harness;
#[path = "codegen/load.rs"]
mod load;
#[path = "codegen/nests.rs"]
mod nests;
#[path = "codegen/operations.rs"]
mod operations;
#[path = "codegen/powers.rs"]
mod powers;
#[path = "codegen/ptx.rs"]
mod ptx;
#[path = "codegen/quotients.rs"]
mod quotients;
#[path = "codegen/shapes.rs"]
mod shapes;
#[path = "codegen/snapshots.rs"]
mod snapshots;
#[path = "codegen/torture.rs"]
mod torture;
