//! The lowering column against the meaning column: `Emit` implemented on single elements, and every loop of the table put
//! through both at the special values. What MLIR leaves undefined panics here.

use legate_jit_vmath::Func;
use legate_jit_vmath::powers::Exponent;

use super::power::{is_beyond, power};
use super::{CmpF, CmpI, Emit, Val, cast, lower};
use crate::ufunc::native::{Float, Native};
use crate::ufunc::special::{product, same, values};
use crate::{DType, Scalar, Ufunc};

/// MLIR's operations on one element. Integers are signless, so a scalar's own signedness is not looked at.
struct Elementwise;

fn signed(s: Scalar) -> i128 {
    let shift = 64 - 8 * s.dtype.size() as u32;
    ((s.bits[0] << shift) as i64 >> shift) as i128
}

fn unsigned(s: Scalar) -> i128 {
    s.bits[0] as i128
}

fn float2<T: Float>(op: &str, x: T, y: T) -> Option<T> {
    Some(match op {
        "arith.addf" => x + y,
        "arith.subf" => x - y,
        "arith.mulf" => x * y,
        "arith.divf" => x / y,
        "math.copysign" => x.copysign(y),
        _ => return None,
    })
}

fn float1<T: Float>(op: &str, x: T) -> Option<T> {
    Some(match op {
        "arith.negf" => -x,
        "math.absf" => x.abs(),
        "math.floor" => x.floor(),
        "math.ceil" => x.ceil(),
        "math.trunc" => x.trunc(),
        "math.roundeven" => x.rint(),
        "math.sqrt" => x.sqrt(),
        _ => return None,
    })
}

fn vmath<T: Float>(function: Func, args: &[T]) -> T {
    let x = args[0];
    match function {
        Func::Exp => x.exp(),
        Func::Exp2 => x.exp2(),
        Func::Expm1 => x.expm1(),
        Func::Log => x.log(),
        Func::Log2 => x.log2(),
        Func::Log10 => x.log10(),
        Func::Log1p => x.log1p(),
        Func::Cbrt => x.cbrt(),
        Func::Sin => x.sin(),
        Func::Cos => x.cos(),
        Func::Tan => x.tan(),
        Func::Asin => x.asin(),
        Func::Acos => x.acos(),
        Func::Atan => x.atan(),
        Func::Sinh => x.sinh(),
        Func::Cosh => x.cosh(),
        Func::Tanh => x.tanh(),
        Func::Asinh => x.asinh(),
        Func::Acosh => x.acosh(),
        Func::Atanh => x.atanh(),
        Func::Erf => x.erf(),
        Func::Atan2 => x.atan2(args[1]),
        Func::Hypot => x.hypot(args[1]),
        Func::Pow => x.pow(args[1]),
        Func::Fmod => x % args[1],
    }
}

impl Emit for Elementwise {
    type V = Scalar;

    fn constant(&mut self, value: Scalar) -> Scalar {
        assert!(!value.dtype.is_complex());
        value
    }

    fn op1(&mut self, op: &'static str, x: Scalar) -> Scalar {
        let result = match x.dtype {
            DType::F32 => float1(op, f32::from_scalar(x)).map(Native::to_scalar),
            DType::F64 => float1(op, f64::from_scalar(x)).map(Native::to_scalar),
            t => (op == "math.ctpop").then(|| Scalar::int(t, x.bits[0].count_ones() as i128)),
        };
        result.unwrap_or_else(|| panic!("{op} of {x:?}"))
    }

    fn mul_add(&mut self, x: Scalar, y: Scalar, z: Scalar) -> Scalar {
        match x.dtype {
            DType::F32 => Float::mul_add(f32::from_scalar(x), f32::from_scalar(y), f32::from_scalar(z)).to_scalar(),
            _ => Float::mul_add(f64::from_scalar(x), f64::from_scalar(y), f64::from_scalar(z)).to_scalar(),
        }
    }

    fn op2(&mut self, op: &'static str, x: Scalar, y: Scalar) -> Scalar {
        assert_eq!(x.dtype.size(), y.dtype.size(), "{op}");
        let t = x.dtype;
        let float = match t {
            DType::F32 => float2(op, f32::from_scalar(x), f32::from_scalar(y)).map(Native::to_scalar),
            DType::F64 => float2(op, f64::from_scalar(x), f64::from_scalar(y)).map(Native::to_scalar),
            _ => None,
        };
        if let Some(result) = float {
            return result;
        }
        assert!(!t.is_float(), "{op} of {t}");
        if t == DType::Bool {
            return Scalar::bool(match op {
                "arith.andi" => x.bits[0] & y.bits[0] != 0,
                "arith.ori" => x.bits[0] | y.bits[0] != 0,
                "arith.xori" => x.bits[0] ^ y.bits[0] != 0,
                _ => panic!("{op} of bools"),
            });
        }
        let bits = 8 * t.size() as i128;
        let shift = || {
            assert!(unsigned(y) < bits, "{op} by {}", unsigned(y));
            unsigned(y) as u32
        };
        let (sx, sy, ux, uy) = (signed(x), signed(y), unsigned(x), unsigned(y));
        let undefined = |overflows: bool| assert!(!overflows, "{op} of {sx} by {sy}");
        Scalar::int(
            t,
            match op {
                "arith.addi" => sx + sy,
                "arith.subi" => sx - sy,
                "arith.muli" => sx.wrapping_mul(sy),
                "arith.andi" => ux & uy,
                "arith.ori" => ux | uy,
                "arith.xori" => ux ^ uy,
                "arith.shli" => ux << shift(),
                "arith.shrui" => ux >> shift(),
                "arith.shrsi" => sx >> shift(),
                "arith.maxsi" => sx.max(sy),
                "arith.minsi" => sx.min(sy),
                "arith.maxui" => ux.max(uy),
                "arith.minui" => ux.min(uy),
                "arith.divsi" | "arith.remsi" => {
                    undefined(sy == 0 || sy == -1 && sx == -(1 << (bits - 1)));
                    if op == "arith.divsi" { sx / sy } else { sx % sy }
                }
                "arith.divui" | "arith.remui" => {
                    undefined(uy == 0);
                    if op == "arith.divui" { ux / uy } else { ux % uy }
                }
                _ => panic!("{op} of {t}"),
            },
        )
    }

    fn cmpi(&mut self, predicate: CmpI, x: Scalar, y: Scalar) -> Scalar {
        let (sx, sy, ux, uy) = (signed(x), signed(y), unsigned(x), unsigned(y));
        Scalar::bool(match predicate {
            CmpI::Eq => ux == uy,
            CmpI::Ne => ux != uy,
            CmpI::Slt => sx < sy,
            CmpI::Sle => sx <= sy,
            CmpI::Sgt => sx > sy,
            CmpI::Sge => sx >= sy,
            CmpI::Ult => ux < uy,
            CmpI::Ule => ux <= uy,
            CmpI::Ugt => ux > uy,
            CmpI::Uge => ux >= uy,
        })
    }

    fn cmpf(&mut self, predicate: CmpF, x: Scalar, y: Scalar) -> Scalar {
        assert!(x.dtype.is_float() && x.dtype == y.dtype);
        let (x, y) = (x.as_f64(), y.as_f64());
        let unordered = x.is_nan() || y.is_nan();
        Scalar::bool(match predicate {
            CmpF::Oeq => x == y,
            CmpF::Ogt => x > y,
            CmpF::Oge => x >= y,
            CmpF::Olt => x < y,
            CmpF::Ole => x <= y,
            CmpF::One => !unordered && x != y,
            CmpF::Ord => !unordered,
            CmpF::Ueq => unordered || x == y,
            CmpF::Ugt => unordered || x > y,
            CmpF::Uge => unordered || x >= y,
            CmpF::Ult => unordered || x < y,
            CmpF::Ule => unordered || x <= y,
            CmpF::Une => x != y,
            CmpF::Uno => unordered,
        })
    }

    fn select(&mut self, mask: Scalar, x: Scalar, y: Scalar) -> Scalar {
        assert!(
            mask.dtype == DType::Bool && x.dtype.size() == y.dtype.size() && x.dtype.is_float() == y.dtype.is_float()
        );
        if mask.bits[0] != 0 { x } else { y }
    }

    fn convert(&mut self, op: &'static str, x: Scalar, to: DType) -> Scalar {
        let float = |v: f64, f32_value: f32| if to == DType::F32 { Scalar::f32(f32_value) } else { Scalar::f64(v) };
        let wider = to.size() > x.dtype.size() || x.dtype == DType::Bool;
        match op {
            "arith.bitcast" => {
                assert_eq!(to.size(), x.dtype.size());
                Scalar { dtype: to, bits: x.bits }
            }
            "arith.extsi" if wider => Scalar::int(to, signed(x)),
            "arith.extui" if wider => Scalar::int(to, unsigned(x)),
            "arith.trunci" if !wider => Scalar::int(to, unsigned(x)),
            "arith.sitofp" => float(signed(x) as f64, signed(x) as f32),
            "arith.uitofp" => float(unsigned(x) as f64, unsigned(x) as f32),
            "arith.extf" | "arith.truncf" => float(x.as_f64(), x.as_f64() as f32),
            "arith.fptosi" => {
                let v = x.as_f64().trunc();
                let limit = 2f64.powi(8 * to.size() as i32 - 1);
                assert!(v >= -limit && v < limit, "fptosi of {v} to {to}");
                Scalar::int(to, v as i128)
            }
            _ => panic!("{op} of {:?} to {to}", x.dtype),
        }
    }

    fn vmath(&mut self, function: Func, dtype: DType, args: &[Scalar]) -> Scalar {
        match dtype {
            DType::F32 => vmath(function, &args.iter().map(|a| f32::from_scalar(*a)).collect::<Vec<_>>()).to_scalar(),
            DType::F64 => vmath(function, &args.iter().map(|a| f64::from_scalar(*a)).collect::<Vec<_>>()).to_scalar(),
            t => panic!("{function:?} of {t}"),
        }
    }
}

fn val(s: Scalar) -> Val<Scalar> {
    let (re, im) = s.as_c128();
    match s.dtype {
        DType::C64 => Val::Pair(Scalar::f32(re as f32), Scalar::f32(im as f32)),
        DType::C128 => Val::Pair(Scalar::f64(re), Scalar::f64(im)),
        _ => Val::One(s),
    }
}

/// Signless integers come back as the type that was meant.
fn scalar(v: Val<Scalar>, dtype: DType) -> Scalar {
    match v {
        Val::One(s) => {
            assert_eq!(s.dtype.size(), dtype.size());
            Scalar { dtype, bits: s.bits }
        }
        Val::Pair(re, im) if dtype == DType::C64 => Scalar::c64(re.as_f64() as f32, im.as_f64() as f32),
        Val::Pair(re, im) => Scalar::c128(re.as_f64(), im.as_f64()),
    }
}

#[test]
fn every_lowering_computes_its_meaning() {
    let mut without = Vec::new();
    for &op in Ufunc::ALL {
        for signature in op.signatures() {
            let ins = signature.ins();
            // Integers to a negative power are refused before anything is computed.
            let refused = |row: &[Scalar]| op == Ufunc::Power && ins[1].is_integer() && row[1].as_i128() < 0;
            let mut lists: Vec<_> = ins.iter().map(|d| values(*d)).collect();
            if op == Ufunc::Where {
                lists[2].truncate(3);
            }
            for row in product(&lists) {
                let args: Vec<_> = row.iter().map(|s| val(*s)).collect();
                let Some(result) = lower(&mut Elementwise, op, ins, &args) else {
                    without.push(op);
                    break;
                };
                if refused(&row) {
                    continue;
                }
                let (got, want) = (scalar(result, signature.out), op.eval(&row).unwrap());
                assert!(same(got, want), "{} {row:?}: lowered {got:?}, meant {want:?}", op.name());
            }
        }
    }
    without.dedup();
    assert_eq!(without, [Ufunc::Gcd, Ufunc::Lcm], "the operations without a vector form");
}

#[test]
fn every_cast_is_lowered_as_it_is_meant() {
    for from in DType::ALL {
        for to in DType::ALL {
            for s in values(from) {
                let got = scalar(cast(&mut Elementwise, val(s), from, to), to);
                let want = crate::cast::cast(s, to);
                assert!(same(got, want), "{s:?} to {to}: lowered {got:?}, meant {want:?}");
            }
        }
    }
}

/// The steps of powers as code have the bits of the library, and are said to be beyond reach where they have not.
#[test]
fn powers_with_ways_of_their_own() {
    let mut seen = 0;
    for twice in (-16..=16).filter(|n: &i32| n % 2 == 0 || n.abs() <= 7) {
        let y = twice as f64 / 2.0;
        let exponent = Exponent::of(y).expect("it has one");
        for dtype in [DType::F64, DType::F32] {
            let of = |x: f64| if dtype == DType::F32 { Scalar::f32(x as f32) } else { Scalar::f64(x) };
            let spread = (0..2000).map(|i| {
                let t = (i as f64 * 0.618_033_988_749_894_9).fract();
                let sign = if i % 3 == 0 { -1.0 } else { 1.0 };
                sign * if i % 2 == 0 { 3.0 * t } else { 2f64.powi(i / 2 - 500) * (1.0 + t) }
            });
            for x in values(dtype).into_iter().chain(spread.map(of)) {
                let want = Ufunc::Power.eval(&[x, of(y)]).expect("a value");
                if is_beyond(&mut Elementwise, dtype, x, exponent).bits[0] == 0 {
                    let got = power(&mut Elementwise, dtype, x, exponent);
                    assert_eq!(got.bits, want.bits, "{x:?} ** {y}: {got:?}, {want:?}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 20_000);
}
