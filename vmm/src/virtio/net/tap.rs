//! The tap interface at the host's end of the cable.

use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_ulong},
    fs::{File, OpenOptions},
    io,
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    sync::Arc,
};

use libc::{
    IFF_ATTACH_QUEUE, IFF_DETACH_QUEUE, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_TAP, IFF_TUN_EXCL, IFF_VNET_HDR,
    IFNAMSIZ, TUN_F_CSUM, TUN_F_USO4, TUN_F_USO6, TUNSETIFF, TUNSETOFFLOAD, TUNSETQUEUE, TUNSETSNDBUF,
    TUNSETVNETHDRSZ, ifreq,
};

use super::{HEADER_LEN, steering};

/// The most queue pairs of one interface: beyond this the host's CPUs are the limit.
const MAX_QUEUE_PAIRS: u16 = 8;
/// Bytes of the guest's packets, with the kernel's own overhead, that may be on their way through the host at once.
/// By default the kernel would hold 2 GiB on behalf of one guest.
const SEND_BUFFER: c_int = 8 << 20;

/// How many queue pairs a machine with so many CPUs makes use of.
pub fn queue_pairs(cpus: u32) -> u16 {
    u16::try_from(cpus).unwrap_or(u16::MAX).clamp(1, MAX_QUEUE_PAIRS)
}

/// Why there is no tap interface.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// The kernel has no tun driver, or this process may not use it.
    #[error("Cannot open /dev/net/tun (is the kernel module \"tun\" loaded?)")]
    Open(#[source] io::Error),
    /// Not a name for an interface.
    #[error("Interface name {0:?} is not 1 to 15 bytes without NUL")]
    Name(String),
    /// A number of queue pairs no device has.
    #[error("A tap interface has 1 to {MAX_QUEUE_PAIRS} queue pairs, not {0}")]
    QueuePairs(u16),
    /// The kernel refused: for want of privilege, or because the name is taken.
    #[error("Cannot create tap interface {0:?}")]
    Create(String, #[source] io::Error),
    /// The kernel is too old for what the device needs.
    #[error("Cannot configure tap interface {0:?}")]
    Configure(String, #[source] io::Error),
}

/// A tap interface whose packets carry virtio's header. It vanishes with the last of its descriptors, which clones
/// share.
#[derive(Debug, Clone)]
pub struct Tap {
    name: String,
    /// One per queue pair; non-blocking.
    queues: Arc<[File]>,
}

impl Tap {
    /// Creates an interface in the network namespace of the calling thread, down and without address. The name must be
    /// free; with `%d` in it the kernel chooses a number.
    ///
    /// Needs CAP_NET_ADMIN there. `queue_pairs` is 1 to 8; see [`queue_pairs`].
    pub fn create(name: &str, queue_pairs: u16) -> Result<Self, TapError> {
        if name.is_empty() || name.len() >= IFNAMSIZ || name.contains('\0') {
            return Err(TapError::Name(name.to_owned()));
        }
        if !(1..=MAX_QUEUE_PAIRS).contains(&queue_pairs) {
            return Err(TapError::QueuePairs(queue_pairs));
        }
        let mut name = name.to_owned();
        let mut queues = Vec::new();
        for queue in 0..queue_pairs {
            // The first makes the interface, the others join it.
            let exclusive = if queue == 0 { IFF_TUN_EXCL } else { 0 };
            let several = if queue_pairs > 1 { IFF_MULTI_QUEUE } else { 0 };
            let (queue, actual_name) = open_queue(&name, exclusive | several)?;
            queues.push(queue);
            name = actual_name;
        }
        if let [first, _, ..] = &queues[..] {
            // Where the kernel cannot, packets of a flow may overtake each other.
            let _ = steering::by_flow(first);
        }
        Ok(Tap { name, queues: queues.into() })
    }

    /// An interface that another process created: its name, and the queues it passed on.
    pub fn of_queues(name: String, queues: Vec<File>) -> Self {
        Tap { name, queues: queues.into() }
    }

    /// Its queues, to be passed on.
    pub fn queues(&self) -> &[File] {
        &self.queues
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many queue pairs it has.
    pub fn queue_pairs(&self) -> u16 {
        // At most MAX_QUEUE_PAIRS.
        self.queues.len() as u16
    }

    /// The descriptor of a queue pair, if there are so many.
    pub(super) fn queue(&self, index: u16) -> Option<&File> {
        self.queues.get(usize::from(index))
    }

    /// Says what may be left to whoever reads: `TUN_F_` flags. Packets the reader could not cope with are finished by
    /// the kernel.
    pub(super) fn set_offloads(&self, flags: c_uint) -> io::Result<()> {
        let Some(queue) = self.queues.first() else { return Ok(()) };
        // SAFETY: the argument of this request is a number.
        check(unsafe { libc::ioctl(queue.as_raw_fd(), TUNSETOFFLOAD, c_ulong::from(flags)) })
    }

    /// Whether the kernel segments datagrams. Forgets the offloads that were set.
    pub(super) fn segments_udp(&self) -> bool {
        let able = self.set_offloads(TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6).is_ok();
        // Takes back what was accepted before.
        able && self.set_offloads(0).is_ok()
    }

    /// Lets the interface give packets to one of its queues again, which must be detached.
    pub(super) fn attach(&self, queue: &File) -> io::Result<()> {
        set_queue(queue, IFF_ATTACH_QUEUE)
    }

    /// Keeps the interface from giving packets to one of its queues. Those it has given are lost.
    pub(super) fn detach(&self, queue: &File) {
        // Fails for one that is detached.
        let _ = set_queue(queue, IFF_DETACH_QUEUE);
    }

    /// As it is when no driver has asked for more.
    pub(super) fn detach_all_but_first(&self) {
        self.queues.iter().skip(1).for_each(|queue| self.detach(queue));
    }
}

/// A new queue of the interface `name`, and its name.
fn open_queue(name: &str, flags: c_int) -> Result<(File, String), TapError> {
    let queue = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .map_err(TapError::Open)?;
    let name = attach(&queue, name, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags)
        .map_err(|error| TapError::Create(name.to_owned(), error))?;
    for (request, value) in [(TUNSETVNETHDRSZ, HEADER_LEN as c_int), (TUNSETSNDBUF, SEND_BUFFER)] {
        set(&queue, request, &value).map_err(|error| TapError::Configure(name.clone(), error))?;
    }
    Ok((queue, name))
}

/// Makes `queue` one of the interface `name`, whose name comes back.
fn attach(queue: &File, name: &str, flags: c_int) -> io::Result<String> {
    // SAFETY: all zeroes is a valid value of this structure of integers.
    let mut request: ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
    // The kernel's flags have 16 bits.
    request.ifr_ifru.ifru_flags = flags as i16;
    // SAFETY: the kernel reads and writes one `ifreq`.
    check(unsafe { libc::ioctl(queue.as_raw_fd(), TUNSETIFF, &mut request) })?;
    let name = request.ifr_name.map(|byte| byte as u8);
    let name = CStr::from_bytes_until_nul(&name).map_err(io::Error::other)?;
    Ok(name.to_string_lossy().into_owned())
}

fn set_queue(queue: &File, flags: c_int) -> io::Result<()> {
    // SAFETY: all zeroes is a valid value of this structure of integers.
    let mut request: ifreq = unsafe { std::mem::zeroed() };
    request.ifr_ifru.ifru_flags = flags as i16;
    // SAFETY: the kernel reads one `ifreq`.
    check(unsafe { libc::ioctl(queue.as_raw_fd(), TUNSETQUEUE, &request) })
}

fn set(queue: &File, request: c_ulong, value: &c_int) -> io::Result<()> {
    // SAFETY: both requests used read one `int`.
    check(unsafe { libc::ioctl(queue.as_raw_fd(), request, value) })
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
pub(super) mod tests;
