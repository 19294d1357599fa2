//! `--port=NAME:[HOSTIP:]HOSTPORT` (reference §2.6).

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use appc::{AcName, ExposedPort, Port, RuntimeApp};

/// A forwarded port as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortFlag(ExposedPort);

/// A forwarded port of a pod whose apps are to come: `NAME:PROTOCOL:PODPORT:HOSTIP:HOSTPORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPortFlag(pub ExposedPort);

impl FromStr for PodPortFlag {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let form = || PortError::PodForm(text.to_owned());
        let parts: Vec<&str> = text.splitn(4, ':').collect();
        let [name, protocol, pod_port, host] = parts.as_slice() else { return Err(form()) };
        let (ip, host_port) = host.rsplit_once(':').ok_or_else(form)?;
        let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(form);
        let name: AcName = name.parse().map_err(|_| form())?;
        let port = Port {
            name: name.clone(),
            protocol: (*protocol).to_owned(),
            port: number(pod_port)?.into(),
            count: 1,
            socket_activated: false,
        };
        Ok(Self(ExposedPort {
            name,
            host_port: number(host_port)?.into(),
            host_ip: Some(ip.trim_matches(['[', ']']).parse().map_err(|_| form())?),
            pod_port: Some(port),
        }))
    }
}

/// Why a forwarded port is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Neither `NAME:PORT` nor `NAME:IP:PORT`.
    #[error("\"{0}\" must be NAME:[HOSTIP:]HOSTPORT")]
    Form(String),
    /// Not what a pod without apps needs to know.
    #[error("\"{0}\" must be NAME:PROTOCOL:PODPORT:HOSTIP:HOSTPORT")]
    PodForm(String),
    /// No app has a port of that name.
    #[error("port name \"{0}\" could not be found in any apps")]
    Unknown(AcName),
    /// Several apps have one.
    #[error("port name \"{0}\" defined multiple apps")]
    Several(AcName),
    /// Another forward has the host's port.
    #[error("port {protocol}-{ip}:{port} already mapped to pod port {pod_port}")]
    Taken {
        /// `tcp` or `udp`.
        protocol: String,
        /// The host's address.
        ip: IpAddr,
        /// The host's port.
        port: u32,
        /// Where it leads already.
        pod_port: u32,
    },
}

impl FromStr for PortFlag {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let form = || PortError::Form(text.to_owned());
        let (name, rest) = text.split_once(':').ok_or_else(form)?;
        let (ip, port) = match rest.rsplit_once(':') {
            Some((ip, port)) => (Some(ip.trim_matches(['[', ']']).parse().map_err(|_| form())?), port),
            None => (None, rest),
        };
        let host_port = port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(form)?;
        Ok(Self(ExposedPort {
            name: name.parse().map_err(|_| form())?,
            host_port: host_port.into(),
            host_ip: ip,
            pod_port: None,
        }))
    }
}

/// The forwards of a pod with these apps.
pub(super) fn exposed(flags: &[PortFlag], apps: &[RuntimeApp]) -> Result<Vec<ExposedPort>, PortError> {
    let mut taken: Vec<(&ExposedPort, &Port)> = Vec::new();
    for PortFlag(exposed) in flags {
        let port = app_port(&exposed.name, apps)?;
        if let Some((_, earlier)) = taken.iter().find(|other| clash(other, (exposed, port))) {
            return Err(PortError::Taken {
                protocol: port.protocol.clone(),
                ip: exposed.host_ip.unwrap_or(ANY),
                port: exposed.host_port,
                pod_port: earlier.port,
            });
        }
        taken.push((exposed, port));
    }
    Ok(flags.iter().map(|PortFlag(exposed)| exposed.clone()).collect())
}

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

fn app_port<'a>(name: &AcName, apps: &'a [RuntimeApp]) -> Result<&'a Port, PortError> {
    let ports = apps.iter().filter_map(|app| app.app.as_ref()).flat_map(|app| &app.ports);
    let mut found = ports.filter(|port| port.name == *name);
    let port = found.next().ok_or_else(|| PortError::Unknown(name.clone()))?;
    if found.next().is_some() { Err(PortError::Several(name.clone())) } else { Ok(port) }
}

fn clash(a: &(&ExposedPort, &Port), b: (&ExposedPort, &Port)) -> bool {
    let address = |exposed: &ExposedPort| exposed.host_ip.filter(|ip| !ip.is_unspecified());
    let overlap = match (address(a.0), address(b.0)) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    overlap && a.0.host_port == b.0.host_port && a.1.protocol == b.1.protocol
}

#[cfg(test)]
mod tests {
    use appc::{Annotations, App, Labels, RuntimeImage};

    use super::*;

    fn app(name: &str, ports: &[(&str, &str, u32)]) -> RuntimeApp {
        let port = |(name, protocol, port): &(&str, &str, u32)| Port {
            name: name.parse().unwrap(),
            protocol: (*protocol).to_owned(),
            port: *port,
            count: 1,
            socket_activated: false,
        };
        RuntimeApp {
            name: name.parse().unwrap(),
            image: RuntimeImage { name: None, id: "sha512-ab".parse().unwrap(), labels: Labels::default() },
            app: Some(App { ports: ports.iter().map(port).collect(), ..App::default() }),
            read_only_root_fs: false,
            mounts: Vec::new(),
            annotations: Annotations::default(),
        }
    }

    fn make(flags: &[&str], apps: &[RuntimeApp]) -> Result<usize, String> {
        let flags: Vec<PortFlag> = flags.iter().map(|flag| flag.parse().unwrap()).collect();
        exposed(&flags, apps).map(|ports| ports.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_name_belongs_to_one_app() {
        let apps = [app("a", &[("http", "tcp", 80), ("dns", "udp", 53)]), app("b", &[("http", "tcp", 8080)])];
        assert_eq!(make(&["http:80"], &apps).unwrap_err(), "port name \"http\" defined multiple apps");
        assert_eq!(make(&["x:80"], &apps).unwrap_err(), "port name \"x\" could not be found in any apps");
        assert_eq!(make(&["dns:127.0.0.1:53"], &apps), Ok(1));
    }

    #[test]
    fn a_host_port_leads_to_one_place() {
        let apps = [app("a", &[("http", "tcp", 80), ("alt", "tcp", 81), ("dns", "udp", 53)])];
        let taken = "port tcp-0.0.0.0:80 already mapped to pod port 80";
        assert_eq!(make(&["http:80", "alt:80"], &apps).unwrap_err(), taken);
        assert_eq!(make(&["http:1.1.1.1:80", "alt:0.0.0.0:80"], &apps).unwrap_err(), taken);
        assert_eq!(make(&["http:1.1.1.1:80", "alt:2.2.2.2:80", "dns:80"], &apps), Ok(3));
    }

    #[test]
    fn pods_without_apps_say_where_ports_lead() {
        let port = "http:tcp:80:127.0.0.1:8080".parse::<PodPortFlag>().unwrap().0;
        assert_eq!((port.host_port, port.host_ip), (8080, Some("127.0.0.1".parse().unwrap())));
        let inside = port.pod_port.unwrap();
        assert_eq!((inside.name.as_str(), inside.protocol.as_str(), inside.port), ("http", "tcp", 80));
        assert!("a:udp:53:[::1]:53".parse::<PodPortFlag>().is_ok());
        for bad in ["", "http:8080", "http:tcp:80:8080", "http:tcp:0:1.1.1.1:1", "http:tcp:80:x:1"] {
            assert!(bad.parse::<PodPortFlag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn forms() {
        for bad in ["", "http", "http:", "http:0", "http:65536", "http:a:80", "HTTP:80", "a:b:c:d"] {
            assert!(bad.parse::<PortFlag>().is_err(), "{bad}");
        }
        assert_eq!("a:[::1]:80".parse::<PortFlag>().unwrap().0.host_ip, Some("::1".parse().unwrap()));
    }
}
