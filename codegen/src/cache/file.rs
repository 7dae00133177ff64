//! The bytes of a cache entry: a magic number, a version, fields that each say their length, and a checksum over all of it.

use std::collections::BTreeSet;

use crate::{Error, Object, Result, Times};

const MAGIC: &[u8; 8] = b"LEGATJIT";
const VERSION: u32 = 1;
const CHECKSUM: usize = 16;

/// A parsed entry.
pub struct Parsed {
    pub key: u128,
    pub build_id: String,
    pub target: String,
    pub object: Object,
}

pub fn write(key: u128, build_id: &str, target: &str, object: &Object) -> Vec<u8> {
    let mut out = Vec::with_capacity(object.bytes.len() + object.ir_text.len() + 512);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&key.to_le_bytes());
    let calls: Vec<&str> = object.calls.iter().map(String::as_str).collect();
    let calls = calls.join("\n");
    let texts = [build_id, target, &object.name, &object.features, &calls, &object.ir_text];
    for field in texts.iter().map(|t| t.as_bytes()).chain([&object.bytes[..]]) {
        out.extend_from_slice(&(field.len() as u64).to_le_bytes());
        out.extend_from_slice(field);
    }
    let sum = xxhash_rust::xxh3::xxh3_128(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

pub fn parse(bytes: &[u8]) -> Result<Parsed> {
    let damaged = || Error::Cache("a damaged entry".into());
    let body_len = bytes.len().checked_sub(CHECKSUM).ok_or_else(damaged)?;
    let (body, sum) = bytes.split_at(body_len);
    if xxhash_rust::xxh3::xxh3_128(body).to_le_bytes() != sum {
        return Err(damaged());
    }
    let mut rest = body;
    let mut take = |n: usize| -> Result<&[u8]> {
        let (head, tail) = rest.split_at_checked(n).ok_or_else(damaged)?;
        rest = tail;
        Ok(head)
    };
    if take(MAGIC.len())? != MAGIC {
        return Err(Error::Cache("a foreign file".into()));
    }
    let version = u32::from_le_bytes(take(4)?.try_into().expect("four bytes"));
    if version != VERSION {
        return Err(Error::Cache(format!("an entry of version {version}")));
    }
    let key = u128::from_le_bytes(take(16)?.try_into().expect("sixteen bytes"));
    let mut field = || -> Result<&[u8]> {
        let n = u64::from_le_bytes(take(8)?.try_into().expect("eight bytes"));
        take(usize::try_from(n).map_err(|_| damaged())?)
    };
    let mut text = || -> Result<String> { String::from_utf8(field()?.to_vec()).map_err(|_| damaged()) };
    let [build_id, target, name, features, calls, ir_text] = [text()?, text()?, text()?, text()?, text()?, text()?];
    let object_bytes = field()?.to_vec();
    if !rest.is_empty() {
        return Err(damaged());
    }
    let calls: BTreeSet<String> = calls.lines().map(str::to_string).collect();
    let object = Object { name, bytes: object_bytes, features, calls, ir_text, times: Times::default() };
    Ok(Parsed { key, build_id, target, object })
}
