//! Both data paths, at the end of a real tap. vhost-net where it is, which says so when it is not.

mod control;
mod properties;
mod receive;
mod transmit;
pub mod wire;

use std::time::Duration;

use super::*;
use crate::virtio::{
    conformance::{Driver, suite},
    net::tap::tests::in_fresh_namespace,
};
use wire::Wire;

const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
const MTU: u16 = 9000;

suite!(device(2, Net::in_user_space), if possible());

mod conformance_in_kernel {
    use super::*;

    suite!(device(2, Net::new), if possible() && has_vhost());
}

type Make = fn(NetConfig) -> Net;

/// The data paths there are here.
fn data_paths() -> Vec<Make> {
    if has_vhost() { vec![Net::in_user_space, Net::new] } else { vec![Net::in_user_space] }
}

fn has_vhost() -> bool {
    Vhost::open().inspect_err(|error| eprintln!("skipped: vhost-net: {error}")).is_ok()
}

fn possible() -> bool {
    in_fresh_namespace(|| ()).is_some()
}

/// A device and the host's end of its cable, in a network namespace of their own.
fn cabled(queue_pairs: u16, make: Make) -> Option<(Net, Wire)> {
    in_fresh_namespace(|| {
        wire::silence();
        let tap = Tap::create("rkt-test", queue_pairs).unwrap();
        let wire = Wire::new(tap.name(), MTU);
        (make(NetConfig { mac: MAC, mtu: MTU, tap }), wire)
    })
}

fn device(queue_pairs: u16, make: Make) -> Net {
    cabled(queue_pairs, make).unwrap().0
}

/// A driver whose device works.
fn started(queue_pairs: u16, make: Make) -> Option<(Driver, Wire)> {
    let (device, wire) = cabled(queue_pairs, make)?;
    Some((Driver::started(Box::new(device)), wire))
}

/// Runs a test in a process of its own, for what other tests would disturb.
pub fn alone(test: &str) {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    assert!(child.args(["--exact", test, "--ignored"]).status().unwrap().success());
}

/// CPU time of the thread `net-0`, which gives itself this name.
pub fn worker_time() -> Duration {
    loop {
        for task in std::fs::read_dir("/proc/self/task").unwrap() {
            let read = |file| std::fs::read_to_string(task.as_ref().unwrap().path().join(file)).unwrap();
            if read("comm").trim() == "net-0" {
                let nanoseconds = read("schedstat").split(' ').next().unwrap().parse().unwrap();
                return Duration::from_nanos(nanoseconds);
            }
        }
        std::thread::yield_now();
    }
}

#[test]
fn the_configuration_is_what_was_asked_for() {
    for (queue_pairs, queues) in [(1, 2), (3, 7)] {
        let Some((device, _wire)) = cabled(queue_pairs, Net::new) else { return };
        let mut driver = Driver::new(Box::new(device));
        assert_eq!(driver.queue_count(), queues);
        assert_eq!(driver.read_config(0, 6), MAC);
        assert_eq!(driver.read_config(6, 6), [1, 0, queue_pairs as u8, 0, 0x28, 0x23]);
        let has_control =
            has(driver.offered(), VIRTIO_NET_F_CTRL_VQ) && has(driver.offered(), VIRTIO_NET_F_MQ);
        assert_eq!(has_control, queue_pairs > 1);
    }
}

#[test]
fn the_data_path_is_told() {
    let Some((device, _wire)) = cabled(2, Net::in_user_space) else { return };
    let expected = r#"Network interface "rkt-test": 2 queue pairs in user space (as asked for)"#;
    assert_eq!(device.data_path(), expected);
    drop(device);
    let Some((device, _wire)) = cabled(1, Net::new) else { return };
    let expected = if has_vhost() { "1 queue pair in vhost-net" } else { "1 queue pair in user space (" };
    assert!(device.data_path().contains(expected), "{}", device.data_path());
}

#[test]
fn a_started_device_works_again_after_resets() {
    for make in data_paths() {
        let Some((mut driver, wire)) = started(2, make) else { return };
        for round in 0..4 {
            transmit::send(&mut driver, transmit::TX, &wire::frame(100 + round));
            assert_eq!(wire.receive(), wire::frame(100 + round));
            receive::offer(&mut driver, receive::RX, &[2048; 40]);
            wire.send(&wire::frame(200 + round));
            assert_eq!(receive::take(&mut driver, receive::RX).frame, wire::frame(200 + round));
            driver.reset();
            driver.start();
        }
    }
}
