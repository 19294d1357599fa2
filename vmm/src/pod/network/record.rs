//! What a pod's directory says about its networks: `cni.json`, from which they can be undone, and `net-info.json`, which
//! `rkt list` and `rkt status` read (`rkt-reference` §8.4).

use std::{net::IpAddr, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{config::PluginConfig, ports::PortMapping, result::Outcome};
use crate::pod::directory::{DirectoryError, PodDirectory};

/// The file from which networks are undone.
pub const RECORD: &str = "cni.json";
/// The file that others read.
const NET_INFO: &str = "net-info.json";
/// The file that names the pod's network namespace.
pub const NAMESPACE: &str = "netns";
/// The largest record that is read, in bytes.
const MAX_RECORD: u64 = 16 << 20;

/// Everything a pod's networks need to be undone by another process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The networks in the order they are joined.
    pub attachments: Vec<Attachment>,
    /// Whether the pod has left them.
    #[serde(default)]
    pub left: bool,
}

/// A network a pod joins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network's name.
    pub network: String,
    /// The file it is configured in.
    pub file: PathBuf,
    /// The interface in the pod.
    pub interface: String,
    /// CNI's arguments, `k=v;k=v`.
    pub arguments: String,
    /// The plugins' whole configurations, in the order of their calls.
    pub plugins: Vec<PluginConfig>,
    /// The ports of the host that lead to the pod over this network.
    #[serde(default)]
    pub ports: Vec<PortMapping>,
    /// What the plugins answered, once they have.
    #[serde(default)]
    pub result: Option<Value>,
}

/// One network in `net-info.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NetInfo<'a> {
    net_name: &'a str,
    net_conf: String,
    plugin_path: String,
    if_name: &'a str,
    ip: String,
    args: &'a str,
    mask: String,
}

impl Record {
    /// Reads that of a pod; `None` if the pod has no networks.
    pub fn load(directory: &PodDirectory) -> Result<Option<Self>, DirectoryError> {
        let Some(text) = directory.read_file(RECORD, MAX_RECORD)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| DirectoryError::Read {
            path: directory.root().join(RECORD),
            source: error.into(),
        })
    }

    /// Writes it.
    pub fn save(&self, directory: &PodDirectory) -> Result<(), DirectoryError> {
        let text = serde_json::to_string(self).map_err(|error| DirectoryError::Write {
            path: directory.root().join(RECORD),
            source: error.into(),
        })?;
        directory.write_file(RECORD, &text)
    }

    /// Removes every file about networks.
    pub fn remove(directory: &PodDirectory) -> Result<(), DirectoryError> {
        [NET_INFO, NAMESPACE, RECORD].iter().try_for_each(|name| directory.remove_file(name))
    }

    /// Every forwarded port.
    pub fn ports(&self) -> impl Iterator<Item = &PortMapping> {
        self.attachments.iter().flat_map(|attachment| &attachment.ports)
    }
}

impl Attachment {
    /// The type of a plugin; configurations without one are not loaded.
    pub fn kind(plugin: &PluginConfig) -> &str {
        plugin.get("type").and_then(Value::as_str).unwrap_or_default()
    }
}

/// Tells others about the networks that were joined. `find` is where a plugin is.
pub fn write_net_info(
    directory: &PodDirectory,
    joined: &[(&Attachment, &Outcome)],
    find: impl Fn(&str) -> Option<PathBuf>,
) -> Result<(), DirectoryError> {
    let infos: Vec<_> =
        joined.iter().map(|(attachment, outcome)| net_info(attachment, outcome, &find)).collect();
    let text = serde_json::to_string(&infos).map_err(|error| DirectoryError::Write {
        path: directory.root().join(NET_INFO),
        source: error.into(),
    })?;
    directory.write_file(NET_INFO, &text)
}

fn net_info<'a>(
    attachment: &'a Attachment,
    outcome: &Outcome,
    find: impl Fn(&str) -> Option<PathBuf>,
) -> NetInfo<'a> {
    let first_of = |v4| outcome.addresses.iter().find(move |(address, _)| address.is_ipv4() == v4);
    let address = first_of(true).or_else(|| first_of(false));
    let plugin = attachment.plugins.first().and_then(|plugin| find(Attachment::kind(plugin)));
    NetInfo {
        net_name: &attachment.network,
        net_conf: attachment.file.display().to_string(),
        plugin_path: plugin.map(|path| path.display().to_string()).unwrap_or_default(),
        if_name: &attachment.interface,
        ip: address.map(|(address, _)| address.to_string()).unwrap_or_default(),
        args: &attachment.arguments,
        mask: address.map(|(address, prefix)| mask(*address, *prefix)).unwrap_or_default(),
    }
}

/// A prefix length as the address of as many ones.
fn mask(address: IpAddr, prefix: u8) -> String {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(_) => {
            let ones = u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0);
            IpAddr::V4(ones.into()).to_string()
        }
        IpAddr::V6(_) => {
            let ones = u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0);
            IpAddr::V6(ones.into()).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn masks() {
        let of = |address: &str, prefix| mask(address.parse().unwrap(), prefix);
        assert_eq!(of("10.0.0.1", 24), "255.255.255.0");
        assert_eq!((of("10.0.0.1", 0), of("10.0.0.1", 32)), ("0.0.0.0".into(), "255.255.255.255".into()));
        assert_eq!(of("fd00::1", 64), "ffff:ffff:ffff:ffff::");
        assert_eq!(of("fd00::1", 0), "::");
    }

    #[test]
    fn files_say_what_was_joined() {
        let root = tempfile::tempdir().unwrap();
        let directory = PodDirectory::at(root.path());
        assert!(Record::load(&directory).unwrap().is_none());
        let Value::Object(plugin) = json!({"type": "ptp", "name": "n"}) else { unreachable!() };
        let attachment = Attachment {
            network: "n".into(),
            file: "/etc/rkt/net.d/10-n.conf".into(),
            interface: "eth0".into(),
            arguments: "IP=10.0.0.9".into(),
            plugins: vec![plugin],
            ports: Vec::new(),
            result: Some(json!({})),
        };
        let record = Record { attachments: vec![attachment.clone()], left: false };
        record.save(&directory).unwrap();
        assert_eq!(Record::load(&directory).unwrap(), Some(record));
        let addresses = vec![("fd00::1".parse().unwrap(), 64), ("10.0.0.9".parse().unwrap(), 16)];
        let outcome = Outcome { addresses, ..Outcome::default() };
        let find = |name: &str| Some(PathBuf::from("/usr/lib/cni").join(name));
        write_net_info(&directory, &[(&attachment, &outcome)], find).unwrap();
        let text = std::fs::read_to_string(root.path().join(NET_INFO)).unwrap();
        let expected = json!([{
            "netName": "n", "netConf": "/etc/rkt/net.d/10-n.conf", "pluginPath": "/usr/lib/cni/ptp",
            "ifName": "eth0", "ip": "10.0.0.9", "args": "IP=10.0.0.9", "mask": "255.255.0.0",
        }]);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        Record::remove(&directory).unwrap();
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
