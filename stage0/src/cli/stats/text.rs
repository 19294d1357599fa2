//! The table of `rkt stats`.

use super::sample::{AppRecord, Record};
use crate::display::{Table, short_size};

/// Characters of a UUID.
const SHORT_UUID: usize = 8;

/// A row for each pod, followed by one for each of its apps.
pub fn table(records: &[Record<'_>], legend: bool) -> Table {
    let mut table = Table::default();
    if legend {
        table.row([
            "UUID",
            "APP",
            "%CPU",
            "MEMORY",
            "LIMIT",
            "NET RX",
            "NET TX",
            "DISK READ",
            "DISK WRITE",
            "PIDS",
        ]);
    }
    for record in records {
        table.row(pod_row(record));
        record.apps.iter().for_each(|app| table.row(app_row(app)));
    }
    table
}

fn pod_row(record: &Record<'_>) -> [String; 10] {
    let received = record.interfaces.iter().map(|interface| interface.received).fold(0, u64::saturating_add);
    let sent = record.interfaces.iter().map(|interface| interface.sent).fold(0, u64::saturating_add);
    let pids = record.apps.iter().map(|app| app.pids).fold(0, u64::saturating_add);
    [
        record.name[..SHORT_UUID].to_owned(),
        "-".to_owned(),
        format!("{:.1}", record.cpu_percent),
        short_size(record.memory),
        short_size(record.machine_memory),
        short_size(received),
        short_size(sent),
        short_size(record.disk_read),
        short_size(record.disk_written),
        pids.to_string(),
    ]
}

fn app_row(app: &AppRecord<'_>) -> [String; 10] {
    let none = || "-".to_owned();
    [
        String::new(),
        app.name.to_owned(),
        format!("{:.1}", app.cpu_percent),
        short_size(app.memory),
        app.memory_limit.map_or_else(none, short_size),
        none(),
        none(),
        none(),
        none(),
        app.pids.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::cli::stats::sample::tests::sample;

    #[test]
    fn pods_are_followed_by_their_apps() {
        let now = sample(1, 1);
        let shown = table(&[Record::new(Uuid::nil(), None, &now)], true).to_string();
        let rows: Vec<Vec<&str>> =
            shown.lines().map(|line| line.split('\t').filter(|cell| !cell.is_empty()).collect()).collect();
        assert_eq!(
            rows[1],
            ["00000000", "-", "0.0", "2.00KiB", "8.00KiB", "11B", "22B", "1B", "1.00KiB", "3"]
        );
        assert_eq!(rows[2], ["web", "0.0", "4.00KiB", "-", "-", "-", "-", "-", "3"]);
    }
}
