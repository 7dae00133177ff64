//! What the machine's caches hold, as the kernel says; where it says nothing, what most machines have at least.

use std::sync::OnceLock;

/// Bytes of a processor's second-level cache.
pub(crate) fn second_level_cache() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| cache(2).unwrap_or(512 << 10))
}

/// Bytes of the largest cache.
pub(crate) fn last_level_cache() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| cache(3).unwrap_or(32 << 20).max(second_level_cache()))
}

fn cache(index: usize) -> Option<usize> {
    let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size");
    size(&std::fs::read_to_string(path).unwrap_or_default())
}

/// `2048K` in bytes.
fn size(text: &str) -> Option<usize> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        _ => return None,
    };
    number.parse::<usize>().ok().filter(|&n| n > 0).map(|n| n * unit)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read_as_the_kernel_writes_them() {
        assert_eq!(size("2048K\n"), Some(2 << 20));
        assert_eq!(size("1M"), Some(1 << 20));
        assert_eq!(size("65536"), Some(65536));
        for none in ["", "K", "0K", "12 pages"] {
            assert_eq!(size(none), None, "{none}");
        }
    }
}
