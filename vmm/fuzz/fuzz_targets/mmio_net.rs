//! A hostile driver of the network device, in user space, with packets that wait for it. Needs root: the tap is in a
//! network namespace of its own.
#![no_main]

use std::{ffi::c_char, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use vmm::virtio::net::{Net, NetConfig, Tap};
use vmm_fuzz::{Step, drive};

/// Interfaces with one and two queue pairs. To make one takes longer than to look at a guest.
static TAPS: LazyLock<[Tap; 2]> = LazyLock::new(|| {
    // SAFETY: a network namespace concerns no memory.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "Cannot make a network namespace");
    let taps = [1, 2].map(|queue_pairs| Tap::create("fuzz%d", queue_pairs).expect("a tap"));
    taps.iter().for_each(|tap| set_up(tap.name()));
    taps
});

fuzz_target!(|input: (bool, Vec<Step>)| {
    let (several, steps) = input;
    let tap = TAPS[usize::from(several)].clone();
    send_to(tap.name());
    drive(Box::new(Net::in_user_space(NetConfig { mac: [2; 6], mtu: 1500, tap })), steps);
});

fn set_up(interface: &str) {
    with_socket(interface, |socket, request| {
        request.ifr_ifru.ifru_flags = libc::IFF_UP as i16;
        // SAFETY: the request is whole.
        assert_eq!(unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, request) }, 0);
    });
}

/// Leaves packets in an interface.
fn send_to(interface: &str) {
    with_socket(interface, |socket, request| {
        // SAFETY: request and address are whole, of integers, and as long as is said.
        unsafe {
            assert_eq!(libc::ioctl(socket, libc::SIOCGIFINDEX, request as *mut _), 0);
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_ifindex = request.ifr_ifru.ifru_ifindex;
            for length in [60, 1514, 200] {
                let frame = [0xff_u8; 1514];
                let size = size_of_val(&address) as u32;
                libc::sendto(socket, frame.as_ptr().cast(), length, 0, (&raw const address).cast(), size);
            }
        }
    });
}

fn with_socket(interface: &str, work: impl FnOnce(i32, &mut libc::ifreq)) {
    // SAFETY: all zeroes is a valid value of this structure of integers; the descriptor is closed once.
    unsafe {
        let socket = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *to = from as c_char;
        }
        work(socket, &mut request);
        libc::close(socket);
    }
}
