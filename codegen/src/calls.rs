//! The names by which compiled code calls what is outside it: the vector math library, and libm's remainder and fused multiply-add.

use legate_jit_vmath::{self as vmath, Float, Func, Vector};

/// Changes when the meaning of a name below does.
pub const INTERFACE: &str = "vmath 3";

/// A function outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    Vmath(Func, Vector),
    /// `fmod`, one element at a time: what LLVM makes of `frem`. It is exact, so every library has the same bits.
    Remainder(Float),
    /// `fma`, one element at a time, for targets without the instruction. It is exact too.
    MulAdd(Float),
}

impl Call {
    /// The name in the object: the same on every machine.
    pub fn name(self) -> String {
        match self {
            Call::Vmath(func, v) => {
                let float = match v.float {
                    Float::F32 => "f32",
                    Float::F64 => "f64",
                };
                format!("legate_jit_{}_{float}x{}", func.name(), v.lanes)
            }
            Call::Remainder(Float::F64) => "fmod".into(),
            Call::Remainder(Float::F32) => "fmodf".into(),
            Call::MulAdd(Float::F64) => "fma".into(),
            Call::MulAdd(Float::F32) => "fmaf".into(),
        }
    }

    pub fn parse(name: &str) -> Option<Call> {
        match name {
            "fmod" => return Some(Call::Remainder(Float::F64)),
            "fmodf" => return Some(Call::Remainder(Float::F32)),
            "fma" => return Some(Call::MulAdd(Float::F64)),
            "fmaf" => return Some(Call::MulAdd(Float::F32)),
            _ => {}
        }
        let (func, vector) = name.strip_prefix("legate_jit_")?.rsplit_once('_')?;
        let (float, lanes) = vector.split_once('x')?;
        let float = match float {
            "f32" => Float::F32,
            "f64" => Float::F64,
            _ => return None,
        };
        Some(Call::Vmath(Func::parse(func)?, Vector { float, lanes: lanes.parse().ok()? }))
    }

    /// Its address in this process; None where the machine has no vectors of that width.
    pub fn address(self) -> Option<usize> {
        unsafe extern "C" {
            fn fmod(x: f64, y: f64) -> f64;
            fn fmodf(x: f32, y: f32) -> f32;
            fn fma(x: f64, y: f64, z: f64) -> f64;
            fn fmaf(x: f32, y: f32, z: f32) -> f32;
        }
        match self {
            Call::Vmath(func, vector) => vmath::symbol(func, vector).map(|(_, p)| p as usize),
            Call::Remainder(Float::F64) => Some(fmod as *const () as usize),
            Call::Remainder(Float::F32) => Some(fmodf as *const () as usize),
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
                    if let Some((name, _)) = vmath::symbol(func, Vector { float, lanes }) {
                        assert_eq!(name, call.name());
                    }
                }
            }
        }
    }
}
