//! The host's end of the cable: a packet socket on the tap.

use std::{
    ffi::c_char,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

/// An EtherType for experiments.
const ETHERTYPE: u16 = 0x88b5;
/// How long a packet may take, in milliseconds.
const PATIENCE: i32 = 10_000;

/// Sends and receives whole Ethernet frames.
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
    interface: String,
    address: libc::sockaddr_ll,
}

/// A frame whose payload has so many bytes.
pub fn frame(length: usize) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([0x52, 0x54, 0, 9, 9, 9]);
    frame.extend(ETHERTYPE.to_be_bytes());
    frame.extend((0..length).map(|position| (position * 7 + position / 251) as u8));
    frame
}

/// Keeps interfaces made later in this network namespace from talking of themselves.
pub fn silence() {
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
}

impl Wire {
    /// Sets the interface up, in the network namespace of this thread.
    pub fn new(interface: &str, mtu: u16) -> Self {
        // SAFETY: creates a descriptor, or fails.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(ETHERTYPE.to_be())) };
        assert!(socket >= 0, "{}", io::Error::last_os_error());
        // SAFETY: the descriptor is new and nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        // SAFETY: all zeroes is a valid value of this structure of integers.
        let address = unsafe { std::mem::zeroed() };
        let mut wire = Wire { socket, interface: interface.to_owned(), address };
        let mut request = wire.request();
        request.ifr_ifru.ifru_mtu = i32::from(mtu);
        wire.ioctl(libc::SIOCSIFMTU, &mut request);
        request.ifr_ifru.ifru_flags = libc::IFF_UP as i16;
        wire.ioctl(libc::SIOCSIFFLAGS, &mut request);
        wire.ioctl(libc::SIOCGIFINDEX, &mut request);
        let address = &mut wire.address;
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ETHERTYPE.to_be();
        // SAFETY: the last request filled this member.
        address.sll_ifindex = unsafe { request.ifr_ifru.ifru_ifindex };
        // SAFETY: the address is as long as is said.
        let result = unsafe {
            libc::bind(
                wire.socket.as_raw_fd(),
                (&raw const wire.address).cast(),
                size_of_val(&wire.address) as u32,
            )
        };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
        wire
    }

    /// Sends an IPv4 packet that is longer than the MTU, preceded by a virtio header. Once.
    pub fn send_segment(&self, packet: &[u8]) {
        const PACKET_VNET_HDR: i32 = 15;
        let on = 1_i32;
        let address = libc::sockaddr_ll { sll_protocol: (libc::ETH_P_IP as u16).to_be(), ..self.address };
        // SAFETY: the option is one `int`; packet and address are as long as is said.
        let result = unsafe {
            let fd = self.socket.as_raw_fd();
            libc::setsockopt(fd, libc::SOL_PACKET, PACKET_VNET_HDR, (&raw const on).cast(), 4);
            let length = size_of_val(&address) as u32;
            libc::sendto(fd, packet.as_ptr().cast(), packet.len(), 0, (&raw const address).cast(), length)
        };
        assert_eq!(result, packet.len() as isize, "{}", io::Error::last_os_error());
    }

    pub fn send(&self, frame: &[u8]) {
        assert_eq!(rustix::io::write(&self.socket, frame), Ok(frame.len()));
    }

    /// The next frame of the guest.
    pub fn receive(&self) -> Vec<u8> {
        assert!(self.is_readable(PATIENCE), "No packet arrives");
        let mut frame = vec![0; 70_000];
        let length = rustix::io::read(&self.socket, &mut frame).unwrap();
        frame.truncate(length);
        frame
    }

    /// Whether there is a frame of the guest, or comes within so many milliseconds.
    pub fn is_readable(&self, patience: i32) -> bool {
        let mut descriptor = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor, and it is open.
        unsafe { libc::poll(&mut descriptor, 1, patience) == 1 }
    }

    /// Sets the interface down.
    pub fn take_down(&self) {
        self.ioctl(libc::SIOCSIFFLAGS, &mut self.request());
    }

    fn ioctl(&self, number: u64, request: &mut libc::ifreq) {
        // SAFETY: all requests used read and write one `ifreq`.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), number, request) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
    }

    fn request(&self) -> libc::ifreq {
        // SAFETY: all zeroes is a valid value of this structure of integers.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(self.interface.bytes()) {
            *to = from as c_char;
        }
        request
    }
}
