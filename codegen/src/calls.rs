//! The names by which compiled code calls what is outside it: the vector math library, and libm's fused multiply-add.

use legate_jit_vmath::{self as vmath, Float, Func, Vector};

/// Changes when the meaning of a name below does.
pub const INTERFACE: &str = "vmath 6";

/// A function outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    Vmath(Func, Vector),
    /// The same of two vectors at a time: it returns the first result, and writes the second to the address that is its last
    /// argument.
    VmathOfTwo(Func, Vector),
    /// The library's loop over elements that lie one behind the other.
    VmathLoop(Func, Float),
    /// `fma`, one element at a time, for targets without the instruction. It is exact, so every library has the same bits.
    MulAdd(Float),
}

impl Call {
    /// The name in the object: the same on every machine.
    pub fn name(self) -> String {
        let of = |func: Func, float: Float| {
            let float = match float {
                Float::F32 => "f32",
                Float::F64 => "f64",
            };
            format!("legate_jit_{}_{float}", func.name())
        };
        match self {
            Call::Vmath(func, v) => format!("{}x{}", of(func, v.float), v.lanes),
            Call::VmathOfTwo(func, v) => format!("{}x{}x2", of(func, v.float), v.lanes),
            Call::VmathLoop(func, float) => of(func, float),
            Call::MulAdd(Float::F64) => "fma".into(),
            Call::MulAdd(Float::F32) => "fmaf".into(),
        }
    }

    pub fn parse(name: &str) -> Option<Call> {
        match name {
            "fma" => return Some(Call::MulAdd(Float::F64)),
            "fmaf" => return Some(Call::MulAdd(Float::F32)),
            _ => {}
        }
        let (func, vector) = name.strip_prefix("legate_jit_")?.rsplit_once('_')?;
        let func = Func::parse(func)?;
        let mut parts = vector.split('x');
        let float = match parts.next()? {
            "f32" => Float::F32,
            "f64" => Float::F64,
            _ => return None,
        };
        let lanes = parts.next().map(str::parse).transpose().ok()?;
        match (lanes, parts.next(), parts.next()) {
            (None, ..) => Some(Call::VmathLoop(func, float)),
            (Some(lanes), None, _) => Some(Call::Vmath(func, Vector { float, lanes })),
            (Some(lanes), Some("2"), None) => Some(Call::VmathOfTwo(func, Vector { float, lanes })),
            _ => None,
        }
    }

    /// Its address in this process; None where the machine has no vectors of that width.
    pub fn address(self) -> Option<usize> {
        unsafe extern "C" {
            fn fma(x: f64, y: f64, z: f64) -> f64;
            fn fmaf(x: f32, y: f32, z: f32) -> f32;
        }
        match self {
            Call::Vmath(func, vector) => vmath::symbol(func, vector).map(|(_, p)| p as usize),
            Call::VmathOfTwo(func, vector) => vmath::symbol_of_two(func, vector).map(|p| p as usize),
            Call::VmathLoop(func, float) => Some(match func.nin() {
                1 => vmath::slice1(func, float)? as usize,
                _ => vmath::slice2(func, float)? as usize,
            }),
            Call::MulAdd(Float::F64) => Some(fma as *const () as usize),
            Call::MulAdd(Float::F32) => Some(fmaf as *const () as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_the_librarys_own() {
        for &func in Func::ALL {
            for (float, widths) in [(Float::F32, [1, 4, 8, 16]), (Float::F64, [1, 2, 4, 8])] {
                for lanes in widths {
                    let call = Call::Vmath(func, Vector { float, lanes });
                    assert_eq!(Call::parse(&call.name()), Some(call));
                    let whole = Call::VmathLoop(func, float);
                    assert_eq!(Call::parse(&whole.name()), Some(whole));
                    let two = Call::VmathOfTwo(func, Vector { float, lanes });
                    assert_eq!(Call::parse(&two.name()), Some(two));
                    if let Some((name, _)) = vmath::symbol(func, Vector { float, lanes }) {
                        assert_eq!(name, call.name());
                    }
                }
            }
        }
    }
}
