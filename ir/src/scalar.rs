//! One element of any type, kept as bits so that it can be hashed and compared exactly (NaN payloads and -0.0 included).

use crate::DType;

/// A value of one element. `bits` holds the element little-endian: the low bytes of `bits[0]`; the imaginary part of a
/// complex128 is `bits[1]`, that of a complex64 the high half of `bits[0]`. Bytes beyond the element are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Scalar {
    pub dtype: DType,
    pub bits: [u64; 2],
}

impl Scalar {
    #[inline]
    pub fn bool(v: bool) -> Scalar {
        Scalar { dtype: DType::Bool, bits: [v as u64, 0] }
    }

    #[inline]
    pub fn f64(v: f64) -> Scalar {
        Scalar { dtype: DType::F64, bits: [v.to_bits(), 0] }
    }

    pub fn f32(v: f32) -> Scalar {
        Scalar { dtype: DType::F32, bits: [v.to_bits() as u64, 0] }
    }

    #[inline]
    pub fn i64(v: i64) -> Scalar {
        Scalar { dtype: DType::I64, bits: [v as u64, 0] }
    }

    pub fn c128(re: f64, im: f64) -> Scalar {
        Scalar { dtype: DType::C128, bits: [re.to_bits(), im.to_bits()] }
    }

    pub fn c64(re: f32, im: f32) -> Scalar {
        Scalar { dtype: DType::C64, bits: [re.to_bits() as u64 | (im.to_bits() as u64) << 32, 0] }
    }

    /// An integer of any integer or bool type, wrapped to its width.
    pub fn int(dtype: DType, v: i128) -> Scalar {
        let mask = if dtype.size() == 8 { u64::MAX } else { (1u64 << (8 * dtype.size())) - 1 };
        let bits = if dtype == DType::Bool { (v != 0) as u64 } else { v as u64 & mask };
        Scalar { dtype, bits: [bits, 0] }
    }

    /// The real part as f64 (exact for every type but 64-bit integers beyond 2^53).
    #[inline]
    pub fn as_f64(self) -> f64 {
        match self.dtype {
            DType::F64 | DType::C128 => f64::from_bits(self.bits[0]),
            DType::F32 | DType::C64 => f32::from_bits(self.bits[0] as u32) as f64,
            _ => self.as_i128() as f64,
        }
    }

    /// (real, imaginary) as f64.
    pub fn as_c128(self) -> (f64, f64) {
        match self.dtype {
            DType::C128 => (f64::from_bits(self.bits[0]), f64::from_bits(self.bits[1])),
            DType::C64 => {
                (f32::from_bits(self.bits[0] as u32) as f64, f32::from_bits((self.bits[0] >> 32) as u32) as f64)
            }
            _ => (self.as_f64(), 0.0),
        }
    }

    /// The integer value; of a float the value truncated towards zero (saturating).
    pub fn as_i128(self) -> i128 {
        let b = self.bits[0];
        match self.dtype {
            DType::Bool => (b != 0) as i128,
            DType::I8 => b as i8 as i128,
            DType::I16 => b as i16 as i128,
            DType::I32 => b as i32 as i128,
            DType::I64 => b as i64 as i128,
            DType::U8 => b as u8 as i128,
            DType::U16 => b as u16 as i128,
            DType::U32 => b as u32 as i128,
            DType::U64 => b as i128,
            DType::F32 | DType::F64 | DType::C64 | DType::C128 => self.as_f64() as i128,
        }
    }

    /// The element's bytes, `dtype.size()` of them being meaningful.
    #[inline]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut out = [0; 16];
        out[..8].copy_from_slice(&self.bits[0].to_le_bytes());
        out[8..].copy_from_slice(&self.bits[1].to_le_bytes());
        out
    }

    /// Reads an element from its bytes (at least `dtype.size()` of them).
    pub fn from_bytes(dtype: DType, bytes: &[u8]) -> Scalar {
        let mut raw = [0u8; 16];
        raw[..dtype.size()].copy_from_slice(&bytes[..dtype.size()]);
        Scalar {
            dtype,
            bits: [u64::from_le_bytes(raw[..8].try_into().unwrap()), u64::from_le_bytes(raw[8..].try_into().unwrap())],
        }
    }
}
