//! The kernel cache: compiled kernels on disk, one self-describing, checksummed file each.
//!
//! A file is written under a temporary name, synced, and renamed, so that readers see whole files or none, and any number of
//! processes may write. The directory must be the user's own and closed to others (0700), and no symbolic link is followed,
//! so that nobody else can slip code in. A file is used only if its length, checksum, version, key and kernel text are all
//! right. Whatever goes wrong is an error for the caller to count; it never changes what a program computes.

mod file;

use std::ffi::{CStr, CString};
use std::fmt::Display;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use legate_jit_ir::Kernel;

use crate::{Error, Object, Result};

/// The ending of entries' names.
const ENDING: &str = "ljk";
/// A temporary file that is older than this belongs to a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);

/// An entry whose last use was noted within this time is not noted again.
const RECENT: Duration = Duration::from_secs(600);

/// Identifies the compiler: any change to how kernels are lowered changes it.
pub const BUILD_ID: &str = concat!(env!("CARGO_PKG_VERSION"), "-", env!("LEGATE_JIT_BUILD_ID"));

/// The directory used where the user names none: `$XDG_CACHE_HOME/legate-jit`, else `~/.cache/legate-jit`. The values of those
/// variables come from the caller.
pub fn default_dir(xdg_cache_home: Option<&Path>, home: Option<&Path>) -> Option<PathBuf> {
    let base = match xdg_cache_home.filter(|p| p.is_absolute()) {
        Some(p) => p.to_path_buf(),
        None => home.filter(|p| p.is_absolute())?.join(".cache"),
    };
    Some(base.join("legate-jit"))
}

/// An open cache directory.
pub struct Cache {
    dir: OwnedFd,
}

/// What `list` says of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub name: String,
    pub bytes: u64,
    /// When it was last used or written.
    pub used: SystemTime,
    /// None where the file is damaged or foreign.
    pub target: Option<String>,
    /// Made by this very compiler.
    pub current: bool,
    /// The kernel it holds.
    pub kernel: Option<String>,
}

/// What `prune` is to keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Keep {
    /// Bytes in all; what was used longest ago goes first.
    pub bytes: Option<u64>,
    /// Entries used within this time.
    pub age: Option<Duration>,
    /// Only entries of this compiler.
    pub current_only: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pruned {
    pub files: u64,
    pub bytes: u64,
}

fn io(what: &str, e: std::io::Error) -> Error {
    Error::Cache(format!("{what}: {e}"))
}

/// The key for a target of what has this text ([`crate::Source`]).
pub fn key(text: &str, target: &impl Display) -> u128 {
    let text = format!("{BUILD_ID}\n{}\n{target}\n{text}", crate::calls::INTERFACE);
    xxhash_rust::xxh3::xxh3_128(text.as_bytes())
}

fn file_name(key: u128) -> CString {
    CString::new(format!("{key:032x}.{ENDING}")).expect("no zero byte")
}

impl Cache {
    /// Opens the directory, and makes it first if it is not there.
    pub fn open(dir: &Path) -> Result<Cache> {
        if !dir.exists() {
            if let Some(parent) = dir.parent() {
                std::fs::create_dir_all(parent).map_err(|e| io(&format!("making {}", parent.display()), e))?;
            }
            let made = std::fs::DirBuilder::new().mode(0o700).create(dir);
            match made {
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(io(&format!("making {}", dir.display()), e));
                }
                _ => {}
            }
        }
        let path =
            CString::new(dir.as_os_str().as_bytes()).map_err(|_| Error::Cache("a zero byte in the path".into()))?;
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        // SAFETY: the path ends in a zero byte; the descriptor is owned by nobody else.
        let dir_fd = unsafe {
            let fd = libc::open(path.as_ptr(), flags);
            if fd < 0 {
                return Err(io(&format!("opening {}", dir.display()), std::io::Error::last_os_error()));
            }
            OwnedFd::from_raw_fd(fd)
        };
        let meta = File::from(dir_fd.try_clone().map_err(|e| io("opening the directory", e))?)
            .metadata()
            .map_err(|e| io("looking at the directory", e))?;
        if meta.uid() != user() {
            return Err(Error::Cache(format!("{} belongs to another user", dir.display())));
        }
        if meta.mode() & 0o077 != 0 {
            return Err(Error::Cache(format!(
                "{} is open to other users (mode {:o})",
                dir.display(),
                meta.mode() & 0o777
            )));
        }
        Ok(Cache { dir: dir_fd })
    }

    /// The kernel's code, if it is there and whole. A damaged or foreign entry is an error, and is removed where possible.
    pub fn get(&self, kernel: &Kernel, target: &impl Display) -> Result<Option<Object>> {
        self.get_text(&kernel.to_string(), target)
    }

    /// The same, for the text of a kernel.
    pub fn get_text(&self, text: &str, target: &impl Display) -> Result<Option<Object>> {
        let key = key(text, target);
        let name = file_name(key);
        let (bytes, used) = match self.read(&name) {
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                self.remove(&name);
                return Err(io("reading an entry", e));
            }
        };
        let parsed = file::parse(&bytes).and_then(|f| {
            let right =
                f.key == key && f.build_id == BUILD_ID && f.object.ir_text == text && f.target == target.to_string();
            if right { Ok(f.object) } else { Err(Error::Cache("an entry for another kernel or compiler".into())) }
        });
        match parsed {
            Ok(object) => {
                if used.elapsed().is_ok_and(|age| age > RECENT) {
                    self.touch(&name);
                }
                Ok(Some(object))
            }
            Err(e) => {
                self.remove(&name);
                Err(e)
            }
        }
    }

    /// Adds an entry.
    pub fn put(&self, object: &Object, target: &impl Display) -> Result<()> {
        let key = key(&object.ir_text, target);
        self.put_bytes(key, &file::write(key, BUILD_ID, &target.to_string(), object))
    }

    fn put_bytes(&self, key: u128, bytes: &[u8]) -> Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary =
            CString::new(format!(".{key:032x}.{}.{n}.tmp", std::process::id())).expect("no zero byte in the name");
        let result = self.write_synced(&temporary, bytes).and_then(|()| self.rename(&temporary, &file_name(key)));
        if result.is_err() {
            self.remove(&temporary);
        }
        result.map_err(|e| io("writing an entry", e))
    }

    fn open_at(&self, name: &CStr, flags: i32) -> std::io::Result<File> {
        let flags = flags | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
        // SAFETY: the name ends in a zero byte; the descriptor is owned by nobody else.
        unsafe {
            let fd = libc::openat(self.dir.as_raw_fd(), name.as_ptr(), flags, 0o600);
            if fd < 0 { Err(std::io::Error::last_os_error()) } else { Ok(File::from_raw_fd(fd)) }
        }
    }

    /// A file's bytes and when it was last used.
    fn read(&self, name: &CStr) -> std::io::Result<(Vec<u8>, SystemTime)> {
        let mut file = self.open_at(name, libc::O_RDONLY)?;
        let meta = file.metadata()?;
        if !meta.is_file() || meta.uid() != user() {
            return Err(std::io::Error::other("not a file of this user's"));
        }
        let mut bytes = Vec::with_capacity(meta.len() as usize + 1);
        file.read_to_end(&mut bytes)?;
        Ok((bytes, meta.modified().unwrap_or(SystemTime::UNIX_EPOCH)))
    }

    fn write_synced(&self, name: &CStr, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = self.open_at(name, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &CStr, to: &CStr) -> std::io::Result<()> {
        let dir = self.dir.as_raw_fd();
        // SAFETY: both names end in a zero byte.
        let failed = unsafe { libc::renameat(dir, from.as_ptr(), dir, to.as_ptr()) } != 0;
        if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    }

    fn remove(&self, name: &CStr) {
        // SAFETY: the name ends in a zero byte. Failure leaves a file that will be refused again.
        unsafe { libc::unlinkat(self.dir.as_raw_fd(), name.as_ptr(), 0) };
    }

    /// Notes that the entry was used, for `prune`.
    fn touch(&self, name: &CStr) {
        // SAFETY: the name ends in a zero byte; null times mean now. Failure only makes the entry look older.
        unsafe {
            libc::utimensat(self.dir.as_raw_fd(), name.as_ptr(), std::ptr::null(), libc::AT_SYMLINK_NOFOLLOW);
        }
    }

    fn entries(&self, path: &Path) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for item in std::fs::read_dir(path).map_err(|e| io("listing the directory", e))?.flatten() {
            let name = item.file_name();
            if Path::new(&name).extension().is_none_or(|e| e != ENDING) {
                continue;
            }
            let Ok(meta) = item.metadata() else { continue };
            let c_name = CString::new(name.as_bytes()).expect("file names have no zero byte");
            let parsed = self.read(&c_name).map_err(|e| io("reading an entry", e)).and_then(|(b, _)| file::parse(&b));
            let parsed = parsed.ok().filter(|f| file_name(f.key) == c_name);
            entries.push(Entry {
                name: name.to_string_lossy().into_owned(),
                bytes: meta.len(),
                used: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                current: parsed.as_ref().is_some_and(|f| f.build_id == BUILD_ID),
                target: parsed.as_ref().map(|f| f.target.clone()),
                kernel: parsed.map(|f| f.object.ir_text),
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }
}

/// Every entry of a directory, by name. Damaged ones have no target.
pub fn list(dir: &Path) -> Result<Vec<Entry>> {
    Cache::open(dir)?.entries(dir)
}

/// The names of damaged and foreign entries.
pub fn verify(dir: &Path) -> Result<Vec<String>> {
    Ok(list(dir)?.into_iter().filter(|e| e.target.is_none()).map(|e| e.name).collect())
}

/// The bytes of every whole entry, by name: what `add` takes.
pub fn whole_entries(dir: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let cache = Cache::open(dir)?;
    let mut all = Vec::new();
    for entry in cache.entries(dir)?.into_iter().filter(|e| e.target.is_some()) {
        let name = CString::new(entry.name.as_str()).expect("file names have no zero byte");
        // One that went away meanwhile is no fault.
        if let Ok((bytes, _)) = cache.read(&name) {
            all.push((entry.name, bytes));
        }
    }
    Ok(all)
}

/// What became of the bytes of an entry from elsewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Added {
    New,
    Present,
    /// It is whole, but another compiler made it, so that nothing here would find it.
    OtherBuild,
}

/// Takes an entry from elsewhere: whatever says it is one is checked as if it had been found in the directory. With what became
/// of it comes the text of its kernel.
pub fn add(dir: &Path, bytes: &[u8]) -> Result<(Added, String)> {
    let cache = Cache::open(dir)?;
    let parsed = file::parse(bytes)?;
    let text = parsed.object.ir_text;
    if parsed.build_id != BUILD_ID {
        return Ok((Added::OtherBuild, text));
    }
    if key(&text, &parsed.target) != parsed.key {
        return Err(Error::Cache("an entry under another's key".into()));
    }
    if cache.get_text(&text, &parsed.target).is_ok_and(|found| found.is_some()) {
        return Ok((Added::Present, text));
    }
    cache.put_bytes(parsed.key, bytes)?;
    Ok((Added::New, text))
}

/// Removes damaged entries, what dead processes left behind, and what is not to be kept.
pub fn prune(dir: &Path, keep: Keep) -> Result<Pruned> {
    let cache = Cache::open(dir)?;
    let now = SystemTime::now();
    let mut pruned = Pruned::default();
    let mut drop_file = |name: &str, bytes: u64| {
        cache.remove(&CString::new(name).expect("file names have no zero byte"));
        pruned.files += 1;
        pruned.bytes += bytes;
    };
    for item in std::fs::read_dir(dir).map_err(|e| io("listing the directory", e))?.flatten() {
        let name = item.file_name().to_string_lossy().into_owned();
        let Ok(meta) = item.metadata() else { continue };
        let age = meta.modified().ok().and_then(|m| now.duration_since(m).ok()).unwrap_or_default();
        if name.starts_with('.') && name.ends_with(".tmp") && age > ABANDONED {
            drop_file(&name, meta.len());
        }
    }
    let mut entries = cache.entries(dir)?;
    entries.sort_by_key(|e| std::cmp::Reverse(e.used));
    let mut total = 0;
    for e in entries {
        let old = keep.age.is_some_and(|a| now.duration_since(e.used).is_ok_and(|d| d > a));
        let foreign = e.target.is_none() || keep.current_only && !e.current;
        total += e.bytes;
        if old || foreign || keep.bytes.is_some_and(|limit| total > limit) {
            total -= e.bytes;
            drop_file(&e.name, e.bytes);
        }
    }
    Ok(pruned)
}

/// Removes what was used longest ago where the entries are more than so many bytes in all, until nine tenths of that are left.
/// Entries are not read, so this is quick.
pub fn trim(dir: &Path, limit: u64) -> Result<Pruned> {
    let cache = Cache::open(dir)?;
    let mut files = Vec::new();
    let mut total = 0;
    for item in std::fs::read_dir(dir).map_err(|e| io("listing the directory", e))?.flatten() {
        let (name, Ok(meta)) = (item.file_name(), item.metadata()) else { continue };
        let abandoned = name.to_string_lossy().ends_with(".tmp")
            && meta.modified().is_ok_and(|m| m.elapsed().is_ok_and(|age| age > ABANDONED));
        if Path::new(&name).extension().is_some_and(|e| e == ENDING) || abandoned {
            total += meta.len();
            files.push((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), name, meta.len()));
        }
    }
    let mut pruned = Pruned::default();
    if total <= limit {
        return Ok(pruned);
    }
    files.sort();
    for (_, name, bytes) in files {
        if total - pruned.bytes <= limit / 10 * 9 {
            break;
        }
        cache.remove(&CString::new(name.as_bytes()).expect("file names have no zero byte"));
        pruned.files += 1;
        pruned.bytes += bytes;
    }
    Ok(pruned)
}

fn user() -> u32 {
    // SAFETY: it only reads the process's user.
    unsafe { libc::geteuid() }
}
