//! What a running pod costs the host, both its processes together.

use std::fs;
use std::io;

/// The processes of a pod: its keeper, which is `rkt run`, and the VMM.
///
/// # Errors
/// When the keeper is gone.
pub fn processes(keeper: u32) -> io::Result<Vec<u32>> {
    let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children"))?;
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    Ok([keeper].into_iter().chain(children).collect())
}

/// The proportional set size of everything they map but the guest's RAM, of which there are `ram` MiB, in KiB.
///
/// # Errors
/// When one of them is gone.
pub fn beside_ram(keeper: u32, ram: u64) -> io::Result<u64> {
    let sizes = processes(keeper)?
        .into_iter()
        .map(|process| Ok(outside_guest_ram(&fs::read_to_string(format!("/proc/{process}/smaps"))?, ram)));
    sizes.sum()
}

/// The memory of the host that a pod has, its guest's RAM included, in KiB: the resident sets of both processes.
///
/// # Errors
/// When one of them is gone.
pub fn resident(keeper: u32) -> io::Result<u64> {
    processes(keeper)?.into_iter().map(|process| status(process, "VmRSS")).sum()
}

/// A number that the kernel says of a process, as `VmHWM`, in its unit (proc_pid_status(5)).
///
/// # Errors
/// When the process is gone, or nothing of that name is said of it.
pub fn status(process: u32, field: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("{field} is not said of process {process}")))
}

/// The CPU time they have had, the guest's included, in ticks of a hundredth of a second (`USER_HZ`).
///
/// # Errors
/// When one of them is gone.
pub fn ticks(keeper: u32) -> io::Result<u64> {
    let ticks = processes(keeper)?.into_iter().map(|process| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // Fields 14 and 15, user and system time, after a name that may hold anything.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        Ok(fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum::<u64>())
    });
    ticks.sum()
}

fn outside_guest_ram(smaps: &str, ram: u64) -> u64 {
    let (mut total, mut size) = (0, 0);
    for line in smaps.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let Some(kib) = value.trim().strip_suffix(" kB").and_then(|number| number.parse::<u64>().ok()) else {
            continue;
        };
        match key {
            "Size" => size = kib,
            // Nothing else of a VMM is nearly as large as the guest's RAM.
            "Pss" if size < ram * 1024 * 9 / 10 => total += kib,
            _ => {}
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_ram_is_left_out() {
        let smaps = "7f00-7f01 rw-p 0 00:00 0\nSize:               4 kB\nPss:                3 kB\nPss_Dirty: 1 kB\n\
                     7f10-7f90 rw-p 0 00:00 0\nSize:          262144 kB\nPss:            40000 kB\n";
        assert_eq!(outside_guest_ram(smaps, 256), 3);
    }

    #[test]
    fn a_process_is_measured() {
        let own = std::process::id();
        assert!(processes(own).unwrap().contains(&own));
        assert!(beside_ram(own, 1 << 20).unwrap() > 100);
        assert!(resident(own).unwrap() > 100);
        assert!(ticks(u32::MAX).is_err());
    }
}
