//! What Linux says about a process: its CPU time and its memory.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux that one meets.
const TICKS_PER_SECOND: u64 = 100;

/// User and system time of all threads, to ten milliseconds.
pub(super) fn cpu_time(id: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))
        .context("CPU time is read from /proc, which this system does not have")?;
    // The second field is the name in brackets and may hold spaces.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// The same to the nanosecond, but without threads that have ended: for spans of time in which none ends.
pub(super) fn cpu_time_exact(id: u32) -> Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{id}/task"))? {
        // One that ends meanwhile has no figures.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        nanos += text
            .split_whitespace()
            .next()
            .map_or(Ok(0), str::parse::<u64>)?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// The most memory that the process has held at one time, in bytes.
pub(super) fn resident_memory_max(id: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("/proc has no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

/// Begins anew with what [`resident_memory_max`] says: as much as is resident now.
pub(super) fn forget_resident_memory_max(id: u32) -> Result<()> {
    fs::write(format!("/proc/{id}/clear_refs"), "5").context("cannot reset VmHWM")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_figures_are_there() {
        let id = std::process::id();
        assert!(resident_memory_max(id).unwrap() > 100_000);
        let large = vec![1_u8; 64 << 20];
        let before = resident_memory_max(id).unwrap();
        drop(large);
        forget_resident_memory_max(id).unwrap();
        assert!(resident_memory_max(id).unwrap() < before);
        assert!(cpu_time_exact(id).unwrap() > Duration::ZERO);
        assert!(cpu_time(id).unwrap() < Duration::from_secs(3_600));
    }
}
