use std::{
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    sync::{Mutex, PoisonError},
    thread,
};

use libc::{SIGINT, SIGTERM};

use super::{wire::Word, *};
use crate::pod::{
    network::GuestNetwork,
    signals::{Ending, Received, Signals},
};

/// Children are those of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// What comes of a VMM that does as the script says.
fn play(script: impl FnOnce(&Link), keep: impl FnOnce(&Vmm)) -> Result<Ending, KeeperError> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let signals = Signals::block(true).unwrap();
    match split(true, None).unwrap() {
        Side::Vmm(link) => {
            signals.give_up();
            script(&link);
            // SAFETY: ends the child without running what belongs to the test process.
            unsafe { libc::_exit(0) }
        }
        Side::Keeper(vmm) => {
            keep(&vmm);
            vmm.watch(&signals)
        }
    }
}

/// Waits for a signal in the child.
fn next(link: &Link) -> Received {
    loop {
        if let Some(received) = link.next_signal().unwrap() {
            return received;
        }
        thread::yield_now();
    }
}

#[test]
fn the_pods_ending_is_the_vmms_word() {
    let ended = play(|link| link.ended(Ending::Status(42)).unwrap(), |_| {});
    assert_eq!(ended.unwrap(), Ending::Status(42));
    let silent = play(|_| {}, |_| {}).unwrap_err().to_string();
    assert_eq!(silent, "The VMM died (exit status: 0)");
}

#[test]
fn a_vmm_that_dies_or_talks_nonsense_has_failed() {
    let die = |link: &Link| {
        link.ended(Ending::Status(0)).unwrap();
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(3) };
    };
    let died = play(die, |_| {}).unwrap_err();
    assert!(matches!(died, KeeperError::Died(status) if status == ExitStatus::from_raw(3 << 8)), "{died}");
    let babble = |link: &Link| {
        rustix::net::send(link, b"{\"Ended\":", rustix::net::SendFlags::empty()).unwrap();
        next(link);
    };
    assert!(matches!(play(babble, |_| {}), Err(KeeperError::Nonsense)));
}

#[test]
fn a_violation_is_told_with_thread_and_system_call() {
    let word = Word::Violation { thread: "fs-0\n".into(), syscall: 41 };
    let violate = |link: &Link| link.say(&word).unwrap();
    let line = play(violate, |_| {}).unwrap_err().to_string();
    assert_eq!(line, "Thread \"fs-0\" of the VMM called socket (41), which it may not");
}

#[test]
fn only_forwarded_signals_reach_the_vmm() {
    let script = |link: &Link| {
        // As from a terminal or a service manager, which have both processes.
        for number in [SIGINT, SIGTERM] {
            // SAFETY: blocked signals to the child itself.
            unsafe { libc::kill(libc::getpid(), number) };
        }
        let received = next(link);
        link.ended(Ending::Status(received.number())).unwrap();
    };
    let forward = |vmm: &Vmm| vmm.forward(SIGTERM);
    assert_eq!(play(script, forward).unwrap(), Ending::Status(SIGTERM));
}

#[test]
fn networks_reach_the_vmm() {
    let script = |link: &Link| {
        let (ports, network) = link.networks().unwrap();
        let told = ports.is_empty() && network.resolv_conf.as_deref() == Some("nameserver 192.0.2.1\n");
        link.ended(Ending::Status(i32::from(told))).unwrap();
    };
    let resolv_conf = Some("nameserver 192.0.2.1\n".to_owned());
    let network = GuestNetwork { resolv_conf, ..GuestNetwork::default() };
    assert_eq!(play(script, |vmm| vmm.connect(Vec::new(), &network).unwrap()).unwrap(), Ending::Status(1));
}
