//! What apps and the machine use (Linux `Documentation/admin-guide/cgroup-v2.rst`, proc(5)).

use std::fs;
use std::path::Path;

use agent::protocol::{AppUsage, InterfaceUsage, Usage};

/// Reads all of it; what the kernel does not tell is 0.
pub fn usage(proc: &Path, cgroups: &Path) -> Usage {
    let groups = fs::read_dir(cgroups).into_iter().flatten().flatten();
    let groups = groups.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut apps: Vec<_> =
        groups.filter_map(|entry| of_app(&entry.path(), entry.file_name().to_str()?)).collect();
    apps.sort_by(|a, b| a.app.cmp(&b.app));
    let memory = fs::read_to_string(proc.join("meminfo")).unwrap_or_default();
    Usage {
        apps,
        interfaces: interfaces(&fs::read_to_string(proc.join("net/dev")).unwrap_or_default()),
        memory_total: kibibytes(&memory, "MemTotal:"),
        memory_available: kibibytes(&memory, "MemAvailable:"),
    }
}

fn of_app(group: &Path, app: &str) -> Option<AppUsage> {
    let read = |name: &str| fs::read_to_string(group.join(name)).ok();
    let number = |name: &str| read(name).and_then(|text| text.trim().parse().ok());
    let cpu = read("cpu.stat")?;
    Some(AppUsage {
        app: app.to_owned(),
        cpu_us: cpu.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok()).unwrap_or(0),
        memory: number("memory.current").unwrap_or(0),
        // `max` is no number.
        memory_limit: number("memory.max"),
        pids: number("pids.current").unwrap_or(0),
    })
}

fn kibibytes(memory: &str, field: &str) -> u64 {
    let value =
        memory.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok());
    value.map_or(0, |kibibytes: u64| kibibytes.saturating_mul(1024))
}

/// Two lines of legend, then `name: received-bytes 7 others sent-bytes …`.
fn interfaces(text: &str) -> Vec<InterfaceUsage> {
    let one = |line: &str| {
        let (name, counts) = line.split_once(':')?;
        let counts: Vec<u64> = counts.split_whitespace().map_while(|count| count.parse().ok()).collect();
        let (received, sent) = (*counts.first()?, *counts.get(8)?);
        let name = name.trim();
        (name != "lo").then(|| InterfaceUsage { name: name.to_owned(), received, sent })
    };
    text.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_become_numbers() {
        let (proc, groups) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(proc.path().join("meminfo"), "MemTotal:  100 kB\nMemFree: 1 kB\nMemAvailable:   40 kB\n")
            .unwrap();
        fs::create_dir(proc.path().join("net")).unwrap();
        let dev = "Inter-|   Receive\n face |bytes\n    lo: 9 0 0 0 0 0 0 0 9 0\n  eth0: 10 1 0 0 0 0 0 0 20 2 0 0\n";
        fs::write(proc.path().join("net/dev"), dev).unwrap();
        for (app, limit) in [("web", "max\n"), ("db", "4096\n")] {
            let group = groups.path().join(app);
            fs::create_dir(&group).unwrap();
            fs::write(group.join("cpu.stat"), "usage_usec 1500\nuser_usec 1\n").unwrap();
            fs::write(group.join("memory.current"), "2048\n").unwrap();
            fs::write(group.join("memory.max"), limit).unwrap();
        }
        let usage = usage(proc.path(), groups.path());
        let app = |app: &str, memory_limit| AppUsage {
            app: app.to_owned(),
            cpu_us: 1500,
            memory: 2048,
            memory_limit,
            pids: 0,
        };
        assert_eq!(usage.apps, [app("db", Some(4096)), app("web", None)]);
        let eth0 = InterfaceUsage { name: "eth0".to_owned(), received: 10, sent: 20 };
        assert_eq!(usage.interfaces, [eth0]);
        assert_eq!((usage.memory_total, usage.memory_available), (102_400, 40_960));
    }
}
