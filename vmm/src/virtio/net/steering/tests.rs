use std::collections::BTreeSet;

use libc::IPPROTO_ICMP;

use super::*;
use crate::virtio::net::{
    HEADER_LEN, Tap,
    device::tests::wire::{Wire, frame, silence},
    tap::tests::in_fresh_namespace,
};

const QUEUES: u16 = 4;

/// A frame with the beginning of an IP packet, and so many bytes of whatever comes then.
fn ip_frame(ether_type: u16, header: &[u8], ports: [u16; 2]) -> Vec<u8> {
    let mut frame = frame(0)[..12].to_vec();
    frame.extend(ether_type.to_be_bytes());
    frame.extend(header);
    frame.extend(ports.map(u16::to_be_bytes).concat());
    frame.resize(120, 0);
    frame
}

/// IPv4 with `options` words of options.
fn ipv4(protocol: u8, fragment: u16, options: u8, ports: [u16; 2]) -> Vec<u8> {
    let mut header = vec![0x45 + options, 0, 0, 100, 0, 0];
    header.extend(fragment.to_be_bytes());
    header.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    header.resize(20 + 4 * usize::from(options), 0);
    ip_frame(ETH_P_IP as u16, &header, ports)
}

fn ipv6(next_header: u8, ports: [u16; 2]) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0, 0, 60, next_header, 64];
    header.extend((0..32).map(|byte| byte * 7));
    ip_frame(ETH_P_IPV6 as u16, &header, ports)
}

/// The queue a frame goes to.
fn queue_of(tap: &Tap, wire: &Wire, frame: &[u8]) -> u16 {
    wire.send(frame);
    let mut buffer = [0; 4096];
    let mut arrived = (0..QUEUES).filter(|&index| {
        rustix::io::read(tap.queue(index).unwrap(), &mut buffer)
            .is_ok_and(|length| buffer[HEADER_LEN..length] == *frame)
    });
    let queue = arrived.next().expect("The frame arrives");
    assert_eq!(arrived.next(), None);
    queue
}

/// The guest answers from every queue, as a process does that moves between CPUs.
fn answer(tap: &Tap, frame: &[u8]) {
    let (addresses, ports) = if frame[12] == 8 { (26, 34) } else { (22, 54) };
    let length = (ports - addresses) / 2;
    let mut answer = frame.to_vec();
    answer[addresses..ports].rotate_left(length);
    answer[ports..ports + 4].rotate_left(2);
    let packet = [&[0; HEADER_LEN], &answer[..]].concat();
    for index in 0..QUEUES {
        assert_eq!(rustix::io::write(tap.queue(index).unwrap(), &packet), Ok(packet.len()));
    }
}

/// The queues that flows go to which differ in their ports. None of them changes it.
fn queues(tap: &Tap, wire: &Wire, flow: impl Fn([u16; 2]) -> Vec<u8>) -> BTreeSet<u16> {
    (1000..1064)
        .map(|port| {
            let frame = flow([port, 80]);
            let queue = queue_of(tap, wire, &frame);
            answer(tap, &frame);
            assert_eq!(queue_of(tap, wire, &frame), queue);
            queue
        })
        .collect()
}

#[test]
fn a_flow_keeps_its_queue_and_flows_are_spread() {
    in_fresh_namespace(|| {
        silence();
        let tap = Tap::create("rkt-test", QUEUES).unwrap();
        by_flow(tap.queue(0).unwrap()).unwrap();
        let wire = Wire::new(tap.name(), 1500);
        let everywhere: BTreeSet<_> = (0..QUEUES).collect();
        for protocol in [IPPROTO_TCP, IPPROTO_UDP].map(|number| number as u8) {
            assert_eq!(queues(&tap, &wire, |ports| ipv4(protocol, 0x4000, 0, ports)), everywhere);
            assert_eq!(queues(&tap, &wire, |ports| ipv4(protocol, 0, 10, ports)), everywhere);
            assert_eq!(queues(&tap, &wire, |ports| ipv6(protocol, ports)), everywhere);
            // Fragments of one packet stay together, though only the first has ports.
            assert_eq!(queues(&tap, &wire, |ports| ipv4(protocol, 0x2000, 0, ports)).len(), 1);
            assert_eq!(queues(&tap, &wire, |ports| ipv4(protocol, 0x0010, 0, ports)).len(), 1);
        }
        let echo = IPPROTO_ICMP as u8;
        assert_eq!(queues(&tap, &wire, |ports| ipv4(echo, 0, 0, ports)).len(), 1);
    });
}

#[test]
fn what_is_no_flow_goes_to_the_first_queue() {
    in_fresh_namespace(|| {
        silence();
        let tap = Tap::create("rkt-test", QUEUES).unwrap();
        let wire = Wire::new(tap.name(), 1500);
        assert_eq!(queue_of(&tap, &wire, &frame(100)), 0);
        let truncated = &ipv4(IPPROTO_TCP as u8, 0, 15 - 5, [1, 2])[..60];
        assert_eq!(queue_of(&tap, &wire, truncated), 0);
    });
}
