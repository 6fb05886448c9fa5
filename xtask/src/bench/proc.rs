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

/// User and system time of a process at one moment, to tell what it has taken since.
pub(super) struct CpuClock {
    id: u32,
    /// To ten milliseconds, with threads that have ended.
    ticks: Duration,
    /// To the nanosecond, without them.
    exact: Duration,
}

impl CpuClock {
    pub(super) fn of(id: u32) -> Result<Self> {
        Ok(Self {
            id,
            ticks: cpu_time(id)?,
            exact: cpu_time_of_threads(id)?,
        })
    }

    /// What was taken since: exactly, or where threads took more that have ended, to ten milliseconds.
    pub(super) fn elapsed(&self) -> Result<Duration> {
        const TICKS: Duration = Duration::from_millis(20);
        let exact = cpu_time_of_threads(self.id)?.saturating_sub(self.exact);
        let ticks = cpu_time(self.id)?.saturating_sub(self.ticks);
        Ok(if ticks > exact + TICKS { ticks } else { exact })
    }
}

fn cpu_time_of_threads(id: u32) -> Result<Duration> {
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
        assert!(cpu_time_of_threads(id).unwrap() > Duration::ZERO);
        assert!(cpu_time(id).unwrap() < Duration::from_secs(3_600));
    }

    #[test]
    fn threads_that_have_ended_are_counted() {
        let id = std::process::id();
        let clock = CpuClock::of(id).unwrap();
        let work = || {
            let before = cpu_time(id).unwrap();
            let mut number = 1_u64;
            while cpu_time(id).unwrap() < before + Duration::from_millis(100) {
                number = std::hint::black_box(number.wrapping_mul(3));
            }
        };
        std::thread::scope(|scope| scope.spawn(work).join().unwrap());
        assert!(clock.elapsed().unwrap() >= Duration::from_millis(80));
    }
}
