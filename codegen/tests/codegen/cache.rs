//! The kernel cache's faults: whatever happens to a file, the code is right or is not used.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use legate_jit_codegen::cache::{self, Cache, Keep};
use legate_jit_codegen::{Compiler, CpuTarget, Object, Options, Workshop};
use legate_jit_ir::{DType, Kernel, Ufunc};

use crate::harness::one_op;

/// A directory of this test's own, gone when it is dropped.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new(name: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("legate-jit-test-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::DirBuilder::new().create(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        Dir(dir)
    }

    /// The one entry.
    fn entry(&self) -> PathBuf {
        let mut entries: Vec<_> = fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries.pop().unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn kernel() -> Kernel {
    one_op(Ufunc::Add, &[DType::F64, DType::F64], DType::F64)
}

fn target() -> CpuTarget {
    CpuTarget::host().expect("a machine to compile for")
}

/// A cache with one entry.
fn filled(name: &str) -> (Dir, Cache, Object) {
    let dir = Dir::new(name);
    let cache = Cache::open(&dir.0).unwrap();
    let object = Workshop::new(&target()).unwrap().compile(&kernel(), &mut ()).unwrap();
    cache.put(&object, &target()).unwrap();
    (dir, cache, object)
}

fn same_code(a: &Object, b: &Object) -> bool {
    (&a.name, &a.bytes, &a.calls, &a.ir_text) == (&b.name, &b.bytes, &b.calls, &b.ir_text)
}

#[test]
fn what_was_put_comes_back() {
    let (dir, cache, object) = filled("back");
    let found = cache.get(&kernel(), &target()).unwrap().expect("an entry");
    assert!(same_code(&found, &object));
    let other = one_op(Ufunc::Subtract, &[DType::F64, DType::F64], DType::F64);
    assert_eq!(cache.get(&other, &target()), Ok(None));
    let another = CpuTarget::named("haswell").unwrap();
    assert_eq!(cache.get(&kernel(), &another), Ok(None));
    let list = cache::list(&dir.0).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].target, Some(target().to_string()));
    assert!(list[0].current && list[0].kernel.is_some());
    assert_eq!(fs::metadata(dir.entry()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn cut_off_anywhere() {
    let (dir, cache, _) = filled("cut");
    let entry = dir.entry();
    let bytes = fs::read(&entry).unwrap();
    for n in 0..bytes.len() {
        fs::write(&entry, &bytes[..n]).unwrap();
        assert!(cache.get(&kernel(), &target()).is_err(), "cut to {n} of {} bytes", bytes.len());
        assert!(!entry.exists(), "a damaged entry is removed");
    }
    fs::write(&entry, &bytes).unwrap();
    assert!(cache.get(&kernel(), &target()).unwrap().is_some());
}

#[test]
fn any_bit_turned() {
    let (dir, cache, _) = filled("bits");
    let entry = dir.entry();
    let bytes = fs::read(&entry).unwrap();
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1 << (at % 8);
        fs::write(&entry, &other).unwrap();
        assert!(cache.get(&kernel(), &target()).is_err(), "byte {at} of {}", bytes.len());
    }
    let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
    fs::write(&entry, &longer).unwrap();
    assert!(cache.get(&kernel(), &target()).is_err());
}

#[test]
fn another_kernels_file_under_this_ones_name() {
    let (dir, cache, _) = filled("swapped");
    let entry = dir.entry();
    let right = fs::read(&entry).unwrap();
    fs::remove_file(&entry).unwrap();
    let other = one_op(Ufunc::Subtract, &[DType::F64, DType::F64], DType::F64);
    cache.put(&Workshop::new(&target()).unwrap().compile(&other, &mut ()).unwrap(), &target()).unwrap();
    fs::rename(dir.entry(), &entry).unwrap();
    assert_ne!(fs::read(&entry).unwrap(), right);
    assert!(cache.get(&kernel(), &target()).is_err());
}

#[test]
fn an_older_builds_entry_under_this_ones_name() {
    let (dir, cache, _) = filled("older");
    let entry = dir.entry();
    let bytes = fs::read(&entry).unwrap();
    let build = cache::BUILD_ID.as_bytes();
    let at = bytes.windows(build.len()).position(|w| w == build).expect("the build stands in the file");
    // Whole in every respect, its checksum too, but from a build that differs in one letter.
    let mut older = bytes[..bytes.len() - 16].to_vec();
    older[at + build.len() - 1] ^= 1;
    let sum = xxhash_rust::xxh3::xxh3_128(&older);
    older.extend_from_slice(&sum.to_le_bytes());
    fs::write(&entry, &older).unwrap();
    let listed = cache::list(&dir.0).unwrap();
    assert!(listed[0].target.is_some() && !listed[0].current, "it is no damaged one");
    assert!(cache.get(&kernel(), &target()).is_err());
    assert!(!entry.exists(), "it makes room for this build's");
}

#[test]
fn foreign_files_are_found_and_pruned() {
    let (dir, _cache, _) = filled("foreign");
    let good = dir.entry().file_name().unwrap().to_string_lossy().into_owned();
    fs::write(dir.0.join("notes.ljk"), "not a kernel").unwrap();
    fs::write(dir.0.join("README"), "left alone").unwrap();
    assert_eq!(cache::verify(&dir.0).unwrap(), ["notes.ljk"]);
    let pruned = cache::prune(&dir.0, Keep::default()).unwrap();
    assert_eq!((pruned.files, pruned.bytes), (1, 12));
    assert_eq!(cache::verify(&dir.0).unwrap(), [""; 0]);
    let names: Vec<String> = cache::list(&dir.0).unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(names, [good]);
    assert!(dir.0.join("README").exists());
    let pruned = cache::prune(&dir.0, Keep { bytes: Some(0), ..Keep::default() }).unwrap();
    assert_eq!(pruned.files, 1);
    assert_eq!(cache::list(&dir.0).unwrap(), []);
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let (dir, cache, first) = filled("oldest");
    let old = dir.entry();
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(86400);
    fs::File::open(&old).unwrap().set_modified(long_ago).unwrap();
    let other = one_op(Ufunc::Subtract, &[DType::F64, DType::F64], DType::F64);
    cache.put(&Workshop::new(&target()).unwrap().compile(&other, &mut ()).unwrap(), &target()).unwrap();
    let bytes = cache::list(&dir.0).unwrap().iter().map(|e| e.bytes).max().unwrap();
    assert_eq!(cache::prune(&dir.0, Keep { bytes: Some(bytes), ..Keep::default() }).unwrap().files, 1);
    assert!(!old.exists());
    // A use makes an entry young again.
    cache.put(&first, &target()).unwrap();
    fs::File::open(&old).unwrap().set_modified(long_ago).unwrap();
    assert!(cache.get(&kernel(), &target()).unwrap().is_some());
    let keep = Keep { age: Some(Duration::from_secs(3600)), ..Keep::default() };
    assert_eq!(cache::prune(&dir.0, keep).unwrap().files, 0);
}

#[test]
fn directories_that_are_not_safe() {
    let (dir, _cache, _) = filled("modes");
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Cache::open(&dir.0).is_err(), "others can read it");
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(Cache::open(&dir.0).is_ok());
    let link = Dir::new("links");
    symlink(&dir.0, link.0.join("cache")).unwrap();
    assert!(Cache::open(&link.0.join("cache")).is_err(), "a symbolic link");
    fs::write(link.0.join("file"), "").unwrap();
    assert!(Cache::open(&link.0.join("file")).is_err(), "a file");
    // An entry that is a link to a good one.
    let entry = dir.entry();
    let elsewhere = link.0.join("entry");
    fs::rename(&entry, &elsewhere).unwrap();
    symlink(&elsewhere, &entry).unwrap();
    assert!(Cache::open(&dir.0).unwrap().get(&kernel(), &target()).is_err());
}

#[test]
fn a_new_directory_is_the_users_own() {
    let dir = Dir::new("made");
    let path = dir.0.join("a/b/cache");
    Cache::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn the_default_directory() {
    use std::path::Path;
    let dir = |xdg, home| cache::default_dir(xdg, home);
    assert_eq!(dir(Some(Path::new("/x")), Some(Path::new("/h"))), Some("/x/legate-jit".into()));
    assert_eq!(dir(None, Some(Path::new("/h"))), Some("/h/.cache/legate-jit".into()));
    assert_eq!(dir(Some(Path::new("relative")), Some(Path::new("/h"))), Some("/h/.cache/legate-jit".into()));
    assert_eq!(dir(None, None), None);
}

#[test]
fn many_writers_and_readers() {
    let (dir, _, object) = filled("many");
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (path, object) = (dir.0.clone(), object.clone());
            std::thread::spawn(move || {
                let cache = Cache::open(&path).unwrap();
                for _ in 0..20 {
                    cache.put(&object, &target()).unwrap();
                    let found = cache.get(&kernel(), &target()).unwrap().expect("always a whole entry");
                    assert!(same_code(&found, &object));
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|w| w.join().unwrap());
    dir.entry();
}

/// A compiler on this cache, after it has made the kernel's code and that has added 2 and 3.
fn compiler_adds(cache: Option<PathBuf>) -> legate_jit_codegen::Counters {
    let compiler = Compiler::new(Options { cache, ..Options::default() });
    let entry = compiler.get(&kernel()).wait().expect("code");
    let (a, b, mut c) = (2.0, 3.0, 0.0);
    let ptrs = [(&raw const a) as *mut u8, (&raw const b) as *mut u8, (&raw mut c) as *mut u8];
    // SAFETY: three numbers, one point; the compiler, and with it the code, is alive.
    unsafe { entry(ptrs.as_ptr(), [8i64; 3].as_ptr(), std::ptr::null(), &0, &1) };
    assert_eq!(c, 5.0);
    compiler.counters()
}

#[test]
fn faults_are_counted_and_the_result_stays() {
    let dir = Dir::new("counted");
    let path = Some(dir.0.clone());
    let first = compiler_adds(path.clone());
    assert_eq!((first.kernels_compiled, first.cache_hits, first.cache_misses, first.cache_errors), (1, 0, 1, 0));
    let second = compiler_adds(path.clone());
    assert_eq!((second.kernels_compiled, second.cache_hits, second.cache_misses, second.cache_errors), (0, 1, 0, 0));
    let entry = dir.entry();
    let bytes = fs::read(&entry).unwrap();
    fs::write(&entry, &bytes[..bytes.len() / 2]).unwrap();
    let torn = compiler_adds(path.clone());
    assert_eq!((torn.kernels_compiled, torn.cache_hits, torn.cache_misses, torn.cache_errors), (1, 0, 1, 1));
    assert_eq!(fs::read(&entry).unwrap().len(), bytes.len(), "written anew");
    // A place where no directory can be.
    let impossible = compiler_adds(Some(entry.join("cache")));
    assert_eq!((impossible.kernels_compiled, impossible.cache_errors), (1, 1));
    let open = Dir::new("open");
    fs::set_permissions(&open.0, fs::Permissions::from_mode(0o777)).unwrap();
    let unsafe_dir = compiler_adds(Some(open.0.clone()));
    assert_eq!((unsafe_dir.kernels_compiled, unsafe_dir.cache_errors), (1, 1));
    assert_eq!(fs::read_dir(&open.0).unwrap().count(), 0);
}

#[test]
fn a_full_disk() {
    // /dev/full takes no byte; a limit on the size of files does the same to ordinary ones, in a process of its own.
    const CHILD: &str = "LEGATE_JIT_TEST_FULL_DISK";
    if let Some(path) = std::env::var_os(CHILD) {
        // SAFETY: the limit and the ignored signal concern this process, which runs this test alone.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::setrlimit(libc::RLIMIT_FSIZE, &libc::rlimit { rlim_cur: 100, rlim_max: 100 });
        }
        let counters = compiler_adds(Some(path.into()));
        assert_eq!((counters.kernels_compiled, counters.cache_errors), (1, 1));
        return;
    }
    let dir = Dir::new("full");
    let me = std::env::current_exe().unwrap();
    let status = std::process::Command::new(me)
        .args(["cache::a_full_disk", "--exact"])
        .env(CHILD, &dir.0)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 0, "nothing half-written stays");
}

#[test]
fn killed_while_writing() {
    // What a dead writer leaves behind is not read, and goes once it is old.
    let (dir, cache, _) = filled("killed");
    let entry = dir.entry();
    let left = dir.0.join(".0123.99.0.tmp");
    fs::write(&left, &fs::read(&entry).unwrap()[..100]).unwrap();
    assert!(cache.get(&kernel(), &target()).unwrap().is_some());
    assert_eq!(cache::prune(&dir.0, Keep::default()).unwrap().files, 0, "its writer may be alive");
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(86400);
    fs::File::open(&left).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(cache::prune(&dir.0, Keep::default()).unwrap().files, 1);
    assert!(!left.exists() && entry.exists());
}

#[test]
fn compilers_share_a_cache() {
    let dir = Arc::new(Dir::new("shared"));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let dir = dir.clone();
            std::thread::spawn(move || compiler_adds(Some(dir.0.clone())))
        })
        .collect();
    for thread in threads {
        let counters = thread.join().unwrap();
        assert_eq!(counters.kernels_compiled + counters.cache_hits, 1);
        assert_eq!(counters.cache_errors, 0);
    }
    assert_eq!(cache::verify(&dir.0).unwrap(), [""; 0]);
}
