//! Events as fanotify(7) tells them, with file handles in the place of descriptors.

use libc::{
    FAN_EVENT_INFO_TYPE_DFID_NAME, FAN_EVENT_INFO_TYPE_FID, FAN_EVENT_INFO_TYPE_NEW_DFID_NAME,
    FAN_EVENT_INFO_TYPE_OLD_DFID_NAME,
};

/// Type 3: the same record without a name.
const INFO_TYPE_DFID: u8 = 3;
/// `struct fanotify_event_metadata`.
const METADATA_LEN: usize = 24;
/// `struct fanotify_event_info_header`.
const INFO_HEADER_LEN: usize = 4;
/// The identifier of the file system, and the header of `struct file_handle`.
const KEY_HEADER_LEN: usize = 16;

/// Something that happened to files.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// What, as flags `FAN_*`.
    pub mask: u64,
    /// The process that did it, if it is this one.
    pub process: i32,
    /// The directory, and the name in it; of something that happened to a directory itself, `.` or nothing.
    pub named: Option<(&'a [u8], &'a [u8])>,
    /// The file.
    pub file: Option<&'a [u8]>,
    /// Where a file was that is elsewhere now.
    pub old: Option<(&'a [u8], &'a [u8])>,
    /// Where it is.
    pub new: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> Event<'a> {
    /// The file it is about, if that is known by itself and not by a name.
    pub fn itself(&self) -> Option<&'a [u8]> {
        let directory = self.named.filter(|(_, name)| matches!(*name, b"" | b"."));
        self.file.or(directory.map(|(key, _)| key))
    }
}

/// The events that a read has brought.
pub fn events(mut bytes: &[u8]) -> Vec<Event<'_>> {
    let mut events = Vec::new();
    while let Some((event, rest)) = first(bytes) {
        events.push(event);
        bytes = rest;
    }
    events
}

fn first(bytes: &[u8]) -> Option<(Event<'_>, &[u8])> {
    let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
    let metadata_length = usize::from(u16::from_ne_bytes(*bytes.get(6..)?.first_chunk()?));
    let mut event = Event {
        mask: u64::from_ne_bytes(*bytes.get(8..)?.first_chunk()?),
        process: i32::from_ne_bytes(*bytes.get(20..)?.first_chunk()?),
        ..Event::default()
    };
    let whole = bytes.get(..length).filter(|_| length >= METADATA_LEN)?;
    let mut records = whole.get(metadata_length..)?;
    while let Some((Record { kind, key, name }, rest)) = record(records) {
        match kind {
            FAN_EVENT_INFO_TYPE_DFID_NAME | INFO_TYPE_DFID => event.named = Some((key, name)),
            FAN_EVENT_INFO_TYPE_FID => event.file = Some(key),
            FAN_EVENT_INFO_TYPE_OLD_DFID_NAME => event.old = Some((key, name)),
            FAN_EVENT_INFO_TYPE_NEW_DFID_NAME => event.new = Some((key, name)),
            _ => {}
        }
        records = rest;
    }
    Some((event, &bytes[length..]))
}

/// What is told of one file of an event.
struct Record<'a> {
    kind: u8,
    key: &'a [u8],
    name: &'a [u8],
}

/// The first record, and what follows it.
fn record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let kind = *bytes.first()?;
    let length = usize::from(u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?));
    let body = bytes.get(INFO_HEADER_LEN..length)?;
    let handle_length = u32::from_ne_bytes(*body.get(8..)?.first_chunk()?) as usize;
    let (key, name) = body.split_at_checked(KEY_HEADER_LEN.checked_add(handle_length)?)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    Some((Record { kind, key, name }, &bytes[length..]))
}

#[cfg(test)]
pub mod tests {
    use libc::{FAN_CREATE, FAN_RENAME};
    use proptest::prelude::*;

    use super::*;

    /// A key as [`super::super::marks`] makes them.
    pub fn key(file: u8) -> Vec<u8> {
        [&[7; 8][..], &3u32.to_ne_bytes(), &1u32.to_ne_bytes(), &[file; 3]].concat()
    }

    fn info(kind: u8, file: u8, name: &str) -> Vec<u8> {
        let mut body = key(file);
        body.extend_from_slice(name.as_bytes());
        body.resize((body.len() + 4) / 4 * 4, 0);
        let length = (INFO_HEADER_LEN + body.len()) as u16;
        [&[kind, 0], &length.to_ne_bytes()[..], &body].concat()
    }

    fn event(mask: u64, process: i32, records: &[Vec<u8>]) -> Vec<u8> {
        let records = records.concat();
        let length = (METADATA_LEN + records.len()) as u32;
        let head = [3, 0, METADATA_LEN as u8, 0];
        let end = [(-1i32).to_ne_bytes(), process.to_ne_bytes()].concat();
        [&length.to_ne_bytes()[..], &head, &mask.to_ne_bytes(), &end, &records].concat()
    }

    #[test]
    fn records_are_told_apart() {
        let bytes = [
            event(
                FAN_CREATE,
                1,
                &[info(FAN_EVENT_INFO_TYPE_DFID_NAME, 5, "name"), info(FAN_EVENT_INFO_TYPE_FID, 6, "")],
            ),
            event(
                FAN_RENAME,
                0,
                &[
                    info(FAN_EVENT_INFO_TYPE_OLD_DFID_NAME, 5, "a"),
                    info(FAN_EVENT_INFO_TYPE_NEW_DFID_NAME, 6, "bcd"),
                    info(99, 1, ""),
                ],
            ),
        ]
        .concat();
        let (five, six) = (key(5), key(6));
        let expected = [
            Event {
                mask: FAN_CREATE,
                process: 1,
                named: Some((&five, b"name")),
                file: Some(&six),
                ..Event::default()
            },
            Event {
                mask: FAN_RENAME,
                old: Some((&five, b"a")),
                new: Some((&six, b"bcd")),
                ..Event::default()
            },
        ];
        assert_eq!(events(&bytes), expected);
        assert_eq!(events(&bytes[..bytes.len() - 1]), expected[..1]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..128), length in 0u8..128) {
            events(&bytes);
            let with_length = [&[length, 0, 0, 0], &bytes[..]].concat();
            events(&with_length);
        }
    }
}
