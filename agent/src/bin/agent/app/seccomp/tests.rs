use nix::libc;
use syscalls::Sysno;

use super::*;

fn set(names: &[&str], errno: Option<&str>) -> isolator::SeccompSet {
    isolator::SeccompSet {
        set: names.iter().map(|name| (*name).to_owned()).collect(),
        errno: errno.map(|name| name.to_owned().try_into().unwrap()),
    }
}

fn retain(names: &[&str]) -> Isolator {
    Isolator::SeccompRetain(set(names, None))
}

fn remove(names: &[&str]) -> Isolator {
    Isolator::SeccompRemove(set(names, None))
}

fn filter(isolators: Vec<Isolator>) -> Option<Filter> {
    let isolators = Isolators(isolators);
    Filter::of(&isolators, Capabilities::of(&isolators).unwrap()).unwrap()
}

fn outcome(isolators: Vec<Isolator>, call: Sysno) -> u32 {
    filter(isolators).unwrap().program().outcome(call.id() as u32)
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

#[test]
fn programs_of_today_run_under_the_default() {
    for call in [Sysno::statx, Sysno::clone3, Sysno::openat2, Sysno::faccessat2, Sysno::chroot] {
        assert_eq!(outcome(vec![], call), ALLOW, "{call}");
    }
    assert_eq!(outcome(vec![], Sysno::mount), libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
    let administrator = isolator::CapabilitySet { set: vec!["CAP_SYS_ADMIN".to_owned()] };
    assert_eq!(outcome(vec![Isolator::CapabilitiesRetain(administrator)], Sysno::mount), ALLOW);
}

#[test]
fn lists_do_what_they_say() {
    assert_eq!(outcome(vec![retain(&["read"])], Sysno::read), ALLOW);
    assert_eq!(outcome(vec![retain(&["read"])], Sysno::write), KILL);
    assert_eq!(outcome(vec![retain(&["read"])], Sysno::execve), ALLOW);
    assert_eq!(outcome(vec![remove(&["read", "chown32", "@nobody/knows"])], Sysno::read), KILL);
    assert_eq!(outcome(vec![remove(&["read"])], Sysno::mount), ALLOW);
    assert_eq!(outcome(vec![remove(&["@systemd/mount"])], Sysno::umount2), KILL);
    let errno = Isolator::SeccompRemove(set(&["stat"], Some("EXFULL")));
    assert_eq!(outcome(vec![errno], Sysno::stat), libc::SECCOMP_RET_ERRNO | libc::EXFULL as u32);
}

#[test]
fn wildcards_decide_for_the_whole_set() {
    assert!(filter(vec![retain(&["read", "@appc.io/all"])]).is_none());
    assert!(filter(vec![retain(&["@appc.io/empty"])]).is_none());
    assert!(filter(vec![remove(&["@appc.io/all", "@appc.io/empty"])]).is_none());
    assert_eq!(filter(vec![remove(&["@appc.io/empty"])]), filter(vec![]));
    assert!(!filter(vec![]).unwrap().is_strict() && filter(vec![retain(&["read"])]).unwrap().is_strict());
}

#[test]
fn errors_have_names() {
    assert_eq!(errno_by_name("EPERM"), Some(Errno::EPERM));
    assert_eq!(errno_by_name("EWOULDBLOCK"), Some(Errno::EAGAIN));
    assert_eq!(errno_by_name("EHWPOISON"), Some(Errno::EHWPOISON));
    let odd = Isolators(vec![Isolator::SeccompRetain(set(&["read"], Some("EFOO")))]);
    assert_eq!(Filter::of(&odd, Capabilities::ALL), Err(SeccompError::Errno("EFOO".into())));
}
