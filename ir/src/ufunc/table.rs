//! The table of elementwise operations: one row an operation, and no second list anywhere.
//!
//! A row gives the variant, NumPy's name, the arguments, properties, and for each class of element types the result type
//! (where it is not the arguments'), the exact meaning, and the lowering:
//!
//! ```text
//! /// Adds the arguments.
//! Add = "add" (x, y) [identity = Int(0), commutative, associative, flops = 1] {
//!     bool: |x, y| x | y => mlir "arith.ori";
//!     int: |x, y| x.wrapping_add(y) => mlir "arith.addi";
//!     float: |x, y| x + y => mlir "arith.addf";
//!     complex: |x, y| x + y => pairs emit::add_complex;
//! };
//! ```
//!
//! * Classes: `bool`, `sint`, `uint`, `int` (both), `float`, `complex`, `number` (int, float, complex), `any`; or one entry for
//!   each argument, as in `(float, i32)`. All arguments of a plain class have the same type. NumPy's types that the classes
//!   do not cover (float16, long double, object) are not ours; `resolve` says when NumPy would choose one of them.
//! * Results: `-> bool`, `-> i32`, `-> u8`, `-> real` (of a complex type), `-> complex` (of a float type).
//! * The meaning is a closure on native types, expanded once for each element type. It may use `m` (`super::meaning`);
//!   transcendental functions are `m::Float::exp(x)`, for `x.exp()` would be the standard library's.
//! * Lowerings: `mlir "op"` (operands and result have one type), `cmpi P`, `cmpf P` (predicates), `vmath F` (the vector math
//!   library's function), `emit f` (builds it from `Emit`), `pairs f` (the same where complex values are pairs), and
//!   `native` (no vector form: the prebuilt loops run it).
//!
//! To add an operation, add a row here (at the end, since discriminants are kept in files), and its emit function if one
//! operation of MLIR does not do. The interpreter, the text forms, promotion, the prebuilt loops, code generation and the tests
//! against NumPy follow.
//!
//! [`ufunc_table!`] hands all rows to a callback macro; [`ufunc_loops!`] calls one for each row and element type, with the
//! native types spelled out. Both need in scope: `use legate_jit_ir::ufunc::meaning as m`.

use super::props::{Identity, Props};
use Identity::{Bool, Int, NegInfinity};

/// Calls `$then! { $extra rows }`. The rows are described in [`crate::ufunc::table`].
#[macro_export]
macro_rules! ufunc_table {
    ($then:path $(, $($extra:tt)*)?) => {
        $then! { $($($extra)*)?
            /// Adds the arguments; bools are or-ed.
            Add = "add" (x, y) [identity = Int(0), commutative, associative] {
                bool: |x, y| x | y => mlir "arith.ori";
                int: |x, y| x.wrapping_add(y) => mlir "arith.addi";
                float: |x, y| x + y => mlir "arith.addf";
                complex: |x, y| x + y => pairs emit::complex::add;
            };
            Subtract = "subtract" (x, y) [one_type] {
                int: |x, y| x.wrapping_sub(y) => mlir "arith.subi";
                float: |x, y| x - y => mlir "arith.subf";
                complex: |x, y| x - y => pairs emit::complex::subtract;
            };
            /// Multiplies the arguments; bools are and-ed. Complex numbers by fused multiply-adds, as in NumPy on
            /// machines that have them, so that x * y and y * x may differ in the last place of the imaginary part.
            Multiply = "multiply" (x, y) [identity = Int(1), commutative, associative] {
                bool: |x, y| x & y => mlir "arith.andi";
                int: |x, y| x.wrapping_mul(y) => mlir "arith.muli";
                float: |x, y| x * y => mlir "arith.mulf";
                complex: |x, y| m::multiply_complex(x, y) => pairs emit::complex::multiply;
            };
            /// True division; ints and bools are divided as float64.
            Divide = "divide" (x, y) [ints_as_f64, flops = 4] {
                float: |x, y| x / y => mlir "arith.divf";
                complex: |x, y| x / y => pairs emit::complex::divide;
            };
            FloorDivide = "floor_divide" (x, y) [flops = 12] {
                int: |x, y| m::floor_divide_int(x, y) => emit emit::int::floor_divide;
                float: |x, y| m::floor_divide_float(x, y) => emit emit::float::floor_divide;
            };
            /// The remainder with the divisor's sign.
            Remainder = "remainder" (x, y) [flops = 12] {
                int: |x, y| m::remainder_int(x, y) => emit emit::int::remainder;
                float: |x, y| m::remainder_float(x, y) => emit emit::float::remainder;
            };
            /// The remainder with the dividend's sign.
            Fmod = "fmod" (x, y) [flops = 12] {
                int: |x, y| m::fmod_int(x, y) => emit emit::int::fmod;
                float: |x, y| x % y => vmath Fmod;
            };
            Power = "power" (x, y) [lacks_complex, transcendental, flops = 40] {
                int: |x, y| m::power_int(x, y) => emit emit::int::power;
                float: |x, y| m::Float::pow(x, y) => vmath Pow;
            };
            /// Power in float64, whatever the arguments.
            FloatPower = "float_power" (x, y) [lacks_complex, transcendental, as_f64, flops = 40] {
                f64: |x, y| m::Float::pow(x, y) => vmath Pow;
            };
            Negative = "negative" (x) [one_type] {
                int: |x| x.wrapping_neg() => emit emit::int::negative;
                float: |x| -x => mlir "arith.negf";
                complex: |x| -x => pairs emit::complex::negative;
            };
            Positive = "positive" (x) [idempotent, one_type, flops = 0] {
                int: |x| x => emit emit::identity;
                float: |x| x => emit emit::identity;
                complex: |x| x => pairs emit::complex::identity;
            };
            /// The absolute value; that of the smallest int is itself, that of a complex number its length, within 2 ulp: NumPy's
            /// own bits are worth more here than the last of them.
            Absolute = "absolute" (x) [idempotent] {
                bool: |x| x => emit emit::identity;
                sint: |x| x.wrapping_abs() => emit emit::int::absolute;
                uint: |x| x => emit emit::identity;
                float: |x| x.abs() => mlir "math.absf";
                complex -> real: |x| m::absolute_complex(x) => pairs emit::complex::absolute;
            };
            Fabs = "fabs" (x) [idempotent] {
                float: |x| x.abs() => mlir "math.absf";
            };
            Sign = "sign" (x) [idempotent, one_type, flops = 3] {
                int: |x| m::sign_int(x) => emit emit::int::sign;
                float: |x| m::sign_float(x) => emit emit::float::sign;
                complex: |x| m::sign_complex(x) => pairs emit::complex::sign;
            };
            /// To the nearest integer, ties to the even one.
            Rint = "rint" (x) [idempotent] {
                float: |x| x.round_ties_even() => mlir "math.roundeven";
                complex: |x| m::rint_complex(x) => pairs emit::complex::rint;
            };
            Floor = "floor" (x) [idempotent] {
                bool: |x| x => emit emit::identity;
                int: |x| x => emit emit::identity;
                float: |x| x.floor() => mlir "math.floor";
            };
            Ceil = "ceil" (x) [idempotent] {
                bool: |x| x => emit emit::identity;
                int: |x| x => emit emit::identity;
                float: |x| x.ceil() => mlir "math.ceil";
            };
            Trunc = "trunc" (x) [idempotent] {
                bool: |x| x => emit emit::identity;
                int: |x| x => emit emit::identity;
                float: |x| x.trunc() => mlir "math.trunc";
            };
            Conjugate = "conjugate" (x) [] {
                int: |x| x => emit emit::identity;
                float: |x| x => emit emit::identity;
                complex: |x| m::Complex::new(x.re, -x.im) => pairs emit::complex::conjugate;
            };
            /// The real part. (An array's attribute in NumPy, no ufunc.)
            Real = "real" (x) [flops = 0] {
                complex -> real: |x| x.re => pairs emit::complex::real;
            };
            Imag = "imag" (x) [flops = 0] {
                complex -> real: |x| x.im => pairs emit::complex::imag;
            };
            /// The complex number of these parts.
            Complex = "complex" (x, y) [flops = 0] {
                float -> complex: |x, y| m::Complex::new(x, y) => pairs emit::complex::complex;
            };
            Exp = "exp" (x) [transcendental, flops = 12] {
                float: |x| m::Float::exp(x) => vmath Exp;
                complex: |x| m::exp_complex(x) => pairs emit::complex::exp;
            };
            Exp2 = "exp2" (x) [lacks_complex, transcendental, flops = 12] {
                float: |x| m::Float::exp2(x) => vmath Exp2;
            };
            Expm1 = "expm1" (x) [lacks_complex, transcendental, flops = 20] {
                float: |x| m::Float::expm1(x) => vmath Expm1;
            };
            Log = "log" (x) [transcendental, flops = 16] {
                float: |x| m::Float::log(x) => vmath Log;
                complex: |x| m::log_complex(x) => pairs emit::complex::log;
            };
            Log2 = "log2" (x) [lacks_complex, transcendental, flops = 16] {
                float: |x| m::Float::log2(x) => vmath Log2;
            };
            Log10 = "log10" (x) [lacks_complex, transcendental, flops = 16] {
                float: |x| m::Float::log10(x) => vmath Log10;
            };
            Log1p = "log1p" (x) [lacks_complex, transcendental, flops = 20] {
                float: |x| m::Float::log1p(x) => vmath Log1p;
            };
            Sqrt = "sqrt" (x) [flops = 6] {
                float: |x| x.sqrt() => mlir "math.sqrt";
                complex: |x| m::sqrt_complex(x) => pairs emit::complex::sqrt;
            };
            Cbrt = "cbrt" (x) [transcendental, flops = 24] {
                float: |x| m::Float::cbrt(x) => vmath Cbrt;
            };
            Square = "square" (x) [] {
                int: |x| x.wrapping_mul(x) => emit emit::int::square;
                float: |x| x * x => emit emit::float::square;
                complex: |x| m::multiply_complex(x, x) => pairs emit::complex::square;
            };
            Reciprocal = "reciprocal" (x) [flops = 4] {
                int: |x| m::reciprocal_int(x) => emit emit::int::reciprocal;
                float: |x| x.recip() => emit emit::float::reciprocal;
                complex: |x| m::reciprocal_complex(x) => pairs emit::complex::reciprocal;
            };
            Gcd = "gcd" (x, y) [identity = Int(0), commutative, associative, one_type, flops = 200] {
                int: |x, y| m::gcd(x, y) => native;
            };
            Lcm = "lcm" (x, y) [commutative, one_type, flops = 220] {
                int: |x, y| m::lcm(x, y) => native;
            };
            Sin = "sin" (x) [transcendental, flops = 20] {
                float: |x| m::Float::sin(x) => vmath Sin;
                complex: |x| m::sin_complex(x) => pairs emit::complex::sin_of;
            };
            Cos = "cos" (x) [transcendental, flops = 20] {
                float: |x| m::Float::cos(x) => vmath Cos;
                complex: |x| m::cos_complex(x) => pairs emit::complex::cos_of;
            };
            Tan = "tan" (x) [transcendental, flops = 28] {
                float: |x| m::Float::tan(x) => vmath Tan;
                complex: |x| m::tan_complex(x) => pairs emit::complex::tan_of;
            };
            Arcsin = "arcsin" (x) [lacks_complex, transcendental, flops = 24] {
                float: |x| m::Float::asin(x) => vmath Asin;
            };
            Arccos = "arccos" (x) [lacks_complex, transcendental, flops = 24] {
                float: |x| m::Float::acos(x) => vmath Acos;
            };
            Arctan = "arctan" (x) [lacks_complex, transcendental, flops = 24] {
                float: |x| m::Float::atan(x) => vmath Atan;
            };
            Arctan2 = "arctan2" (x, y) [transcendental, flops = 32] {
                float: |x, y| m::Float::atan2(x, y) => vmath Atan2;
            };
            Hypot = "hypot" (x, y) [identity = Int(0), commutative, transcendental, flops = 16] {
                float: |x, y| m::Float::hypot(x, y) => vmath Hypot;
            };
            Sinh = "sinh" (x) [transcendental, flops = 32] {
                float: |x| m::Float::sinh(x) => vmath Sinh;
                complex: |x| m::sinh_complex(x) => pairs emit::complex::sinh_of;
            };
            Cosh = "cosh" (x) [transcendental, flops = 32] {
                float: |x| m::Float::cosh(x) => vmath Cosh;
                complex: |x| m::cosh_complex(x) => pairs emit::complex::cosh_of;
            };
            Tanh = "tanh" (x) [transcendental, flops = 32] {
                float: |x| m::Float::tanh(x) => vmath Tanh;
                complex: |x| m::tanh_complex(x) => pairs emit::complex::tanh_of;
            };
            Arcsinh = "arcsinh" (x) [lacks_complex, transcendental, flops = 40] {
                float: |x| m::Float::asinh(x) => vmath Asinh;
            };
            Arccosh = "arccosh" (x) [lacks_complex, transcendental, flops = 40] {
                float: |x| m::Float::acosh(x) => vmath Acosh;
            };
            Arctanh = "arctanh" (x) [lacks_complex, transcendental, flops = 40] {
                float: |x| m::Float::atanh(x) => vmath Atanh;
            };
            /// The error function. (SciPy's, not NumPy's.)
            Erf = "erf" (x) [lacks_complex, transcendental, ints_as_f64, flops = 32] {
                float: |x| m::Float::erf(x) => vmath Erf;
            };
            Deg2rad = "deg2rad" (x) [] {
                float: |x| m::deg2rad(x) => emit emit::float::deg2rad;
            };
            Rad2deg = "rad2deg" (x) [] {
                float: |x| m::rad2deg(x) => emit emit::float::rad2deg;
            };
            BitwiseAnd = "bitwise_and" (x, y) [identity = Int(-1), commutative, associative, idempotent] {
                bool: |x, y| x & y => mlir "arith.andi";
                int: |x, y| x & y => mlir "arith.andi";
            };
            BitwiseOr = "bitwise_or" (x, y) [identity = Int(0), commutative, associative, idempotent] {
                bool: |x, y| x | y => mlir "arith.ori";
                int: |x, y| x | y => mlir "arith.ori";
            };
            BitwiseXor = "bitwise_xor" (x, y) [identity = Int(0), commutative, associative] {
                bool: |x, y| x ^ y => mlir "arith.xori";
                int: |x, y| x ^ y => mlir "arith.xori";
            };
            Invert = "invert" (x) [] {
                bool: |x| !x => emit emit::not;
                int: |x| !x => emit emit::not;
            };
            LeftShift = "left_shift" (x, y) [flops = 3] {
                int: |x, y| m::left_shift(x, y) => emit emit::int::left_shift;
            };
            RightShift = "right_shift" (x, y) [flops = 3] {
                int: |x, y| m::right_shift(x, y) => emit emit::int::right_shift;
            };
            /// The number of ones in the absolute value.
            BitwiseCount = "bitwise_count" (x) [flops = 3] {
                int -> u8: |x| m::bitwise_count(x) => emit emit::int::bitwise_count;
            };
            Greater = "greater" (x, y) [compares] {
                bool -> bool: |x, y| x & !y => cmpi Ugt;
                sint -> bool: |x, y| x > y => cmpi Sgt;
                uint -> bool: |x, y| x > y => cmpi Ugt;
                (i64, u64) -> bool: |x, y| x >= 0 && x as u64 > y => emit emit::int::greater_mixed;
                (u64, i64) -> bool: |x, y| y < 0 || x > y as u64 => emit emit::int::greater_mixed;
                float -> bool: |x, y| x > y => cmpf Ogt;
                complex -> bool: |x, y| m::greater_complex(x, y) => pairs emit::complex::greater;
            };
            GreaterEqual = "greater_equal" (x, y) [compares] {
                bool -> bool: |x, y| x | !y => cmpi Uge;
                sint -> bool: |x, y| x >= y => cmpi Sge;
                uint -> bool: |x, y| x >= y => cmpi Uge;
                (i64, u64) -> bool: |x, y| x >= 0 && x as u64 >= y => emit emit::int::greater_equal_mixed;
                (u64, i64) -> bool: |x, y| y < 0 || x >= y as u64 => emit emit::int::greater_equal_mixed;
                float -> bool: |x, y| x >= y => cmpf Oge;
                complex -> bool: |x, y| m::greater_equal_complex(x, y) => pairs emit::complex::greater_equal;
            };
            Less = "less" (x, y) [compares] {
                bool -> bool: |x, y| !x & y => cmpi Ult;
                sint -> bool: |x, y| x < y => cmpi Slt;
                uint -> bool: |x, y| x < y => cmpi Ult;
                (i64, u64) -> bool: |x, y| x < 0 || (x as u64) < y => emit emit::int::less_mixed;
                (u64, i64) -> bool: |x, y| y >= 0 && x < y as u64 => emit emit::int::less_mixed;
                float -> bool: |x, y| x < y => cmpf Olt;
                complex -> bool: |x, y| m::greater_complex(y, x) => pairs emit::complex::less;
            };
            LessEqual = "less_equal" (x, y) [compares] {
                bool -> bool: |x, y| !x | y => cmpi Ule;
                sint -> bool: |x, y| x <= y => cmpi Sle;
                uint -> bool: |x, y| x <= y => cmpi Ule;
                (i64, u64) -> bool: |x, y| x < 0 || x as u64 <= y => emit emit::int::less_equal_mixed;
                (u64, i64) -> bool: |x, y| y >= 0 && x <= y as u64 => emit emit::int::less_equal_mixed;
                float -> bool: |x, y| x <= y => cmpf Ole;
                complex -> bool: |x, y| m::greater_equal_complex(y, x) => pairs emit::complex::less_equal;
            };
            Equal = "equal" (x, y) [compares, commutative] {
                bool -> bool: |x, y| x == y => cmpi Eq;
                int -> bool: |x, y| x == y => cmpi Eq;
                (i64, u64) -> bool: |x, y| x >= 0 && x as u64 == y => emit emit::int::equal_mixed;
                (u64, i64) -> bool: |x, y| y >= 0 && x == y as u64 => emit emit::int::equal_mixed;
                float -> bool: |x, y| x == y => cmpf Oeq;
                complex -> bool: |x, y| x == y => pairs emit::complex::equal;
            };
            NotEqual = "not_equal" (x, y) [compares, commutative] {
                bool -> bool: |x, y| x != y => cmpi Ne;
                int -> bool: |x, y| x != y => cmpi Ne;
                (i64, u64) -> bool: |x, y| x < 0 || x as u64 != y => emit emit::int::not_equal_mixed;
                (u64, i64) -> bool: |x, y| y < 0 || x != y as u64 => emit emit::int::not_equal_mixed;
                float -> bool: |x, y| x != y => cmpf Une;
                complex -> bool: |x, y| x != y => pairs emit::complex::not_equal;
            };
            LogicalAnd = "logical_and" (x, y) [logical, identity = Bool(true), commutative, associative] {
                bool -> bool: |x, y| x & y => mlir "arith.andi";
                int -> bool: |x, y| (x != 0) & (y != 0) => emit emit::logical_and;
                float -> bool: |x, y| (x != 0.0) & (y != 0.0) => emit emit::logical_and;
                complex -> bool: |x, y| !x.is_zero() & !y.is_zero() => pairs emit::complex::logical_and;
            };
            LogicalOr = "logical_or" (x, y) [logical, identity = Bool(false), commutative, associative] {
                bool -> bool: |x, y| x | y => mlir "arith.ori";
                int -> bool: |x, y| (x != 0) | (y != 0) => emit emit::logical_or;
                float -> bool: |x, y| (x != 0.0) | (y != 0.0) => emit emit::logical_or;
                complex -> bool: |x, y| !x.is_zero() | !y.is_zero() => pairs emit::complex::logical_or;
            };
            LogicalXor = "logical_xor" (x, y) [logical, identity = Bool(false), commutative, associative] {
                bool -> bool: |x, y| x ^ y => mlir "arith.xori";
                int -> bool: |x, y| (x != 0) ^ (y != 0) => emit emit::logical_xor;
                float -> bool: |x, y| (x != 0.0) ^ (y != 0.0) => emit emit::logical_xor;
                complex -> bool: |x, y| !x.is_zero() ^ !y.is_zero() => pairs emit::complex::logical_xor;
            };
            LogicalNot = "logical_not" (x) [] {
                bool -> bool: |x| !x => emit emit::not;
                int -> bool: |x| x == 0 => emit emit::logical_not;
                float -> bool: |x| x == 0.0 => emit emit::logical_not;
                complex -> bool: |x| x.is_zero() => pairs emit::complex::logical_not;
            };
            /// The larger; NaN if either is.
            Maximum = "maximum" (x, y) [associative, idempotent] {
                bool: |x, y| x | y => mlir "arith.ori";
                sint: |x, y| x.max(y) => mlir "arith.maxsi";
                uint: |x, y| x.max(y) => mlir "arith.maxui";
                float: |x, y| m::maximum(x, y) => emit emit::float::maximum;
                complex: |x, y| m::maximum_complex(x, y) => pairs emit::complex::maximum;
            };
            Minimum = "minimum" (x, y) [associative, idempotent] {
                bool: |x, y| x & y => mlir "arith.andi";
                sint: |x, y| x.min(y) => mlir "arith.minsi";
                uint: |x, y| x.min(y) => mlir "arith.minui";
                float: |x, y| m::minimum(x, y) => emit emit::float::minimum;
                complex: |x, y| m::minimum_complex(x, y) => pairs emit::complex::minimum;
            };
            /// The larger; NaN only if both are.
            Fmax = "fmax" (x, y) [associative, idempotent] {
                bool: |x, y| x | y => mlir "arith.ori";
                sint: |x, y| x.max(y) => mlir "arith.maxsi";
                uint: |x, y| x.max(y) => mlir "arith.maxui";
                float: |x, y| m::fmax(x, y) => emit emit::float::fmax;
                complex: |x, y| m::fmax_complex(x, y) => pairs emit::complex::fmax;
            };
            Fmin = "fmin" (x, y) [associative, idempotent] {
                bool: |x, y| x & y => mlir "arith.andi";
                sint: |x, y| x.min(y) => mlir "arith.minsi";
                uint: |x, y| x.min(y) => mlir "arith.minui";
                float: |x, y| m::fmin(x, y) => emit emit::float::fmin;
                complex: |x, y| m::fmin_complex(x, y) => pairs emit::complex::fmin;
            };
            Isfinite = "isfinite" (x) [] {
                bool -> bool: |_x| true => emit emit::always;
                int -> bool: |_x| true => emit emit::always;
                float -> bool: |x| x.is_finite() => emit emit::float::isfinite;
                complex -> bool: |x| x.re.is_finite() & x.im.is_finite() => pairs emit::complex::isfinite;
            };
            Isinf = "isinf" (x) [] {
                bool -> bool: |_x| false => emit emit::never;
                int -> bool: |_x| false => emit emit::never;
                float -> bool: |x| x.is_infinite() => emit emit::float::isinf;
                complex -> bool: |x| x.re.is_infinite() | x.im.is_infinite() => pairs emit::complex::isinf;
            };
            Isnan = "isnan" (x) [] {
                bool -> bool: |_x| false => emit emit::never;
                int -> bool: |_x| false => emit emit::never;
                float -> bool: |x| x.is_nan() => emit emit::float::isnan;
                complex -> bool: |x| x.is_nan() => pairs emit::complex::isnan;
            };
            Signbit = "signbit" (x) [] {
                float -> bool: |x| x.is_sign_negative() => emit emit::float::signbit;
            };
            Copysign = "copysign" (x, y) [] {
                float: |x, y| x.copysign(y) => mlir "math.copysign";
            };
            Nextafter = "nextafter" (x, y) [flops = 8] {
                float: |x, y| m::nextafter(x, y) => emit emit::float::nextafter;
            };
            Spacing = "spacing" (x) [flops = 6] {
                float: |x| m::spacing(x) => emit emit::float::spacing;
            };
            Ldexp = "ldexp" (x, y) [flops = 12] {
                (float, i32) -> float: |x, y| m::ldexp(x, y as i64) => emit emit::float::ldexp;
                (float, i64) -> float: |x, y| m::ldexp(x, y) => emit emit::float::ldexp_i64;
            };
            /// NumPy's frexp has two results; this is its first.
            FrexpMantissa = "frexp_mantissa" (x) [part_of = "frexp", flops = 8] {
                float: |x| m::frexp(x).0 => emit emit::float::frexp_mantissa;
            };
            FrexpExponent = "frexp_exponent" (x) [part_of = "frexp", flops = 8] {
                float -> i32: |x| m::frexp(x).1 => emit emit::float::frexp_exponent;
            };
            /// NumPy's modf has two results; this is its first.
            ModfFraction = "modf_fraction" (x) [part_of = "modf", flops = 4] {
                float: |x| m::modf_fraction(x) => emit emit::float::modf_fraction;
            };
            ModfInteger = "modf_integer" (x) [part_of = "modf", idempotent] {
                float: |x| x.trunc() => mlir "math.trunc";
            };
            Heaviside = "heaviside" (x, y) [flops = 4] {
                float: |x, y| m::heaviside(x, y) => emit emit::float::heaviside;
            };
            Logaddexp = "logaddexp" (x, y) [identity = NegInfinity, commutative, transcendental, flops = 40] {
                float: |x, y| m::logaddexp(x, y) => emit emit::float::logaddexp;
            };
            Logaddexp2 = "logaddexp2" (x, y) [identity = NegInfinity, commutative, transcendental, flops = 40] {
                float: |x, y| m::logaddexp2(x, y) => emit emit::float::logaddexp2;
            };
            /// The second argument where the first is true, else the third.
            Where = "where" (c, x, y) [] {
                (bool, any, any) -> any: |c, x, y| m::choose(c, x, y) => pairs emit::choose;
            };
        }
    };
}

macro_rules! declare {
    ($($(#[$doc:meta])* $variant:ident = $name:literal ($($arg:ident),*) [$($attr:ident $(= $value:expr)?),*] { $($line:tt)* };)*) => {
        /// An elementwise operation. The variant's discriminant is its index in [`Ufunc::ALL`].
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        pub enum Ufunc {
            $($(#[$doc])* $variant,)*
        }

        impl Ufunc {
            pub const ALL: &'static [Ufunc] = &[$(Ufunc::$variant,)*];

            const NAMES: &'static [&'static str] = &[$($name,)*];
            const NIN: &'static [u8] = &[$([$(stringify!($arg)),*].len() as u8,)*];
            const PROPS: &'static [Props] = &[$(Props::new()$(.$attr($($value)?))*,)*];
        }
    };
}
ufunc_table!(declare);

impl Ufunc {
    /// NumPy's name.
    pub const fn name(self) -> &'static str {
        Ufunc::NAMES[self as usize]
    }

    /// The number of arguments.
    pub const fn nin(self) -> usize {
        Ufunc::NIN[self as usize] as usize
    }

    pub const fn props(self) -> &'static Props {
        &Ufunc::PROPS[self as usize]
    }

    /// Rough work for one element, in additions.
    pub const fn flops(self) -> u32 {
        self.props().flops
    }

    pub fn parse(name: &str) -> Option<Ufunc> {
        Ufunc::ALL.iter().copied().find(|u| u.name() == name)
    }
}
