//! The table of `rkt list`.

use std::time::SystemTime;

use super::record::{Listed, ListedApp};
use crate::display::{Table, full_time, short_time};
use crate::pod::NetInfo;

/// Characters of a UUID in the short table.
const SHORT_UUID: usize = 8;
/// Digits of an image id.
const SHORT_HASH: usize = 12;

/// One row per app, with what belongs to the pod in its first row only.
pub fn table(pods: &[Listed], full: bool, legend: bool) -> Table {
    let mut table = Table::default();
    if legend {
        table.row(
            match full {
                true => {
                    &["UUID", "APP", "IMAGE NAME", "IMAGE ID", "STATE", "CREATED", "STARTED", "NETWORKS"][..]
                }
                false => &["UUID", "APP", "IMAGE NAME", "STATE", "CREATED", "STARTED", "NETWORKS"][..],
            }
            .iter()
            .copied(),
        );
    }
    for pod in pods {
        let mut apps = pod.apps.iter().map(|app| app_cells(app, full));
        let first = apps.next().unwrap_or_else(|| vec!["-".to_owned(); if full { 3 } else { 2 }]);
        table.row(row(pod, first, full));
        for cells in apps {
            let empty = |count| std::iter::repeat_n(String::new(), count);
            table.row(empty(1).chain(cells).chain(empty(4)));
        }
    }
    table
}

fn row(pod: &Listed, app: Vec<String>, full: bool) -> Vec<String> {
    let uuid = pod.uuid.to_string();
    let time = |time: Option<SystemTime>| match time {
        Some(time) if full => full_time(time),
        Some(time) => short_time(time),
        None => String::new(),
    };
    let mut row = vec![if full { uuid } else { uuid[..SHORT_UUID].to_owned() }];
    row.extend(app);
    row.extend([pod.state.to_string(), time(pod.created), time(pod.started), networks(&pod.networks)]);
    row
}

fn app_cells(app: &ListedApp, full: bool) -> Vec<String> {
    let mut cells = vec![app.app.name.to_string(), app.image.clone().unwrap_or_else(|| "--".to_owned())];
    if full {
        cells.push(app.app.image.id.short(SHORT_HASH).to_owned());
    }
    cells
}

/// Networks as tables show them.
pub fn networks(networks: &[NetInfo]) -> String {
    let family = |net: &NetInfo| if net.ip.contains(':') { "ip6" } else { "ip4" };
    let one = |net: &NetInfo| format!("{}:{}={}", net.net_name, family(net), net.ip);
    networks.iter().map(one).collect::<Vec<_>>().join(", ")
}
