//! The kernel cache under everything that can go wrong around it: many processes at once, killed in the middle; disks that are
//! full or cannot be written; entries of other builds and for other processors. Never a wrong result, never a stopped program.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use legate_jit_codegen::cache::{self, Cache};
use legate_jit_codegen::{Compiler, Counters, CpuTarget, Options};
use legate_jit_ir::{DType, Kernel, Ufunc};

use crate::cache::Dir;
use crate::harness::one_op;

/// Says to the test program that it is a child of this test, and what it is to do where.
const CHILD: &str = "LEGATE_JIT_TEST_TORTURE";
/// A child's status where the machine does not allow what it is to try.
const NOT_ALLOWED: i32 = 3;
const RIGHT: i32 = 7;

const OPS: [(Ufunc, f64); 4] =
    [(Ufunc::Add, 5.0), (Ufunc::Subtract, -1.0), (Ufunc::Multiply, 6.0), (Ufunc::Maximum, 3.0)];

fn kernel(op: Ufunc) -> Kernel {
    one_op(op, &[DType::F64, DType::F64], DType::F64)
}

/// Computes with each kernel through a compiler on this cache; false where a result is wrong.
fn right(dir: &Path, target: Option<CpuTarget>) -> (bool, Counters) {
    let compiler = Compiler::new(Options { cache: Some(dir.into()), target, ..Options::default() });
    let all = OPS.iter().all(|&(op, expected)| {
        let entry = compiler.get(&kernel(op)).wait().expect("code");
        let (a, b, mut c) = (2.0, 3.0, 0.0);
        let ptrs = [(&raw const a) as *mut u8, (&raw const b) as *mut u8, (&raw mut c) as *mut u8];
        // SAFETY: three numbers, one point; the compiler, and with it the code, is alive.
        unsafe { entry(ptrs.as_ptr(), [8i64; 3].as_ptr(), std::ptr::null(), &0, &1) };
        c == expected
    });
    (all, compiler.counters())
}

fn host() -> Option<CpuTarget> {
    CpuTarget::host()
}

/// What a child does: `what` on the cache in `dir`.
fn child(what: &str, dir: &Path) -> i32 {
    let status = |ok: bool| if ok { RIGHT } else { 1 };
    match what {
        "run" => status(right(dir, host()).0),
        // Writes without end, until it is killed.
        "write" => {
            let cache = Cache::open(dir).expect("the cache opens");
            let workshop = legate_jit_codegen::Workshop::new(&host().expect("a target")).expect("a workshop");
            let objects = OPS.map(|(op, _)| workshop.compile(&kernel(op), &mut ()).expect("an object"));
            loop {
                for object in &objects {
                    let _ = cache.put(object, &host().expect("a target"));
                }
            }
        }
        // A disk of two pages: the first entry may fit, the others do not.
        "full" => {
            if !mount_small_disk(dir) {
                return NOT_ALLOWED;
            }
            let (ok, counters) = right(dir, host());
            status(ok && counters.cache_errors > 0 && cache::verify(dir).is_ok_and(|bad| bad.is_empty()))
        }
        other => panic!("no child does {other}"),
    }
}

/// Puts a disk of two pages in the place of a directory, for this process alone. Root may.
fn mount_small_disk(dir: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let dir = std::ffi::CString::new(dir.as_os_str().as_bytes()).expect("no zero byte");
    let null = std::ptr::null();
    // SAFETY: all strings end in a zero byte; the mounts are seen by this process alone, and go with it.
    unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(c"none".as_ptr(), c"/".as_ptr(), null, libc::MS_REC | libc::MS_PRIVATE, null.cast()) == 0
            && libc::mount(c"none".as_ptr(), dir.as_ptr(), c"tmpfs".as_ptr(), 0, c"size=8k,mode=700".as_ptr().cast())
                == 0
    }
}

fn start(what: &str, dir: &Path) -> Child {
    Command::new(env::current_exe().expect("this program"))
        .args(["torture::as_a_child", "--exact", "--test-threads=1"])
        .env(CHILD, format!("{what}@{}", dir.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child")
}

/// Not a test of its own: what the children of the others run.
#[test]
fn as_a_child() {
    if let Ok(task) = env::var(CHILD) {
        let (what, dir) = task.split_once('@').expect("what@where");
        let status = child(what, &PathBuf::from(dir));
        // SAFETY: ends this process at once: nothing of the test program is to run after the child's work.
        unsafe { libc::_exit(status) };
    }
}

#[test]
fn sixty_four_processes_some_of_them_killed() {
    let dir = Dir::new("torture");
    let mut writers: Vec<Child> = (0..16).map(|_| start("write", &dir.0)).collect();
    let mut runners: Vec<Child> = Vec::new();
    for wave in 0..4 {
        runners.extend((0..12).map(|_| start("run", &dir.0)));
        std::thread::sleep(Duration::from_millis(60));
        for writer in &mut writers[4 * wave..4 * wave + 4] {
            writer.kill().expect("a child can be killed");
            writer.wait().expect("it ends");
        }
    }
    for mut runner in runners {
        assert_eq!(runner.wait().expect("it ends").code(), Some(RIGHT));
    }
    assert_eq!(cache::verify(&dir.0).unwrap(), [""; 0], "every entry is whole");
    let (ok, counters) = right(&dir.0, host());
    assert!(ok);
    assert_eq!((counters.kernels_compiled, counters.cache_hits), (0, OPS.len() as u64));
}

#[test]
fn a_disk_that_fills_up() {
    let dir = Dir::new("small-disk");
    let status = start("full", &dir.0).wait().expect("it ends").code();
    // Without root there are no small disks; `cache::a_full_disk` tries the same with a limit on files.
    assert!(status == Some(RIGHT) || status == Some(NOT_ALLOWED), "{status:?}");
}

#[test]
fn a_directory_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::new("read-only");
    assert!(right(&dir.0, host()).0);
    let names = |dir: &Path| fs::read_dir(dir).unwrap().count();
    assert_eq!(names(&dir.0), OPS.len());
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o500)).unwrap();
    let (ok, counters) = right(&dir.0, host());
    assert!(ok);
    assert_eq!((counters.kernels_compiled, counters.cache_hits), (0, OPS.len() as u64), "it is still read");
    // Root writes all the same; everybody else cannot, and is told by the counter alone.
    let other = CpuTarget::named("x86-64-v2").unwrap();
    let (ok, counters) = right(&dir.0, Some(other));
    assert!(ok);
    let written = names(&dir.0) - OPS.len();
    assert_eq!(written as u64 + counters.cache_errors, OPS.len() as u64);
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn entries_for_other_processors_are_not_run() {
    let dir = Dir::new("processors");
    for name in ["x86-64-v2", "haswell"] {
        let target = CpuTarget::named(name).unwrap();
        if target.runs_here() {
            let (ok, counters) = right(&dir.0, Some(target));
            assert!(ok);
            assert_eq!((counters.kernels_compiled, counters.cache_hits), (OPS.len() as u64, 0), "{name}");
        }
    }
    // The file of one processor under the name of another's.
    let workshop = legate_jit_codegen::Workshop::new(&CpuTarget::named("x86-64-v2").unwrap()).unwrap();
    let object = workshop.compile(&kernel(Ufunc::Add), &mut ()).unwrap();
    let (a, b) = (Dir::new("for-v2"), Dir::new("for-host"));
    let (cache_a, cache_b) = (Cache::open(&a.0).unwrap(), Cache::open(&b.0).unwrap());
    cache_a.put(&object, &CpuTarget::named("x86-64-v2").unwrap()).unwrap();
    cache_b.put(&object, &host().unwrap()).unwrap();
    let only = |dir: &Dir| fs::read_dir(&dir.0).unwrap().next().unwrap().unwrap().path();
    fs::copy(only(&a), only(&b)).unwrap();
    assert!(cache_b.get(&kernel(Ufunc::Add), &host().unwrap()).is_err());
}

#[test]
fn entries_of_another_build_are_not_run() {
    let dir = Dir::new("builds");
    assert!(right(&dir.0, host()).0);
    let build = cache::BUILD_ID.as_bytes();
    for item in fs::read_dir(&dir.0).unwrap() {
        let path = item.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(build.len()).position(|w| w == build).expect("the build is named");
        bytes[at + build.len() - 1] ^= 1;
        // As that build would have written it: with a checksum that is right.
        let body = bytes.len() - 16;
        let sum = xxhash_rust::xxh3::xxh3_128(&bytes[..body]).to_le_bytes();
        bytes[body..].copy_from_slice(&sum);
        fs::write(&path, bytes).unwrap();
    }
    assert!(cache::list(&dir.0).unwrap().iter().all(|e| e.target.is_some() && !e.current));
    let (ok, counters) = right(&dir.0, host());
    assert!(ok);
    assert_eq!((counters.kernels_compiled, counters.cache_errors), (OPS.len() as u64, OPS.len() as u64));
    assert!(cache::list(&dir.0).unwrap().iter().all(|e| e.current));
}

#[test]
fn the_oldest_go_when_the_cache_is_full() {
    let dir = Dir::new("limit");
    assert!(right(&dir.0, host()).0);
    let before = cache::list(&dir.0).unwrap();
    let total: u64 = before.iter().map(|e| e.bytes).sum();
    let oldest = dir.0.join(&before[0].name);
    fs::File::open(&oldest).unwrap().set_modified(std::time::SystemTime::now() - Duration::from_secs(86400)).unwrap();
    assert_eq!(cache::trim(&dir.0, total).unwrap().files, 0, "it is not too much");
    let options = Options { cache: Some(dir.0.clone()), cache_bytes: Some(total), ..Options::default() };
    let compiler = Compiler::new(options);
    assert!(compiler.get(&kernel(Ufunc::Divide)).wait().is_some());
    // The helper thread looks after the cache when it has nothing else to do; it removes file after file, the oldest first.
    let bytes = || cache::list(&dir.0).unwrap().iter().map(|e| e.bytes).sum::<u64>();
    let since = std::time::Instant::now();
    while (oldest.exists() || bytes() > total) && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!oldest.exists());
    assert!(bytes() <= total);
}
