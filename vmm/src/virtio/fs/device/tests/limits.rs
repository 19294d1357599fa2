//! Apps whose I/O is limited.

use std::{
    num::NonZeroU64,
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::virtio::fs::{IoLimits, Rates};

/// Where a request is that waits while others are made.
const APART: u64 = REQUEST + (2 << 20);

/// A share of two apps: files `web/file` and `db/file`.
struct Shared {
    _directory: TempDir,
    guest: Guest,
    limits: IoLimits,
}

impl Shared {
    fn with(rates: Rates) -> Self {
        let directory = TempDir::new().unwrap();
        let limits = IoLimits::default();
        limits.limit("web", rates, vec![("rootfs", "web".into())]);
        let config = ShareConfig { limits: limits.clone(), ..share(directory.path()) };
        for app in ["web", "db"] {
            fs::create_dir(directory.path().join(app)).unwrap();
            fs::write(directory.path().join(app).join("file"), [7; 4096]).unwrap();
        }
        Shared { guest: Guest::new(&config), limits, _directory: directory }
    }

    /// Node and handle of an app's file.
    fn file(&mut self, app: &str) -> (u64, u64) {
        let directory = self.guest.lookup(ROOT, app).unwrap().nodeid;
        let file = self.guest.lookup(directory, "file").unwrap().nodeid;
        (file, self.guest.open(file, libc::O_RDWR).unwrap())
    }

    /// Asks for a file's attributes without waiting for them.
    fn ask_apart(&mut self, node: u64) {
        let header = InHeader {
            len: (IN_HEADER_LEN + size_of::<GetattrIn>()) as u32,
            opcode: Opcode::Getattr as u32,
            nodeid: node,
            unique: 1_000_000,
            ..InHeader::default()
        };
        let request = bytes(&[header.as_slice(), GetattrIn::default().as_slice()]);
        self.guest.driver.memory.write_slice(&request, GuestAddress(APART)).unwrap();
        let buffers = [Buffer::readable(APART, request.len() as u32), Buffer::writable(APART + 4096, 256)];
        self.guest.driver.add(REQUEST_QUEUE, &buffers);
    }
}

fn rates(bytes: u64, operations: u64) -> Rates {
    Rates { bytes: NonZeroU64::new(bytes), operations: NonZeroU64::new(operations) }
}

#[test]
fn bytes_and_operations_take_their_time() {
    // What five take, less what a tenth of a second of idleness gives, and what one takes.
    for (rate, five, one) in [(rates(1_000_000, 0), 300, 100), (rates(0, 20), 100, 50)] {
        let mut shared = Shared::with(rate);
        let (node, fh) = shared.file("web");
        let (other, other_fh) = shared.file("db");
        let started = Instant::now();
        for _ in 0..5 {
            assert_eq!(shared.guest.write(node, fh, 0, &[1; 100_000]), Ok(100_000));
        }
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(five), "{rate:?}: {took:?}");
        // What is read counts, too.
        assert_eq!(shared.guest.read(node, fh, 0, &[100_000]).unwrap().len(), 100_000);
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(five + one), "{rate:?}: {took:?}");
        // At the other's rate this would take a minute and more.
        let started = Instant::now();
        for _ in 0..50 {
            assert_eq!(shared.guest.write(other, other_fh, 0, &vec![1; 1 << 20]), Ok(1 << 20));
        }
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}

#[test]
pub fn others_are_served_while_one_waits_and_all_once_limits_are_lifted() {
    let mut shared = Shared::with(rates(1, 0));
    let (node, fh) = shared.file("web");
    let (other, other_fh) = shared.file("db");
    // Taken at once, for nothing has been taken before; then a day's worth is.
    assert_eq!(shared.guest.write(node, fh, 0, &[1; 1 << 20]), Ok(1 << 20));
    // Attributes hold no bytes.
    shared.guest.request(Opcode::Getattr, node, GetattrIn::default().as_slice(), 256).unwrap();
    for _ in 0..100 {
        assert_eq!(shared.guest.read(other, other_fh, 0, &[4096]).unwrap(), [7; 4096]);
    }
    let limits = shared.limits.clone();
    let lifter = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        limits.lift("web");
    });
    let started = Instant::now();
    assert_eq!(shared.guest.read(node, fh, 0, &[10]).unwrap(), [1; 10]);
    let took = started.elapsed();
    assert!((Duration::from_millis(90)..Duration::from_secs(10)).contains(&took), "{took:?}");
    lifter.join().unwrap();
}

#[test]
fn requests_that_wait_hold_up_neither_others_nor_the_end() {
    let mut shared = Shared::with(rates(0, 1));
    let (node, _) = shared.file("web");
    let (other, other_fh) = shared.file("db");
    shared.ask_apart(node);
    for _ in 0..100 {
        // Answered in the order they are ended in: the one apart is not among them.
        assert_eq!(shared.guest.read(other, other_fh, 0, &[4096]).unwrap(), [7; 4096]);
    }
    let started = Instant::now();
    shared.guest.driver.reset();
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn the_host_copies_nothing_uncounted() {
    let mut shared = Shared::with(rates(1_000_000, 0));
    for (app, expected) in [("web", Err(libc::EOPNOTSUPP)), ("db", Ok(4))] {
        let (node, fh) = shared.file(app);
        let copy = CopyfilerangeIn {
            fh_in: fh,
            off_in: 0,
            nodeid_out: node,
            fh_out: fh,
            off_out: 4096,
            len: 4,
            ..CopyfilerangeIn::default()
        };
        let answer = shared.guest.request(Opcode::CopyFileRange, node, copy.as_slice(), 8);
        assert_eq!(answer.map(|answer| answer[0]), expected, "{app}");
    }
}
