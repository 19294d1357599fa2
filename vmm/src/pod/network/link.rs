//! Interfaces of a network namespace as the kernel knows them (rtnetlink(7)): looking, setting, redirecting.

use std::{io, net::IpAddr};

use agent::{
    netlink::{Netlink, Request, attribute, attributes},
    protocol::Route,
};

/// `struct ifinfomsg`, in bytes.
const IFINFOMSG: usize = 16;
/// `struct ifaddrmsg`, in bytes.
const IFADDRMSG: usize = 8;
/// `struct rtmsg`, in bytes.
const RTMSG: usize = 12;
/// `TC_H_INGRESS` of `linux/pkt_sched.h`.
const INGRESS: u32 = 0xffff_fff1;
/// The handle an ingress queueing discipline always has.
const INGRESS_HANDLE: u32 = 0xffff_0000;
/// `TCA_U32_SEL` and `TCA_U32_ACT` of `linux/pkt_cls.h`.
const U32_SELECTOR: u16 = 5;
const U32_ACTION: u16 = 7;
/// `TC_U32_TERMINAL`: what matches goes nowhere else.
const U32_TERMINAL: u8 = 1;
/// `TCA_ACT_KIND` and `TCA_ACT_OPTIONS` of `linux/pkt_cls.h`.
const ACTION_KIND: u16 = 1;
const ACTION_OPTIONS: u16 = 2;
/// `TCA_MIRRED_PARMS` of `linux/tc_act/tc_mirred.h`.
const MIRRED_PARAMETERS: u16 = 2;
/// `TCA_EGRESS_REDIR`.
const EGRESS_REDIRECT: i32 = 1;
/// `TC_ACT_STOLEN`: the packet is now another interface's.
const ACTION_STOLEN: i32 = 4;
/// `RTPROT_RA` of `linux/rtnetlink.h`: what a router advertised the guest will hear itself.
const RTPROT_RA: u8 = 9;
/// The first priority of filters.
const PRIORITY: u32 = 1;

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its hardware address; not every kind has one.
    pub mac: Option<[u8; 6]>,
    /// Its largest packet, in bytes.
    pub mtu: u32,
}

/// The interface of that name, if there is one.
pub fn find(netlink: &mut Netlink, name: &str) -> io::Result<Option<Link>> {
    let request = Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &[0; IFINFOMSG]);
    let links = netlink.dump(&request)?;
    Ok(links.iter().find_map(|link| parse_link(link, name)))
}

fn parse_link(message: &[u8], name: &str) -> Option<Link> {
    let rest = message.get(IFINFOMSG..)?;
    let value = |wanted| attributes(rest).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let found = value(libc::IFLA_IFNAME)?.split(|byte| *byte == 0).next()?;
    (found == name.as_bytes()).then_some(())?;
    Some(Link {
        index: number(message.get(4..8)?)?,
        mac: value(libc::IFLA_ADDRESS).and_then(|mac| mac.try_into().ok()),
        mtu: number(value(libc::IFLA_MTU)?)?,
    })
}

/// Brings an interface up, with a size if one is given.
pub fn set_up(netlink: &mut Netlink, index: u32, mtu: Option<u32>) -> io::Result<()> {
    let up = libc::IFF_UP as u32;
    let body: Vec<u8> = [0, index, up, up].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut request = Request::new(libc::RTM_NEWLINK, 0, &body);
    if let Some(mtu) = mtu {
        request = request.attribute(libc::IFLA_MTU, &mtu.to_ne_bytes());
    }
    netlink.execute(&request)
}

/// The addresses of an interface, without those each makes for itself.
pub fn addresses(netlink: &mut Netlink, index: u32) -> io::Result<Vec<(IpAddr, u8)>> {
    let request = Request::new(libc::RTM_GETADDR, libc::NLM_F_DUMP, &[0; IFADDRMSG]);
    let found = netlink.dump(&request)?;
    Ok(found.iter().filter_map(|message| parse_address(message, index)).collect())
}

fn parse_address(message: &[u8], index: u32) -> Option<(IpAddr, u8)> {
    (number(message.get(4..8)?)? == index).then_some(())?;
    let (mut local, mut address) = (None, None);
    for (kind, value) in attributes(message.get(IFADDRMSG..)?) {
        match kind {
            libc::IFA_LOCAL => local = ip(value),
            libc::IFA_ADDRESS => address = ip(value),
            _ => {}
        }
    }
    let address = local.or(address).filter(|address| !is_link_local(*address))?;
    Some((address, *message.get(1)?))
}

/// The routes over an interface in the order in which they can be set again: those on the link first.
pub fn routes(netlink: &mut Netlink, index: u32) -> io::Result<Vec<Route>> {
    let request = Request::new(libc::RTM_GETROUTE, libc::NLM_F_DUMP, &[0; RTMSG]);
    let found = netlink.dump(&request)?;
    let mut routes: Vec<_> = found.iter().filter_map(|message| parse_route(message, index)).collect();
    routes.sort_by_key(|route| route.gateway.is_some());
    Ok(routes)
}

/// Unicast routes of the main table, as administrators and plugins set them.
fn parse_route(message: &[u8], index: u32) -> Option<Route> {
    let [family, prefix, _, _, table, protocol, _, kind] = *message.first_chunk()?;
    if table != libc::RT_TABLE_MAIN || kind != libc::RTN_UNICAST || protocol == RTPROT_RA {
        return None;
    }
    let (mut destination, mut gateway, mut interface) = (None, None, None);
    for (kind, value) in attributes(message.get(RTMSG..)?) {
        match kind {
            libc::RTA_DST => destination = ip(value),
            libc::RTA_GATEWAY => gateway = ip(value),
            libc::RTA_OIF => interface = number(value),
            _ => {}
        }
    }
    (interface == Some(index)).then_some(())?;
    let everything: IpAddr = match i32::from(family) {
        libc::AF_INET => [0; 4].into(),
        libc::AF_INET6 => [0; 16].into(),
        _ => return None,
    };
    let destination = destination.unwrap_or(everything);
    (!is_link_local(destination)).then_some(Route { destination: (destination, prefix), gateway })
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local() || address.is_multicast())
}

/// Makes everything that arrives at one interface leave by the other.
pub fn redirect(netlink: &mut Netlink, from: u32, to: u32) -> io::Result<()> {
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let qdisc = Request::new(libc::RTM_NEWQDISC, flags, &tcmsg(from, INGRESS_HANDLE, INGRESS, 0))
        .attribute(libc::TCA_KIND, b"ingress\0");
    netlink.execute(&qdisc)?;
    let every_protocol = u32::from((libc::ETH_P_ALL as u16).to_be());
    let filter = tcmsg(from, 0, INGRESS_HANDLE, PRIORITY << 16 | every_protocol);
    let options = [attribute(U32_SELECTOR, &match_all()), attribute(U32_ACTION, &redirection(to))].concat();
    let filter = Request::new(libc::RTM_NEWTFILTER, flags, &filter)
        .attribute(libc::TCA_KIND, b"u32\0")
        .attribute(libc::TCA_OPTIONS, &options);
    netlink.execute(&filter)
}

/// `struct tcmsg`.
fn tcmsg(index: u32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, index, handle, parent, info].iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// `struct tc_u32_sel` with one key, no bit of which is looked at.
fn match_all() -> Vec<u8> {
    let mut selector = vec![U32_TERMINAL, 0, 1];
    selector.resize(16 + 16, 0);
    selector
}

/// A list of one action: `struct tc_mirred` in its wrappings.
fn redirection(to: u32) -> Vec<u8> {
    let words = [0, 0, ACTION_STOLEN, 0, 0, EGRESS_REDIRECT];
    let mut parameters: Vec<u8> = words.iter().flat_map(|word: &i32| word.to_ne_bytes()).collect();
    parameters.extend(to.to_ne_bytes());
    let options = attribute(MIRRED_PARAMETERS, &parameters);
    attribute(1, &[attribute(ACTION_KIND, b"mirred\0"), attribute(ACTION_OPTIONS, &options)].concat())
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(<[u8; 4]>::try_from(bytes).ok()?.into()),
        16 => Some(<[u8; 16]>::try_from(bytes).ok()?.into()),
        _ => None,
    }
}
