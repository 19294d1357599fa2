//! From a network to the guest: a tap beside the interface that plugins made, each sending on what the other receives,
//! so that the guest's interface takes the place of theirs (`rkt-reference` §8.7; any plugin works).

use std::io;

use agent::{netlink::Netlink, protocol::Interface};

use super::{NetworkError, link, namespace::Namespace, record::Attachment};
use crate::virtio::net::{NetConfig, Tap};

/// A network interface of the pod.
#[derive(Debug)]
pub struct Port {
    /// What the machine's device is made from. Its hardware address is that of the interface that plugins made.
    pub device: NetConfig,
    /// What the guest is told.
    pub interface: Interface,
}

/// Joins every network of the namespace to a tap with so many queue pairs.
pub fn join(
    namespace: &Namespace,
    attachments: &[Attachment],
    queue_pairs: u16,
) -> Result<Vec<Port>, NetworkError> {
    let all = || {
        let mut netlink =
            Netlink::open().map_err(|error| failed("reach the kernel's routing tables", "", error))?;
        let mut ports: Vec<Port> = Vec::new();
        for (index, attachment) in attachments.iter().enumerate() {
            let port = port(&mut netlink, attachment, &format!("tap{index}"), queue_pairs)?;
            if ports.iter().any(|other| other.device.mac == port.device.mac) {
                return Err(NetworkError::SameMac(attachment.network.clone()));
            }
            ports.push(port);
        }
        Ok(ports)
    };
    namespace.enter(all)?
}

fn port(
    netlink: &mut Netlink,
    attachment: &Attachment,
    tap: &str,
    queue_pairs: u16,
) -> Result<Port, NetworkError> {
    let name = &attachment.interface;
    let absent =
        || NetworkError::NoInterface { network: attachment.network.clone(), interface: name.clone() };
    let look = |error| failed("look at interface", name, error);
    let theirs = link::find(netlink, name).map_err(look)?.ok_or_else(absent)?;
    let mac = theirs.mac.ok_or_else(absent)?;
    let tap = Tap::create(tap, queue_pairs)?;
    let ours = link::find(netlink, tap.name()).map_err(look)?.ok_or_else(absent)?;
    // Down before: not every kind of interface keeps its routes when it comes up again.
    link::set_up(netlink, theirs.index, None).map_err(|error| failed("bring up interface", name, error))?;
    link::set_up(netlink, ours.index, Some(theirs.mtu))
        .map_err(|error| failed("bring up interface", tap.name(), error))?;
    for (from, to) in [(theirs.index, ours.index), (ours.index, theirs.index)] {
        link::redirect(netlink, from, to).map_err(|error| failed("redirect the packets of", name, error))?;
    }
    let interface = Interface {
        name: name.clone(),
        mac: mac.map(|byte| format!("{byte:02x}")).join(":"),
        mtu: Some(theirs.mtu),
        addresses: link::addresses(netlink, theirs.index).map_err(look)?,
        routes: link::routes(netlink, theirs.index).map_err(look)?,
    };
    Ok(Port { device: NetConfig { mac, mtu: u16::try_from(theirs.mtu).unwrap_or(u16::MAX), tap }, interface })
}

fn failed(action: &'static str, interface: &str, source: io::Error) -> NetworkError {
    NetworkError::Interface { action, interface: interface.to_owned(), source }
}
