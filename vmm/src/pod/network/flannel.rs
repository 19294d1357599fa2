//! Networks of type `flannel`: the subnet this host was given makes a bridge, as rkt's users knew it
//! (`rkt-reference` §8.7).

use std::{fs, io, net::Ipv4Addr, path::PathBuf};

use serde_json::{Map, Value, json};

use super::config::{PluginConfig, spelled};

/// Where flannel's daemon writes what it was given.
const SUBNET_FILE: &str = "/run/flannel/subnet.env";

/// Why such a network cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum FlannelError {
    /// The subnet file.
    #[error("Cannot read flannel's subnet file {} (is flanneld running?)", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The subnet file lacks a line, or has a wrong one.
    #[error("{variable} is missing or invalid in flannel's subnet file {}", path.display())]
    Variable {
        /// The file.
        path: PathBuf,
        /// The variable.
        variable: &'static str,
    },
    /// `delegate` is not what it can be.
    #[error("\"delegate\" {0}")]
    Delegate(&'static str),
}

/// The plugin that a `flannel` configuration stands for.
pub fn delegate(config: &PluginConfig) -> Result<PluginConfig, FlannelError> {
    let mut plugin = match config.get("delegate") {
        None => Map::new(),
        Some(Value::Object(delegate)) => spelled(delegate.clone()),
        Some(_) => return Err(FlannelError::Delegate("is no JSON object")),
    };
    if plugin.contains_key("name") {
        return Err(FlannelError::Delegate("must not have a name, the network's is used"));
    }
    if plugin.contains_key("ipam") {
        return Err(FlannelError::Delegate("must not have \"ipam\", addresses are of flannel's subnet"));
    }
    let subnet = Subnet::read(config)?;
    for (key, value) in
        [("type", json!("bridge")), ("ipMasq", json!(!subnet.masquerades)), ("mtu", json!(subnet.mtu))]
    {
        plugin.entry(key).or_insert(value);
    }
    if plugin["type"] == "bridge" {
        plugin.entry("isGateway").or_insert(json!(true));
    }
    let ipam = json!({
        "type": "host-local", "subnet": subnet.subnet, "routes": [{ "dst": subnet.network }],
    });
    plugin.insert("ipam".into(), ipam);
    for key in ["name", "cniVersion"] {
        plugin.extend(config.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    Ok(plugin)
}

/// What flannel's daemon knows.
struct Subnet {
    network: String,
    subnet: String,
    mtu: u32,
    masquerades: bool,
}

impl Subnet {
    fn read(config: &PluginConfig) -> Result<Self, FlannelError> {
        let path = PathBuf::from(config.get("subnetFile").and_then(Value::as_str).unwrap_or(SUBNET_FILE));
        let text =
            fs::read_to_string(&path).map_err(|source| FlannelError::Read { path: path.clone(), source })?;
        let value = |variable: &'static str| {
            let lines = text.lines().filter_map(|line| line.trim().split_once('='));
            lines.filter(|(name, _)| *name == variable).map(|(_, value)| value.trim().to_owned()).next_back()
        };
        let missing = |variable| FlannelError::Variable { path: path.clone(), variable };
        let required = |variable| value(variable).ok_or_else(|| missing(variable));
        Ok(Subnet {
            network: required("FLANNEL_NETWORK")?,
            // The file names the bridge's address in the subnet.
            subnet: network(&required("FLANNEL_SUBNET")?).ok_or_else(|| missing("FLANNEL_SUBNET"))?,
            mtu: required("FLANNEL_MTU")?.parse().map_err(|_| missing("FLANNEL_MTU"))?,
            masquerades: value("FLANNEL_IPMASQ").is_some_and(|value| value == "true"),
        })
    }
}

/// The network of an address with a prefix length.
fn network(text: &str) -> Option<String> {
    let (address, prefix) = text.split_once('/')?;
    let (address, prefix): (Ipv4Addr, u32) = (address.parse().ok()?, prefix.parse().ok()?);
    let mask = u32::MAX.checked_shl(32_u32.checked_sub(prefix)?).unwrap_or(0);
    Some(format!("{}/{prefix}", Ipv4Addr::from(u32::from(address) & mask)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.17.1/24\nFLANNEL_MTU=1472\n";

    fn of(file: &str, mut config: Value) -> Result<Value, FlannelError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("subnet.env");
        fs::write(&path, file).unwrap();
        config["subnetFile"] = json!(path);
        let Value::Object(config) = config else { unreachable!() };
        delegate(&config).map(Value::Object)
    }

    #[test]
    fn a_bridge_on_the_hosts_subnet() {
        let plain = json!({"name": "n", "type": "flannel", "cniVersion": "0.4.0"});
        let expected = json!({
            "name": "n", "cniVersion": "0.4.0", "type": "bridge", "isGateway": true, "ipMasq": true, "mtu": 1472,
            "ipam": {
                "type": "host-local", "subnet": "10.1.17.0/24", "routes": [{ "dst": "10.1.0.0/16" }],
            },
        });
        assert_eq!(of(FILE, plain.clone()).unwrap(), expected);
        let masquerading = of(&format!("{FILE}FLANNEL_IPMASQ=true\n"), plain).unwrap();
        assert_eq!(masquerading["ipMasq"], false);
    }

    #[test]
    fn the_delegate_decides() {
        let config = json!({
            "name": "n", "type": "flannel", "delegate": {"bridge": "b0", "isDefaultGateway": true, "IpMasq": false},
        });
        let plugin = of(FILE, config).unwrap();
        assert_eq!(plugin["bridge"], "b0");
        assert_eq!(plugin["isDefaultGateway"], true);
        assert_eq!(plugin["ipMasq"], false);
        let other = json!({"name": "n", "type": "flannel", "delegate": {"type": "ptp"}});
        assert_eq!(of(FILE, other).unwrap().get("isGateway"), None);
    }

    #[test]
    fn mistakes_are_named() {
        let line = |file: &str, config| of(file, config).unwrap_err().to_string();
        let plain = || json!({"name": "n", "type": "flannel"});
        assert!(line("FLANNEL_NETWORK=10.1.0.0/16", plain()).contains("FLANNEL_SUBNET"));
        assert!(line(&FILE.replace("1472", "many"), plain()).contains("FLANNEL_MTU"));
        for bad in ["10.1.17.1", "10.1.17.1/33", "x/8"] {
            assert!(line(&FILE.replace("10.1.17.1/24", bad), plain()).contains("FLANNEL_SUBNET"), "{bad}");
        }
        for delegate in [json!(1), json!({"name": "x"}), json!({"ipam": {}})] {
            let config = json!({"name": "n", "type": "flannel", "delegate": delegate});
            assert!(line(FILE, config).starts_with("\"delegate\""));
        }
        let Value::Object(absent) = json!({"subnetFile": "/nonexistent/subnet.env"}) else { unreachable!() };
        assert!(delegate(&absent).unwrap_err().to_string().contains("/nonexistent/subnet.env"));
    }
}
