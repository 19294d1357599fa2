//! Processes (proc(5)).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use agent::protocol::{MAX_COMMAND, MAX_PROCESSES, Process, Sight};

/// Ticks of a second in what the kernel tells programs (`USER_HZ`), and how many milliseconds each is.
const TICK_MS: u64 = 10;
/// Bytes of a page.
const PAGE: u64 = 4096;

/// The processes of apps, those of one app together, by age. The agent's own and the kernel's are in no app's cgroup.
pub fn processes(proc: &Path) -> Sight {
    let uptime_ms = uptime_ms(proc);
    let mut processes = Vec::new();
    for entry in fs::read_dir(proc).into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        // They end while they are looked at.
        processes.extend(pid.and_then(|pid| process(&entry.path(), pid, uptime_ms)));
    }
    processes.sort_by(|a, b| (&a.app, a.pid).cmp(&(&b.app, b.pid)));
    let more = processes.len().saturating_sub(MAX_PROCESSES) as u32;
    processes.truncate(MAX_PROCESSES);
    Sight::Processes { processes, more }
}

fn process(directory: &Path, pid: u32, uptime_ms: u64) -> Option<Process> {
    let read = |name: &str| fs::read(directory.join(name)).ok();
    let app = app(std::str::from_utf8(&read("cgroup")?).ok()?)?.to_owned();
    let stat = read("stat")?;
    let stat = String::from_utf8_lossy(&stat);
    let Stat { name, parent, cpu_ms, started_ms, resident } = Stat::of(&stat)?;
    Some(Process {
        app,
        pid,
        parent,
        uid: fs::metadata(directory).ok()?.uid(),
        cpu_ms,
        age_ms: uptime_ms.saturating_sub(started_ms),
        resident,
        command: command(&read("cmdline")?, name),
    })
}

/// The app by the cgroup of its process: the one below the root.
fn app(cgroup: &str) -> Option<&str> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    path.split('/').next().filter(|app| !app.is_empty())
}

/// The arguments, separated by spaces and cut.
fn command(cmdline: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(cmdline);
    let text = text.trim_end_matches('\0').replace('\0', " ");
    let text = if text.is_empty() { format!("[{name}]") } else { text };
    text.chars().take(MAX_COMMAND).collect()
}

/// What `/proc/PID/stat` tells.
#[derive(Debug, PartialEq, Eq)]
struct Stat<'a> {
    name: &'a str,
    parent: u32,
    cpu_ms: u64,
    started_ms: u64,
    resident: u64,
}

impl<'a> Stat<'a> {
    /// The name is what a program likes, parentheses and spaces included: fields are counted after the last one.
    fn of(text: &'a str) -> Option<Self> {
        let (before, after) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            name: before.split_once('(')?.1,
            parent: number(1)? as u32,
            cpu_ms: number(11)?.saturating_add(number(12)?).saturating_mul(TICK_MS),
            started_ms: number(19)?.saturating_mul(TICK_MS),
            resident: number(21)?.saturating_mul(PAGE),
        })
    }
}

fn uptime_ms(proc: &Path) -> u64 {
    let text = fs::read_to_string(proc.join("uptime")).unwrap_or_default();
    let seconds: Option<f64> = text.split(' ').next().and_then(|seconds| seconds.parse().ok());
    (seconds.unwrap_or(0.0) * 1000.0) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4194560 90 0 0 0 12 30 0 0 20 0 1 0 250 4096 33 1";
        let expected =
            Stat { name: "a) b (c", parent: 1, cpu_ms: 420, started_ms: 2500, resident: 33 * 4096 };
        assert_eq!(Stat::of(text), Some(expected));
        assert_eq!(command(b"/bin/sh\0-c\0x y\0", "sh"), "/bin/sh -c x y");
        assert_eq!(command(b"", "zombie"), "[zombie]");
        assert_eq!(command(&[b'x'; 5000], "").len(), MAX_COMMAND);
    }

    #[test]
    fn the_app_is_the_first_group() {
        let found = ["0::/web\n", "0::/web/deeper", "0::/", "1:cpu:/web", ""].map(app);
        assert_eq!(found, [Some("web"), Some("web"), None, None, None]);
    }

    #[test]
    fn a_directory_like_proc_is_read() {
        let proc = tempfile::tempdir().unwrap();
        fs::write(proc.path().join("uptime"), "10.50 3.00\n").unwrap();
        for (pid, group) in [(30, "web"), (4, "web"), (9, "db"), (1, "")] {
            let directory = proc.path().join(pid.to_string());
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("cgroup"), format!("0::/{group}\n")).unwrap();
            let stat = format!("{pid} (x) S 1 0 0 0 0 0 0 0 0 0 1 1 0 0 20 0 1 0 1000 0 2 1");
            fs::write(directory.join("stat"), stat).unwrap();
            fs::write(directory.join("cmdline"), "x\0").unwrap();
        }
        let Sight::Processes { processes, more: 0 } = processes(proc.path()) else { panic!() };
        let found: Vec<_> = processes.iter().map(|process| (process.app.as_str(), process.pid)).collect();
        assert_eq!(found, [("db", 9), ("web", 4), ("web", 30)]);
        assert_eq!((processes[0].age_ms, processes[0].cpu_ms), (500, 20));
    }

    proptest! {
        #[test]
        fn nothing_in_stat_panics(text in "[0-9() a-z-]{0,60}") {
            let _ = Stat::of(&text);
        }
    }
}
