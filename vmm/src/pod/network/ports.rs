//! Forwarded ports: what the plugin `portmap` is told, and which cannot be had (`rkt-reference` §2.6).

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
};

use appc::{AcName, ExposedPort, PodManifest, Port};
use serde::{Deserialize, Serialize};

/// A port of the host that leads to one of the pod; serialized as CNI's capability `portMappings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    /// The host's port.
    pub host_port: u16,
    /// The pod's port.
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The host's address; all of them if not said.
    #[serde(rename = "hostIP", skip_serializing_if = "Option::is_none", default)]
    pub host_ip: Option<IpAddr>,
}

/// Why a port cannot be forwarded.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// No app has a port of that name.
    #[error("Port name \"{0}\" could not be found in any apps")]
    Unknown(AcName),
    /// A number that is no port.
    #[error("{0} is no port number")]
    Number(u32),
    /// A protocol nobody forwards.
    #[error("Port \"{name}\" has protocol {protocol:?}, which cannot be forwarded (only tcp, udp, sctp)")]
    Protocol {
        /// The port.
        name: AcName,
        /// Its protocol.
        protocol: String,
    },
    /// Twice in this pod.
    #[error("Port {wanted} is forwarded already, to pod port {taken}")]
    Twice {
        /// The forward.
        wanted: PortMapping,
        /// Where it leads already.
        taken: u16,
    },
    /// Another pod has it.
    #[error("Port {wanted} of the host is forwarded to pod {pod} (if that has ended: rkt gc)")]
    Pod {
        /// The forward.
        wanted: PortMapping,
        /// That pod's UUID.
        pod: String,
    },
    /// A process of the host has it.
    #[error("Port {wanted} of the host cannot be forwarded")]
    Host {
        /// The forward.
        wanted: PortMapping,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for PortMapping {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.host_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        write!(formatter, "{}-{}", self.protocol, SocketAddr::new(address, self.host_port))
    }
}

/// The forwards of a pod.
pub fn mappings(manifest: &PodManifest) -> Result<Vec<PortMapping>, PortError> {
    let mut mappings: Vec<PortMapping> = Vec::new();
    for exposed in &manifest.ports {
        let wanted = mapping(exposed, manifest)?;
        if let Some(taken) = mappings.iter().find(|other| clash(other, &wanted)) {
            return Err(PortError::Twice { taken: taken.container_port, wanted });
        }
        mappings.push(wanted);
    }
    Ok(mappings)
}

fn mapping(exposed: &ExposedPort, manifest: &PodManifest) -> Result<PortMapping, PortError> {
    let port = match &exposed.pod_port {
        Some(port) => port,
        None => find(&exposed.name, manifest)?,
    };
    let protocol = port.protocol.to_ascii_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(PortError::Protocol { name: exposed.name.clone(), protocol });
    }
    let number =
        |number| u16::try_from(number).ok().filter(|number| *number > 0).ok_or(PortError::Number(number));
    Ok(PortMapping {
        host_port: number(exposed.host_port)?,
        container_port: number(port.port)?,
        protocol,
        host_ip: exposed.host_ip,
    })
}

fn find<'a>(name: &AcName, manifest: &'a PodManifest) -> Result<&'a Port, PortError> {
    let apps = manifest.apps.iter().filter_map(|app| app.app.as_ref());
    let port = apps.flat_map(|app| &app.ports).find(|port| port.name == *name);
    port.ok_or_else(|| PortError::Unknown(name.clone()))
}

/// Whether two forwards cannot both be.
pub fn clash(a: &PortMapping, b: &PortMapping) -> bool {
    let named = |mapping: &PortMapping| mapping.host_ip.filter(|address| !address.is_unspecified());
    let addresses = match (named(a), named(b)) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    addresses && a.host_port == b.host_port && a.protocol == b.protocol
}

/// Checks that no process of the host serves a port: its clients would be led away from it.
pub fn check_host(mapping: &PortMapping) -> Result<(), PortError> {
    let addresses = match mapping.host_ip {
        Some(address) => vec![address],
        None => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
    };
    for address in addresses {
        let address = SocketAddr::new(address, mapping.host_port);
        let bound = match mapping.protocol.as_str() {
            "tcp" => TcpListener::bind(address).map(drop),
            "udp" => UdpSocket::bind(address).map(drop),
            _ => Ok(()),
        };
        match bound {
            // A host without IPv6 has none of its ports taken.
            Err(error) if mapping.host_ip.is_none() && error.kind() != io::ErrorKind::AddrInUse => {}
            bound => bound.map_err(|source| PortError::Host { wanted: mapping.clone(), source })?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(ports: serde_json::Value) -> PodManifest {
        let manifest = json!({
            "acVersion": "0.8.11", "acKind": "PodManifest", "ports": ports,
            "apps": [{
                "name": "a", "image": {"id": format!("sha512-{}", "0".repeat(64))},
                "app": {"exec": ["/a"], "user": "0", "group": "0", "ports": [
                    {"name": "http", "protocol": "tcp", "port": 80},
                    {"name": "dns", "protocol": "udp", "port": 53},
                    {"name": "odd", "protocol": "icmp", "port": 1},
                ]},
            }],
        });
        PodManifest::from_slice(manifest.to_string().as_bytes()).unwrap()
    }

    fn of(ports: serde_json::Value) -> Result<serde_json::Value, String> {
        mappings(&manifest(ports)).map(|mappings| json!(mappings)).map_err(|error| error.to_string())
    }

    #[test]
    fn names_become_numbers() {
        let ports = json!([
            {"name": "http", "hostPort": 8080},
            {"name": "dns", "hostPort": 8080, "hostIP": "127.0.0.1"},
            {"name": "own", "hostPort": 1, "podPort": {"name": "own", "protocol": "TCP", "port": 2}},
        ]);
        let expected = json!([
            {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
            {"hostPort": 8080, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1"},
            {"hostPort": 1, "containerPort": 2, "protocol": "tcp"},
        ]);
        assert_eq!(of(ports).unwrap(), expected);
    }

    #[test]
    fn mistakes_are_named() {
        let one = |name, port: u32| of(json!([{"name": name, "hostPort": port}])).unwrap_err();
        assert_eq!(one("nope", 1), "Port name \"nope\" could not be found in any apps");
        assert!(one("odd", 1).contains("icmp"));
        let twice = json!([
            {"name": "http", "hostPort": 80, "hostIP": "10.0.0.1"}, {"name": "http", "hostPort": 80}
        ]);
        assert_eq!(of(twice).unwrap_err(), "Port tcp-0.0.0.0:80 is forwarded already, to pod port 80");
    }

    #[test]
    fn a_port_that_a_process_serves_is_not_taken_from_it() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let mapping = |protocol: &str, host_ip: Option<&str>| PortMapping {
            host_port: port,
            container_port: 1,
            protocol: protocol.into(),
            host_ip: host_ip.map(|address| address.parse().unwrap()),
        };
        assert!(check_host(&mapping("tcp", None)).is_err());
        assert!(check_host(&mapping("tcp", Some("127.0.0.1"))).is_err());
        assert!(check_host(&mapping("tcp", Some("127.0.0.2"))).is_ok());
        let absent = check_host(&mapping("tcp", Some("192.0.2.1"))).unwrap_err().to_string();
        assert!(absent.contains(&format!("192.0.2.1:{port}")), "{absent}");
        drop(server);
        assert!(check_host(&mapping("tcp", None)).is_ok());
    }
}
