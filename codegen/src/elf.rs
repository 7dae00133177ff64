//! Reads relocatable x86-64 objects and lays them out: which bytes go where, and what is filled in. No memory of the process is
//! touched here; `load.rs` does that.
//!
//! Only what the compiler emits for a kernel is understood: code, constants, relative references between them, and calls of
//! functions outside. Anything else (data that can be written, thread-local storage, absolute addresses) is refused. Every offset
//! is checked, so that no object, whatever its bytes, leads outside itself.

use crate::{Error, Result};

/// An object laid out at offsets from the start of its memory.
pub struct Image {
    /// What the memory is filled with. The calls' slots are still zero.
    pub bytes: Vec<u8>,
    /// Where the entry lies.
    pub entry: usize,
    /// For each name outside, where its address (8 bytes) is to be written.
    pub outside: Vec<(String, usize)>,
}

const SHT_SYMTAB: u32 = 2;
const SHT_RELA: u32 = 4;
const SHT_NOBITS: u32 = 8;
const SHF_WRITE: u64 = 1;
const SHF_ALLOC: u64 = 2;
const SHF_TLS: u64 = 0x400;
const SHN_UNDEF: u16 = 0;
const SHN_ABS: u16 = 0xfff1;
const STB_LOCAL: u8 = 0;

const R_X86_64_64: u32 = 1;
const R_X86_64_PC32: u32 = 2;
const R_X86_64_PLT32: u32 = 4;
const R_X86_64_GOTPCREL: u32 = 9;
const R_X86_64_GOTPCRELX: u32 = 41;
const R_X86_64_REX_GOTPCRELX: u32 = 42;

/// A jump through the address that follows it: what a call of a function outside goes to, however far away that is.
const STUB: [u8; 8] = [0xff, 0x25, 0x02, 0, 0, 0, 0x66, 0x90];
const STUB_BYTES: usize = 16;

fn damaged() -> Error {
    Error::Llvm("a damaged object".into())
}

fn refused(what: &str) -> Error {
    Error::Llvm(format!("an object with {what}"))
}

struct Section {
    name: u32,
    kind: u32,
    flags: u64,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
    align: u64,
}

struct Symbol {
    name: u32,
    info: u8,
    section: u16,
    value: u64,
}

/// The object's own bytes, read with every bound checked.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn slice(&self, at: u64, n: u64) -> Result<&'a [u8]> {
        let at = usize::try_from(at).map_err(|_| damaged())?;
        let end = at.checked_add(usize::try_from(n).map_err(|_| damaged())?).ok_or_else(damaged)?;
        self.0.get(at..end).ok_or_else(damaged)
    }

    fn array<const N: usize>(&self, at: u64) -> Result<[u8; N]> {
        Ok(self.slice(at, N as u64)?.try_into().expect("as long as asked for"))
    }

    fn u16(&self, at: u64) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array(at)?))
    }

    fn u32(&self, at: u64) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(at)?))
    }

    fn u64(&self, at: u64) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(at)?))
    }

    /// A name that ends in a zero byte, from a table of names.
    fn name(&self, table: &Section, at: u32) -> Result<&'a str> {
        let names = self.slice(table.offset, table.size)?;
        let rest = names.get(at as usize..).ok_or_else(damaged)?;
        let end = rest.iter().position(|&b| b == 0).ok_or_else(damaged)?;
        std::str::from_utf8(&rest[..end]).map_err(|_| damaged())
    }

    fn sections(&self) -> Result<Vec<Section>> {
        let magic: [u8; 6] = self.array(0)?;
        // 64 bits, little-endian, relocatable, x86-64.
        if &magic != b"\x7fELF\x02\x01" || self.u16(16)? != 1 || self.u16(18)? != 62 {
            return Err(refused("another format"));
        }
        let (table, size, count) = (self.u64(40)?, self.u16(58)?, self.u16(60)?);
        if size != 64 {
            return Err(damaged());
        }
        (0..u64::from(count))
            .map(|i| {
                let at = table.checked_add(64 * i).ok_or_else(damaged)?;
                let bytes: [u8; 64] = self.array(at)?;
                let r = Reader(&bytes);
                Ok(Section {
                    name: r.u32(0)?,
                    kind: r.u32(4)?,
                    flags: r.u64(8)?,
                    offset: r.u64(24)?,
                    size: r.u64(32)?,
                    link: r.u32(40)?,
                    info: r.u32(44)?,
                    align: r.u64(48)?.max(1),
                })
            })
            .collect()
    }

    fn symbol(&self, table: &Section, i: u64) -> Result<Symbol> {
        if i >= table.size / 24 {
            return Err(damaged());
        }
        let bytes: [u8; 24] = self.array(table.offset.checked_add(24 * i).ok_or_else(damaged)?)?;
        let r = Reader(&bytes);
        Ok(Symbol { name: r.u32(0)?, info: bytes[4], section: r.u16(6)?, value: r.u64(8)? })
    }
}

/// Lays an object out, with `entry` as the function that is called.
pub fn lay_out(object: &[u8], entry: &str) -> Result<Image> {
    let reader = Reader(object);
    let sections = reader.sections()?;
    let header_names = sections.get(reader.u16(62)? as usize).ok_or_else(damaged)?;
    let mut bytes = Vec::new();
    // Where each section that is in memory starts. What unwinds the stack is left out: nothing passes through a kernel.
    let mut place: Vec<Option<usize>> = Vec::with_capacity(sections.len());
    for s in &sections {
        let in_memory = s.flags & SHF_ALLOC != 0 && reader.name(header_names, s.name)? != ".eh_frame";
        if !in_memory {
            place.push(None);
            continue;
        }
        if s.size > 0 && (s.flags & (SHF_WRITE | SHF_TLS) != 0 || s.kind == SHT_NOBITS) {
            return Err(refused("data of its own"));
        }
        // Memory begins at a page, so no more can be had.
        if !s.align.is_power_of_two() || s.align > 4096 {
            return Err(damaged());
        }
        bytes.resize(bytes.len().next_multiple_of(s.align as usize), 0);
        place.push(Some(bytes.len()));
        bytes.extend_from_slice(reader.slice(s.offset, s.size)?);
    }
    let code_end = bytes.len();
    let mut outside = Outside { bytes, slots: Vec::new() };

    let table = sections.iter().find(|s| s.kind == SHT_SYMTAB).ok_or_else(damaged)?;
    let names = sections.get(table.link as usize).ok_or_else(damaged)?;
    for s in sections.iter().filter(|s| s.kind == SHT_RELA) {
        let target = sections.get(s.info as usize).ok_or_else(damaged)?;
        let Some(&Some(base)) = place.get(s.info as usize) else { continue };
        for i in 0..s.size / 24 {
            let at = s.offset.checked_add(24 * i).ok_or_else(damaged)?;
            let (offset, info, addend) = (reader.u64(at)?, reader.u64(at + 8)?, reader.u64(at + 16)? as i64);
            let (kind, symbol) = (info as u32, reader.symbol(table, info >> 32)?);
            if offset.checked_add(4).is_none_or(|end| end > target.size) {
                return Err(damaged());
            }
            let field = base + offset as usize;
            let named = || reader.name(names, symbol.name);
            let value = match (kind, symbol.section) {
                (R_X86_64_PC32 | R_X86_64_PLT32, SHN_UNDEF) => outside.stub(named()?),
                (R_X86_64_GOTPCREL | R_X86_64_GOTPCRELX | R_X86_64_REX_GOTPCRELX, SHN_UNDEF) => {
                    outside.stub(named()?) + STUB.len()
                }
                (R_X86_64_PC32 | R_X86_64_PLT32, section) if section != SHN_ABS => {
                    let start = place.get(section as usize).copied().flatten().ok_or_else(damaged)?;
                    let value = usize::try_from(symbol.value).map_err(|_| damaged())?;
                    start.checked_add(value).filter(|&v| v <= code_end).ok_or_else(damaged)?
                }
                (R_X86_64_64, _) => return Err(refused("an absolute address")),
                _ => return Err(refused("a relocation that no kernel has")),
            };
            let distance = (value as i64).checked_add(addend).and_then(|v| v.checked_sub(field as i64));
            let distance = distance.and_then(|d| i32::try_from(d).ok()).ok_or_else(damaged)?;
            outside.bytes[field..field + 4].copy_from_slice(&distance.to_le_bytes());
        }
    }

    let mut found = None;
    for i in 0..table.size / 24 {
        let symbol = reader.symbol(table, i)?;
        if symbol.section != SHN_UNDEF && symbol.info >> 4 != STB_LOCAL && reader.name(names, symbol.name)? == entry {
            let section = sections.get(symbol.section as usize).ok_or_else(damaged)?;
            let start = place.get(symbol.section as usize).copied().flatten().ok_or_else(damaged)?;
            if symbol.value >= section.size {
                return Err(damaged());
            }
            found = Some(start + symbol.value as usize);
        }
    }
    let entry = found.ok_or_else(|| Error::Llvm("the object has no such symbol".into()))?;
    Ok(Image { bytes: outside.bytes, entry, outside: outside.slots })
}

/// The bytes so far, and behind the sections a stub for each function outside.
struct Outside {
    bytes: Vec<u8>,
    slots: Vec<(String, usize)>,
}

impl Outside {
    /// Where the stub of a function lies; its address is in the 8 bytes behind the jump.
    fn stub(&mut self, name: &str) -> usize {
        if let Some((_, slot)) = self.slots.iter().find(|s| s.0 == name) {
            return slot - STUB.len();
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(STUB_BYTES), 0);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&STUB);
        self.bytes.extend_from_slice(&[0; STUB_BYTES - STUB.len()]);
        self.slots.push((name.to_string(), at + STUB.len()));
        at
    }
}
