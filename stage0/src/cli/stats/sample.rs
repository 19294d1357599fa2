//! Measurements of a pod, and what two of them tell.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What stage1 answers.
#[derive(Debug, Clone, Deserialize)]
pub struct Sample {
    host: Host,
    guest: Guest,
}

/// What the pod's process uses of the host.
#[derive(Debug, Clone, Deserialize)]
struct Host {
    at_us: u64,
    cpu_us: u64,
    memory: u64,
    read: u64,
    written: u64,
}

/// What is used inside.
#[derive(Debug, Clone, Deserialize)]
struct Guest {
    apps: Vec<App>,
    interfaces: Vec<Interface>,
    memory_total: u64,
    memory_available: u64,
}

/// What an app uses.
#[derive(Debug, Clone, Deserialize)]
struct App {
    app: String,
    cpu_us: u64,
    memory: u64,
    memory_limit: Option<u64>,
    pids: u64,
}

/// What went over a network interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Interface {
    name: String,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
}

/// A pod as it is shown; sizes are bytes.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    /// The pod's UUID.
    pub name: String,
    /// Percent of one CPU that its process had.
    pub cpu_percent: f64,
    cpu_usec: u64,
    /// What its process has in the host's RAM.
    pub memory: u64,
    /// What the machine has.
    pub machine_memory: u64,
    machine_memory_available: u64,
    /// Its network interfaces.
    pub interfaces: &'a [Interface],
    /// Read from the host's disks.
    pub disk_read: u64,
    /// Written to the host's disks.
    pub disk_written: u64,
    /// Its apps that were ever started.
    pub apps: Vec<AppRecord<'a>>,
}

/// An app as it is shown.
#[derive(Debug, Serialize)]
pub struct AppRecord<'a> {
    /// Its name.
    pub name: &'a str,
    /// Percent of one CPU that it had.
    pub cpu_percent: f64,
    cpu_usec: u64,
    /// What it has of the machine's memory, page cache included.
    pub memory: u64,
    /// The most it may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub pids: u64,
}

impl<'a> Record<'a> {
    /// What a pod did between two measurements; without the first one no share of CPU is known.
    pub fn new(name: Uuid, before: Option<&Sample>, now: &'a Sample) -> Self {
        let Sample { host, guest } = now;
        let share = |used: u64, used_before: Option<u64>| {
            let passed = before.map_or(0, |before| host.at_us.saturating_sub(before.host.at_us));
            match used_before {
                Some(used_before) if passed > 0 => {
                    let percent = used.saturating_sub(used_before) as f64 * 100.0 / passed as f64;
                    (percent * 100.0).round() / 100.0
                }
                _ => 0.0,
            }
        };
        let earlier = |app: &str| {
            let apps = &before?.guest.apps;
            Some(apps.iter().find(|other| other.app == app)?.cpu_us)
        };
        let apps = guest.apps.iter().map(|app| AppRecord {
            name: &app.app,
            cpu_percent: share(app.cpu_us, earlier(&app.app)),
            cpu_usec: app.cpu_us,
            memory: app.memory,
            memory_limit: app.memory_limit,
            pids: app.pids,
        });
        Self {
            name: name.to_string(),
            cpu_percent: share(host.cpu_us, before.map(|before| before.host.cpu_us)),
            cpu_usec: host.cpu_us,
            memory: host.memory,
            machine_memory: guest.memory_total,
            machine_memory_available: guest.memory_available,
            interfaces: &guest.interfaces,
            disk_read: host.read,
            disk_written: host.written,
            apps: apps.collect(),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A measurement at a time, in microseconds, of a pod that has used so much CPU time, the half of it by its app.
    pub fn sample(at_us: u64, cpu_us: u64) -> Sample {
        let json = serde_json::json!({
            "host": {"at_us": at_us, "cpu_us": cpu_us, "memory": 2048, "read": 1, "written": 1024},
            "guest": {
                "apps": [{"app": "web", "cpu_us": cpu_us / 2, "memory": 4096, "memory_limit": null, "pids": 3}],
                "interfaces": [
                    {"name": "eth0", "received": 1, "sent": 2}, {"name": "eth1", "received": 10, "sent": 20},
                ],
                "memory_total": 8192, "memory_available": 4096,
            },
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn shares_are_of_the_time_between() {
        let (before, now) = (sample(1_000_000, 500_000), sample(3_000_000, 1_500_000));
        let record = Record::new(Uuid::nil(), Some(&before), &now);
        assert_eq!((record.cpu_percent, record.apps[0].cpu_percent), (50.0, 25.0));
        assert_eq!(Record::new(Uuid::nil(), None, &now).cpu_percent, 0.0);
        // A count that went back is an app that was started anew.
        assert_eq!(Record::new(Uuid::nil(), Some(&now), &before).apps[0].cpu_percent, 0.0);
        let json = serde_json::to_string(&record).unwrap();
        assert!(
            json.contains(r#""cpu_percent":50.0,"cpu_usec":1500000"#) && !json.contains("memory_limit"),
            "{json}"
        );
    }
}
