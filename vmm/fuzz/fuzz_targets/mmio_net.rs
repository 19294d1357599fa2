//! A hostile driver of the network device, in user space, with packets that wait for it. Needs root: the tap is in a
//! network namespace of its own.
#![no_main]

use std::ffi::c_char;

use libfuzzer_sys::fuzz_target;
use vmm::virtio::net::{Net, NetConfig, Tap};
use vmm_fuzz::{Step, drive};

fuzz_target!(
    init: {
        // SAFETY: a network namespace concerns no memory.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "Cannot make a network namespace");
    },
    |input: (bool, Vec<Step>)| {
        let (several, steps) = input;
        let tap = Tap::create("rkt-fuzz", if several { 2 } else { 1 }).expect("a tap");
        send_to(tap.name());
        drive(Box::new(Net::in_user_space(NetConfig { mac: [2; 6], mtu: 1500, tap })), steps);
    }
);

/// Sets an interface up and leaves packets in it.
fn send_to(interface: &str) {
    // SAFETY: requests and addresses are whole, of integers, and as long as is said; the descriptor is closed at the
    // end.
    unsafe {
        let socket = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *to = from as c_char;
        }
        request.ifr_ifru.ifru_flags = libc::IFF_UP as i16;
        assert_eq!(libc::ioctl(socket, libc::SIOCSIFFLAGS, &request), 0);
        assert_eq!(libc::ioctl(socket, libc::SIOCGIFINDEX, &mut request), 0);
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = request.ifr_ifru.ifru_ifindex;
        for length in [60, 1514, 200] {
            let frame = [0xff_u8; 1514];
            let size = size_of_val(&address) as u32;
            libc::sendto(socket, frame.as_ptr().cast(), length, 0, (&raw const address).cast(), size);
        }
        libc::close(socket);
    }
}
