//! What a guest can make the host keep.

use std::{collections::HashSet, os::unix::fs::MetadataExt};

use super::*;

#[test]
fn what_waits_is_bounded() {
    with_guest(|guest| {
        guest.watch(ROOT_ID);
        guest.host("for number in $(seq 6000); do : > file$number; done");
        let mut created = 0;
        let mut seen = 0;
        while created < 6000 {
            created += usize::from(matches!(guest.changes(1)[0], Change::Created { .. }));
            seen += 1;
            assert!(seen <= 12_000);
        }
    });
}

/// How many files of the share's root this process watches.
fn marks(guest: &Guest) -> usize {
    let files = fs::read_dir(guest.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().ino());
    let ours: HashSet<u64> = files.collect();
    let descriptors = fs::read_dir("/proc/self/fdinfo").unwrap().map(|entry| entry.unwrap().path());
    let texts: Vec<String> = descriptors.map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    let numbers = lines.filter_map(|line| line.strip_prefix("fanotify ino:")?.split(' ').next());
    numbers.filter(|number| ours.contains(&u64::from_str_radix(number, 16).unwrap())).count()
}

#[test]
fn a_guest_that_has_forgotten_a_file_leaves_few_marks() {
    with_guest(|guest| {
        guest.host("for number in $(seq 1500); do : > file$number; done");
        guest.watch(ROOT_ID);
        let kept = guest.node(ROOT_ID, c"file1500");
        guest.watch(kept);
        for number in 1..1500 {
            let node = guest.node(ROOT_ID, &CString::new(format!("file{number}")).unwrap());
            guest.watch(node);
            guest.share.forget(app(), node, 1);
            guest.say(&WatchRequest::Forget { node });
            assert_eq!(guest.hear(), WatchNews::Forgotten { node });
        }
        let marks = marks(guest);
        assert!(marks < 1024, "{marks}");
        // What is still watched is told as before.
        guest.host("mkdir directory; mv file1500 directory/file; chmod 600 directory/file");
        let attributes = Change::TouchedItself { node: kept, how: Touch::Attributes };
        let expected = [
            Change::Created { at: place(ROOT_ID, "directory"), directory: true },
            Change::Moved { from: Some(place(ROOT_ID, "file1500")), to: None, directory: false },
            Change::MovedItself { node: kept, directory: false },
            attributes,
        ];
        assert_eq!(guest.changes(expected.len()), expected);
    });
}

#[test]
fn files_that_have_gone_are_not_counted() {
    with_guest(|guest| {
        let mut marks = super::super::marks::Marks::new().unwrap();
        guest.host(": > file");
        let node = guest.node(ROOT_ID, c"file");
        marks.add(node, &guest.share).unwrap();
        guest.share.forget(app(), node, 1);
        guest.host("rm file");
        let mut buffer = [0; 4096];
        let length = marks.read(&mut buffer).unwrap();
        let events = super::super::event::events(&buffer[..length]);
        let gone = events.iter().find(|event| event.mask & libc::FAN_DELETE_SELF != 0).unwrap();
        marks.gone(gone.itself().unwrap());
        marks.remove(node, &guest.share);
        assert_eq!(marks.len(), 0);
    });
}
