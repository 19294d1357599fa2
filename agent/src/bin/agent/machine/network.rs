//! The guest's network interfaces.

use std::io;
use std::net::IpAddr;

use agent::netlink::{Netlink, Request, attributes};
use agent::protocol::{Interface, Route};
use nix::libc;

/// The size of `struct ifinfomsg`.
const IFINFOMSG: usize = 16;
/// The loopback interface is the first of every network namespace.
const LOOPBACK: u32 = 1;

/// Why an interface is not as the host wants it.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The routing tables.
    #[error("Cannot reach the kernel's routing tables")]
    Open(#[source] io::Error),
    /// Loopback.
    #[error("Cannot bring up the loopback interface")]
    Loopback(#[source] io::Error),
    /// No device has the address.
    #[error("No network device has the hardware address {mac} of interface {name}")]
    Absent {
        /// The interface.
        name: String,
        /// Its hardware address.
        mac: String,
    },
    /// A change.
    #[error("Cannot {action} of interface {name}")]
    Change {
        /// What was tried.
        action: String,
        /// The interface.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A change of an interface, and its description for errors.
type Change = (String, Request);

/// Brings up loopback; its addresses come by themselves.
pub fn loopback_up() -> Result<(), NetworkError> {
    let mut netlink = Netlink::open().map_err(NetworkError::Open)?;
    netlink.execute(&link(LOOPBACK, true)).map_err(NetworkError::Loopback)
}

/// Gives interfaces their names, sizes, addresses and routes.
pub fn configure(interfaces: &[Interface]) -> Result<(), NetworkError> {
    if interfaces.is_empty() {
        return Ok(());
    }
    let mut netlink = Netlink::open().map_err(NetworkError::Open)?;
    let links = netlink.dump(&links_request()).map_err(NetworkError::Open)?;
    for interface in interfaces {
        let name = interface.name.clone();
        let mac = parse_mac(&interface.mac);
        let index = links
            .iter()
            .filter_map(|link| index_and_mac(link))
            .find_map(|(index, found)| (Some(found) == mac).then_some(index))
            .ok_or_else(|| NetworkError::Absent { name: name.clone(), mac: interface.mac.clone() })?;
        for (action, request) in changes(interface, index) {
            netlink.execute(&request).map_err(|source| NetworkError::Change {
                action,
                name: name.clone(),
                source,
            })?;
        }
    }
    Ok(())
}

fn links_request() -> Request {
    Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &[0; IFINFOMSG])
}

/// The index and hardware address in a message about a link.
fn index_and_mac(link: &[u8]) -> Option<(u32, [u8; 6])> {
    let index = u32::from_ne_bytes(link.get(4..8)?.try_into().ok()?);
    let (_, mac) = attributes(link.get(IFINFOMSG..)?).find(|(kind, _)| *kind == libc::IFLA_ADDRESS)?;
    Some((index, mac.try_into().ok()?))
}

/// A hardware address in its usual form, `02:65:02:00:00:01`.
fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
    bytes?.try_into().ok()
}

/// What has to be done, in order: the link must be up before routes use it.
fn changes(interface: &Interface, index: u32) -> Vec<Change> {
    let mut name = interface.name.clone().into_bytes();
    name.push(0);
    let mut link_request = link(index, false).attribute(libc::IFLA_IFNAME, &name);
    if let Some(mtu) = interface.mtu {
        link_request = link_request.attribute(libc::IFLA_MTU, &mtu.to_ne_bytes());
    }
    let mut changes = vec![("set name and MTU".to_owned(), link_request)];
    for (address, prefix) in &interface.addresses {
        changes.push((format!("add address {address}/{prefix}"), address_request(index, *address, *prefix)));
    }
    changes.push(("bring up the link".to_owned(), link(index, true)));
    for route in &interface.routes {
        let (destination, prefix) = route.destination;
        changes.push((format!("add route to {destination}/{prefix}"), route_request(index, route)));
    }
    changes
}

/// `struct ifinfomsg`.
fn link(index: u32, up: bool) -> Request {
    let flags = if up { libc::IFF_UP as u32 } else { 0 };
    let mut body = vec![libc::AF_UNSPEC as u8, 0, 0, 0];
    body.extend(index.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    Request::new(libc::RTM_NEWLINK, 0, &body)
}

/// `struct ifaddrmsg`.
fn address_request(index: u32, address: IpAddr, prefix: u8) -> Request {
    // All routes are named; the kernel's own one to the subnet may be one that the network has no use for.
    // IPv6: without detection of duplicates, which would keep the address unusable for a second.
    let duplicates = if address.is_ipv6() { libc::IFA_F_NODAD } else { 0 };
    let flags = libc::IFA_F_NOPREFIXROUTE | duplicates;
    let mut body = vec![family(address), prefix, 0, libc::RT_SCOPE_UNIVERSE];
    body.extend(index.to_ne_bytes());
    let bytes = octets(address);
    Request::new(libc::RTM_NEWADDR, libc::NLM_F_CREATE | libc::NLM_F_REPLACE, &body)
        .attribute(libc::IFA_LOCAL, &bytes)
        .attribute(libc::IFA_ADDRESS, &bytes)
        .attribute(libc::IFA_FLAGS, &flags.to_ne_bytes())
}

/// `struct rtmsg`.
fn route_request(index: u32, route: &Route) -> Request {
    let (destination, prefix) = route.destination;
    let scope = if route.gateway.is_some() { libc::RT_SCOPE_UNIVERSE } else { libc::RT_SCOPE_LINK };
    let body = [
        family(destination),
        prefix,
        0,
        0,
        libc::RT_TABLE_MAIN,
        libc::RTPROT_BOOT,
        scope,
        libc::RTN_UNICAST,
        0,
        0,
        0,
        0,
    ];
    let mut request = Request::new(libc::RTM_NEWROUTE, libc::NLM_F_CREATE | libc::NLM_F_REPLACE, &body)
        .attribute(libc::RTA_OIF, &index.to_ne_bytes());
    if prefix > 0 {
        request = request.attribute(libc::RTA_DST, &octets(destination));
    }
    match route.gateway {
        Some(gateway) => request.attribute(libc::RTA_GATEWAY, &octets(gateway)),
        None => request,
    }
}

fn family(address: IpAddr) -> u8 {
    (if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface() -> Interface {
        Interface {
            name: "eth0".into(),
            mac: "02:65:02:00:00:0a".into(),
            mtu: Some(1400),
            addresses: vec![("172.16.28.2".parse().unwrap(), 24), ("fd00::2".parse().unwrap(), 64)],
            routes: vec![
                Route { destination: ("172.16.28.1".parse().unwrap(), 32), gateway: None },
                Route {
                    destination: ("0.0.0.0".parse().unwrap(), 0),
                    gateway: Some("172.16.28.1".parse().unwrap()),
                },
            ],
        }
    }

    #[test]
    fn changes_come_in_an_order_the_kernel_takes() {
        let actions: Vec<String> = changes(&interface(), 2).into_iter().map(|(action, _)| action).collect();
        let expected = [
            "set name and MTU",
            "add address 172.16.28.2/24",
            "add address fd00::2/64",
            "bring up the link",
            "add route to 172.16.28.1/32",
            "add route to 0.0.0.0/0",
        ];
        assert_eq!(actions, expected);
    }

    #[test]
    fn a_link_is_found_by_its_hardware_address() {
        let mut link = vec![0; IFINFOMSG];
        link[4] = 7;
        link.extend([9, 0, 3, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0]);
        link.extend([10, 0, 1, 0, 2, 0x65, 2, 0, 0, 10, 0, 0]);
        let mac = parse_mac(&interface().mac).unwrap();
        assert_eq!(index_and_mac(&link), Some((7, mac)));
        assert_eq!(index_and_mac(&link[..IFINFOMSG + 12]), None);
        assert_eq!(index_and_mac(&[]), None);
        assert_eq!(parse_mac("02:65:02"), None);
        assert_eq!(parse_mac("02:65:02:00:00:zz"), None);
    }

    #[test]
    fn the_kernel_takes_them() {
        std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            loopback_up().unwrap();
            let mut netlink = Netlink::open().unwrap();
            let dummy = Request::new(libc::RTM_NEWLINK, libc::NLM_F_CREATE, &[0; IFINFOMSG])
                .attribute(libc::IFLA_ADDRESS, &parse_mac(&interface().mac).unwrap())
                .attribute(libc::IFLA_LINKINFO, &[8, 0, 1, 0, b'v', b'e', b't', b'h']);
            netlink.execute(&dummy).unwrap();
            configure(&[interface()]).unwrap();
            let routes = std::fs::read_to_string("/proc/thread-self/net/route").unwrap();
            assert!(routes.lines().any(|line| line.starts_with("eth0\t00000000\t011C10AC")), "{routes}");
            // Only what was asked for: here the subnet is not on the link.
            assert!(!routes.contains("001C10AC"), "{routes}");
            let absent = Interface { mac: "02:00:00:00:00:00".into(), ..interface() };
            let error = configure(&[absent]).unwrap_err().to_string();
            let text = "No network device has the hardware address 02:00:00:00:00:00 of interface eth0";
            assert_eq!(error, text);
        })
        .join()
        .unwrap();
    }
}
