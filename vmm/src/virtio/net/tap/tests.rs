use std::{os::fd::OwnedFd, path::Path, thread};

use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    thread::{UnshareFlags, unshare_unsafe},
};

use super::*;

/// Runs `work` in a network namespace of its own, on a thread of its own. `None`, and a line, where that is not allowed.
pub fn in_fresh_namespace<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: a network namespace concerns no descriptors that exist already, and no memory.
            let unshared = unsafe { unshare_unsafe(UnshareFlags::NEWNET) };
            unshared.inspect_err(|error| eprintln!("skipped: no network namespace: {error}")).ok()?;
            Path::new("/dev/net/tun").exists().then(work).or_else(|| {
                eprintln!("skipped: no /dev/net/tun");
                None
            })
        });
        thread.join().unwrap()
    })
}

/// A socket in the place of an interface, and its other end; both keep packets apart, and block nobody.
pub fn tap_of_socket() -> (Tap, OwnedFd) {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (queue, other_end) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    (Tap { name: "socket".to_owned(), queues: [queue.into()].into() }, other_end)
}

#[test]
fn an_interface_has_the_name_and_queues_asked_for() {
    in_fresh_namespace(|| {
        for queue_pairs in [1, 2, 8] {
            let tap = Tap::create("rkt-test", queue_pairs).unwrap();
            assert_eq!((tap.name(), tap.queue_pairs()), ("rkt-test", queue_pairs));
            assert_eq!(interfaces(), ["lo", "rkt-test"]);
        }
        assert_eq!(interfaces(), ["lo"], "The interface outlives its descriptors");
        let taps = [Tap::create("tap%d", 2).unwrap(), Tap::create("tap%d", 1).unwrap()];
        assert_eq!(taps.each_ref().map(Tap::name), ["tap0", "tap1"]);
    });
}

#[test]
fn what_cannot_be_is_refused_in_one_line() {
    let text = |name: &str, queue_pairs| Tap::create(name, queue_pairs).unwrap_err().to_string();
    assert_eq!(text("", 1), r#"Interface name "" is not 1 to 15 bytes without NUL"#);
    assert_eq!(text("a\0b", 1), r#"Interface name "a\0b" is not 1 to 15 bytes without NUL"#);
    assert!(text("sixteen-bytes-ab", 1).starts_with("Interface name"));
    assert_eq!(text("a", 0), "A tap interface has 1 to 8 queue pairs, not 0");
    assert_eq!(text("a", 9), "A tap interface has 1 to 8 queue pairs, not 9");
    in_fresh_namespace(|| {
        let _first = Tap::create("rkt-test", 2).unwrap();
        assert_eq!(text("rkt-test", 2), r#"Cannot create tap interface "rkt-test""#);
        assert_eq!(text("a/b", 1), r#"Cannot create tap interface "a/b""#);
    });
}

#[test]
fn machines_get_a_queue_pair_per_cpu() {
    assert_eq!([0, 1, 2, 8, 9, u32::MAX].map(queue_pairs), [1, 1, 2, 8, 8, 8]);
}

/// Names of this thread's interfaces, in order.
fn interfaces() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let mut names: Vec<String> =
        table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect();
    names.sort();
    names
}
