//! PTX: every operation is lowered for a GPU, and where CUDA's assembler is there it takes the result.

use std::path::PathBuf;
use std::process::Command;

use legate_jit_codegen::{Error, ptx};
use legate_jit_ir::kernel::Op;
use legate_jit_ir::{Body, DType, InnerStride, Kernel, Ufunc};

use crate::harness::{load_access, one_op, read, write};

/// A tool or library of CUDA's compiler, from the Python package nvidia-cuda-nvcc if that is installed.
fn find(name: &str) -> Option<PathBuf> {
    let python = "import importlib.util as u, pathlib as p; s = u.find_spec('nvidia'); \
                  print(*[f for d in (s.submodule_search_locations if s else []) for f in p.Path(d).rglob('NAME')])";
    let mut pythons = vec![PathBuf::from("python3")];
    pythons.extend(std::env::var_os("VIRTUAL_ENV").map(|v| PathBuf::from(v).join("bin/python3")));
    pythons.iter().find_map(|program| {
        let out = Command::new(program).args(["-c", &python.replace("NAME", name)]).output().ok()?;
        String::from_utf8_lossy(&out.stdout).split_whitespace().next().map(PathBuf::from)
    })
}

/// Assembles the text, if there is an assembler.
fn assemble(what: &str, text: &str) {
    let Some(ptxas) = find("ptxas") else { return };
    let dir = crate::cache::Dir::new(&format!("ptx-{}", what.replace(|c: char| !c.is_ascii_alphanumeric(), "-")));
    let (source, object) = (dir.0.join("k.ptx"), dir.0.join("k.cubin"));
    std::fs::write(&source, text).unwrap();
    let out = Command::new(ptxas).args(["-arch=sm_90", "-o"]).arg(&object).arg(&source).output().unwrap();
    assert!(out.status.success(), "{what}: {}\n{text}", String::from_utf8_lossy(&out.stderr));
    assert!(std::fs::metadata(&object).unwrap().len() > 0);
}

#[test]
fn a_stencil_is_assembled() {
    let mut body = Body::default();
    let loads: Vec<_> = (0..4).map(|a| load_access(&mut body, a, DType::F64)).collect();
    let add = |body: &mut Body, x, y| body.push(Op::Map(Ufunc::Add, [x, y].into_iter().collect()), DType::F64);
    let sum = loads[1..].iter().fold(loads[0], |sum, &r| add(&mut body, sum, r));
    let weight = body.push(Op::Scalar(0), DType::F64);
    let out = body.push(Op::Map(Ufunc::Multiply, [weight, sum].into_iter().collect()), DType::F64);
    body.stores.push((4, out));
    let mut accesses = vec![read(DType::F64, InnerStride::Unit); 4];
    accesses.push(write(DType::F64, InnerStride::Unit));
    let kernel = Kernel { rank: 3, accesses, scalars: vec![DType::F64], body };
    let text = ptx(&kernel, "sm_90", None).unwrap();
    assert!(text.contains(".visible .entry kernel("), "{text}");
    assert!(text.contains(".target sm_90"), "{text}");
    // Rounded each by itself: without `.rn` the assembler may fuse them.
    assert_eq!((text.matches("add.rn.f64").count(), text.matches("mul.rn.f64").count()), (3, 1), "{text}");
    assert!(!text.contains("fma."), "{text}");
    assemble("a stencil", &text);
}

#[test]
fn every_operation_of_the_table() {
    let libdevice = find("libdevice.10.bc");
    for &op in Ufunc::ALL {
        let Some(signature) = op.signatures().last() else { continue };
        let kernel = one_op(op, signature.ins(), signature.out);
        match ptx(&kernel, "sm_90", libdevice.as_deref()) {
            Ok(text) => assemble(op.name(), &text),
            Err(Error::Unsupported(_)) => assert!(matches!(op, Ufunc::Gcd | Ufunc::Lcm)),
            Err(Error::Missing(m)) => {
                assert!(libdevice.is_none() && m.contains("libdevice.10.bc"), "{}: {m}", op.name());
            }
            Err(e) => panic!("{}: {e}", op.name()),
        }
    }
}

#[test]
fn what_is_missing_is_said() {
    let exp = one_op(Ufunc::Exp, &[DType::F64], DType::F64);
    let said = ptx(&exp, "sm_90", None).unwrap_err().to_string();
    assert!(said.contains("libdevice.10.bc is needed for __nv_exp"), "{said}");
    let said = ptx(&exp, "sm_90", Some("/nowhere/libdevice.10.bc".as_ref())).unwrap_err().to_string();
    assert!(said.contains("/nowhere/libdevice.10.bc"), "{said}");
    let said = ptx(&exp, "gfx90a", None).unwrap_err().to_string();
    assert!(said.contains("unknown GPU architecture 'gfx90a'"), "{said}");
}
