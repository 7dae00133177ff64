//! From the table's rows to one macro call for each operation and element type.

/// Calls `$then! { [$extra] Variant (inputs) output meaning }` for each operation and each element type it has, as statements:
/// `then! { [] Add (f64, f64) f64 |x, y| x + y }`. The native types are single words (`c64`, `c128` are the complex ones; bring
/// them in with `use legate_jit_ir::ufunc::native::{c64, c128}`).
#[macro_export]
macro_rules! ufunc_loops {
    ($then:path $(, $($extra:tt)*)?) => {
        $crate::ufunc_table! { $crate::__ufunc_rows, @ $then, [$($($extra)*)?] }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __ufunc_rows {
    (@ $then:path, $extra:tt $($(#[$doc:meta])* $variant:ident = $name:literal $args:tt $attrs:tt {
        $($class:tt $(-> $out:ident)? : $meaning:expr => $kind:ident $($op:literal)? $($path:path)?;)*
    };)*) => {
        $($($crate::__ufunc_class! { $class [$($out)?] $args, $then, $extra, $variant, $meaning })*)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __ufunc_class {
    // Which (type, result) pairs a class stands for.
    (bool [] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(bool bool)] $($rest)* } };
    (bool [bool] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(bool bool)] $($rest)* } };
    (sint [] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(i8 i8) (i16 i16) (i32 i32) (i64 i64)] $($rest)* } };
    (sint [bool] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(i8 bool) (i16 bool) (i32 bool) (i64 bool)] $($rest)* } };
    (uint [] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(u8 u8) (u16 u16) (u32 u32) (u64 u64)] $($rest)* } };
    (uint [bool] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(u8 bool) (u16 bool) (u32 bool) (u64 bool)] $($rest)* } };
    (int [] $($rest:tt)*) => {
        $crate::__ufunc_class! {
            @each [(i8 i8) (u8 u8) (i16 i16) (u16 u16) (i32 i32) (u32 u32) (i64 i64) (u64 u64)] $($rest)*
        }
    };
    (int [bool] $($rest:tt)*) => {
        $crate::__ufunc_class! {
            @each [(i8 bool) (u8 bool) (i16 bool) (u16 bool) (i32 bool) (u32 bool) (i64 bool) (u64 bool)] $($rest)*
        }
    };
    (int [u8] $($rest:tt)*) => {
        $crate::__ufunc_class! {
            @each [(i8 u8) (u8 u8) (i16 u8) (u16 u8) (i32 u8) (u32 u8) (i64 u8) (u64 u8)] $($rest)*
        }
    };
    (float [] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(f32 f32) (f64 f64)] $($rest)* } };
    (float [bool] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(f32 bool) (f64 bool)] $($rest)* } };
    (float [i32] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(f32 i32) (f64 i32)] $($rest)* } };
    (float [complex] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(f32 c64) (f64 c128)] $($rest)* } };
    (f64 [] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(f64 f64)] $($rest)* } };
    (complex [] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(c64 c64) (c128 c128)] $($rest)* } };
    (complex [bool] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(c64 bool) (c128 bool)] $($rest)* } };
    (complex [real] $($rest:tt)*) => { $crate::__ufunc_class! { @each [(c64 f32) (c128 f64)] $($rest)* } };
    (($a:ident, $b:ident) [bool] $args:tt $($rest:tt)*) => {
        $crate::__ufunc_class! { @call ($a, $b) bool $($rest)* }
    };
    ((float, $n:ident) [float] $args:tt, $then:path, $extra:tt, $variant:ident, $meaning:expr) => {
        $then! { $extra $variant (f32, $n) f32 $meaning }
        $then! { $extra $variant (f64, $n) f64 $meaning }
    };
    ((bool, any, any) [any] $args:tt, $then:path, $extra:tt, $variant:ident, $meaning:expr) => {
        $crate::__ufunc_class! {
            @where [(bool) (i8) (u8) (i16) (u16) (i32) (u32) (i64) (u64) (f32) (f64) (c64) (c128)]
            $then, $extra, $variant, $meaning
        }
    };
    // One call for each pair, by the number of arguments.
    (@each [$(($t:ident $o:ident))*] ($x:ident), $then:path, $extra:tt, $variant:ident, $meaning:expr) => {
        $($then! { $extra $variant ($t) $o $meaning })*
    };
    (@each [$(($t:ident $o:ident))*] ($x:ident, $y:ident), $then:path, $extra:tt, $variant:ident, $meaning:expr) => {
        $($then! { $extra $variant ($t, $t) $o $meaning })*
    };
    (@call $ins:tt $o:ident, $then:path, $extra:tt, $variant:ident, $meaning:expr) => {
        $then! { $extra $variant $ins $o $meaning }
    };
    (@where [$(($t:ident))*] $then:path, $extra:tt, $variant:ident, $meaning:expr) => {
        $($then! { $extra $variant (bool, $t, $t) $t $meaning })*
    };
}
