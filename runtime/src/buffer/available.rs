//! How much memory this process can still have: what the machine has left, what its control groups allow, and what its own
//! limits allow. Whatever is unknown does not count.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Bytes that a new mapping can have before somebody is killed or refused for it. A little is left for everything else.
pub(super) fn available() -> usize {
    let left = machine().min(groups());
    let spare = (left / 32).min(256 << 20);
    (left - spare).min(own_limits())
}

fn machine() -> usize {
    let Ok(meminfo) = std::fs::read_to_string("/proc/meminfo") else { return usize::MAX };
    // Kernels before 3.14 do not say what is available.
    let Some(available) = field(&meminfo, "MemAvailable:") else { return usize::MAX };
    (available << 10).saturating_add(field(&meminfo, "SwapFree:").unwrap_or(0) << 10)
}

/// The number after a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find(|l| l.starts_with(name))?;
    line[name.len()..].split_ascii_whitespace().next()?.parse().ok()
}

/// A control group with a limit may lie anywhere above the process's own.
struct Group {
    folder: PathBuf,
    /// Of the first version of control groups.
    first: bool,
}

fn groups() -> usize {
    static GROUPS: OnceLock<Vec<Group>> = OnceLock::new();
    let groups = GROUPS.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        find_groups(&text, Path::new("/sys/fs/cgroup"))
    });
    groups.iter().filter_map(Group::left).min().unwrap_or(usize::MAX)
}

/// The groups with a limit of memory, from `/proc/self/cgroup`. In a container the paths there may be the host's, of which
/// only the last part of the way up exists.
fn find_groups(text: &str, mount: &Path) -> Vec<Group> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let first = !controllers.is_empty();
        if first && !controllers.split(',').any(|c| c == "memory") {
            continue;
        }
        let root = if first { mount.join("memory") } else { mount.to_path_buf() };
        for path in Path::new(path.trim_start_matches('/')).ancestors() {
            let group = Group { folder: root.join(path), first };
            if group.limit().is_some() {
                found.push(group);
            }
        }
    }
    found
}

impl Group {
    fn number(&self, name: &str) -> Option<usize> {
        std::fs::read_to_string(self.folder.join(name)).ok()?.trim().parse().ok()
    }

    /// `None` where there is no limit (a word, or a number larger than any memory).
    fn limit(&self) -> Option<usize> {
        let limit = self.number(if self.first { "memory.limit_in_bytes" } else { "memory.max" })?;
        (limit < 1 << 60).then_some(limit)
    }

    fn left(&self) -> Option<usize> {
        let used = self.number(if self.first { "memory.usage_in_bytes" } else { "memory.current" })?;
        // The page cache counts as used but gives way.
        let stat = std::fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        let names = if self.first {
            ["total_inactive_file ", "total_active_file "]
        } else {
            ["inactive_file ", "active_file "]
        };
        let cache: usize = names.iter().filter_map(|n| field(&stat, n)).sum();
        Some(self.limit()?.saturating_sub(used.saturating_sub(cache)))
    }
}

/// What the process may map before it meets `ulimit -v` or `ulimit -d`.
fn own_limits() -> usize {
    let limit = |resource| {
        let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: it only writes to the structure.
        let known = unsafe { libc::getrlimit(resource, &mut limit) } == 0;
        (known && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur as usize)
    };
    let (space, data) = (limit(libc::RLIMIT_AS), limit(libc::RLIMIT_DATA));
    if space.is_none() && data.is_none() {
        return usize::MAX;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let left = |limit: Option<usize>, used: &str| {
        limit.map_or(usize::MAX, |n| n.saturating_sub(field(&status, used).unwrap_or(0) << 10))
    };
    left(space, "VmSize:").min(left(data, "VmData:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_something_left() {
        assert!(available() > 1 << 20 && machine() < usize::MAX);
    }

    #[test]
    fn fields_of_files() {
        let text = "file 7\nMemFree:  12 kB\nMemAvailable:   345 kB\n";
        assert_eq!(
            (field(text, "MemAvailable:"), field(text, "file "), field(text, "Swap:")),
            (Some(345), Some(7), None)
        );
    }

    #[test]
    fn the_tightest_group_on_the_way_up_counts() {
        let mount = std::env::temp_dir().join(format!("legate-jit-groups-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = mount.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("a/memory.max", "1000\n");
        write("a/memory.current", "700\n");
        write("a/memory.stat", "anon 200\nactive_file 300\ninactive_file 100\n");
        write("a/b/memory.max", "max\n");
        write("a/b/memory.current", "10\n");
        write("memory/c/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/memory.limit_in_bytes", "500\n");
        write("memory/memory.usage_in_bytes", "600\n");
        let left = |text: &str| find_groups(text, &mount).iter().filter_map(Group::left).min();
        assert_eq!(left("0::/a/b\n"), Some(700));
        assert_eq!(left("0::/elsewhere\n"), None);
        assert_eq!(left("3:cpu,cpuacct:/x\n7:memory:/c\n"), Some(0));
        std::fs::remove_dir_all(&mount).unwrap();
    }
}
