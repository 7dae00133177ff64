//! Gives the compiler plenty to do and ends the process after the given number of milliseconds, without dropping the compiler.
//! A test runs it: the process's end must stop the compiler's threads before LLVM's static data goes.

use legate_jit_codegen::{Compiler, Options};
use legate_jit_ir::kernel::Op;
use legate_jit_ir::{Access, Body, InnerStride, Kernel, Ufunc};

fn main() {
    let ms = std::env::args().nth(1).and_then(|a| a.parse().ok()).expect("a number of milliseconds");
    let compiler = std::mem::ManuallyDrop::new(Compiler::new(Options::default()));
    for &op in Ufunc::ALL {
        for signature in op.signatures() {
            let mut body = Body::default();
            let args = signature.ins().iter().enumerate().map(|(i, &d)| body.push(Op::Load(i as u32), d)).collect();
            let result = body.push(Op::Map(op, args), signature.out);
            let mut accesses: Vec<Access> =
                signature.ins().iter().map(|&dtype| Access { dtype, inner: InnerStride::Unit, write: false }).collect();
            body.stores.push((accesses.len() as u32, result));
            accesses.push(Access { dtype: signature.out, inner: InnerStride::Unit, write: true });
            compiler.get(&Kernel { rank: 1, accesses, scalars: vec![], body });
        }
    }
    std::thread::sleep(std::time::Duration::from_millis(ms));
    std::process::exit(7);
}
