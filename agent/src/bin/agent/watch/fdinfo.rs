//! What a descriptor of inotify or fanotify watches, as `/proc/PID/fdinfo/FD` tells (`fs/notify/fdinfo.c`).

use nix::libc::dev_t;
use nix::sys::stat::makedev;

use super::handle::{Handle, LENGTH};

/// How many bits of a device number the kernel has for its second part.
const MINOR_BITS: u32 = 20;

/// A file on a file system that has handles like FUSE's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Watched {
    /// The file system, as stat(2) tells.
    pub device: dev_t,
    /// The file.
    pub handle: Handle,
}

/// What a line tells, if it is about a watch.
pub fn watched(line: &str) -> Option<Watched> {
    let mut words = line.split_ascii_whitespace();
    if !matches!(words.next()?, "inotify" | "fanotify") {
        return None;
    }
    let (mut device, mut kind, mut bytes) = (None, None, None);
    for word in words {
        match word.split_once(':')? {
            ("sdev", value) => device = u64::from_str_radix(value, 16).ok(),
            ("fhandle-type", value) => kind = i32::from_str_radix(value, 16).ok(),
            ("f_handle", value) => bytes = decode(value),
            _ => {}
        }
    }
    let device = device?;
    let device = makedev(device >> MINOR_BITS, device & ((1 << MINOR_BITS) - 1));
    Some(Watched { device, handle: Handle::decode(kind?, &bytes?)? })
}

fn decode(text: &str) -> Option<[u8; LENGTH]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * LENGTH {
        return None;
    }
    let mut bytes = [0; LENGTH];
    for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_of_both_kinds_are_understood() {
        let handle = "fhandle-bytes:c fhandle-type:81 f_handle:000000000700000000000000";
        let expected = Watched { device: makedev(0, 0x2a), handle: Handle { node: 7, generation: 0 } };
        let inotify = format!("inotify wd:1 ino:1f sdev:2a mask:fce ignored_mask:0 {handle} ");
        assert_eq!(watched(&inotify), Some(expected));
        let fanotify = format!("fanotify ino:1f sdev:800012 mflags:0 mask:3b ignored_mask:0 {handle}");
        assert_eq!(watched(&fanotify), Some(Watched { device: makedev(8, 0x12), ..expected }));
        for other in [
            "pos:\t0",
            "fanotify flags:0 event-flags:0",
            "fanotify mnt_id:12 mflags:0 mask:3b ignored_mask:0",
            "fanotify sdev:2a mflags:0 mask:3b ignored_mask:0",
            "inotify wd:1 ino:1f sdev:2a mask:fce ignored_mask:0 ",
            "inotify wd:1 ino:1f sdev:2a mask:1 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:0102030405060708",
        ] {
            assert_eq!(watched(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_watch_is_read_as_it_was_written(node: u64, generation: u32, minor in 0u64..1 << MINOR_BITS) {
            let words = [(node >> 32) as u32, node as u32, generation];
            let hex: String = words.iter().flat_map(|word| word.to_ne_bytes()).map(|byte| format!("{byte:02x}")).collect();
            let line = format!("inotify wd:3 ino:5 sdev:{minor:x} mask:2 ignored_mask:0 fhandle-bytes:c fhandle-type:81 f_handle:{hex} ");
            let expected = Watched { device: makedev(0, minor), handle: Handle { node, generation } };
            prop_assert_eq!(watched(&line), Some(expected));
        }

        #[test]
        fn no_text_panics(text in ".{0,80}", value in "[0-9a-z:éß]{0,40}") {
            watched(&text);
            watched(&format!("inotify sdev:{value} fhandle-type:81 f_handle:{value}"));
        }
    }
}
