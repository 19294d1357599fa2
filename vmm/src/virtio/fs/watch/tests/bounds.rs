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

/// The inodes of what is in the share's root.
fn inodes(guest: &Guest) -> HashSet<u64> {
    fs::read_dir(guest.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().ino()).collect()
}

/// How many of these inodes this process watches.
fn marks(ours: &HashSet<u64>) -> usize {
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
        let marks = marks(&inodes(guest));
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

/// The file server has them open, so the host keeps them, and would keep their marks.
#[test]
fn what_has_gone_leaves_no_marks() {
    with_guest(|guest| {
        guest.host("mkdir directory1 directory2; : > file1; : > file2");
        let names = [c"directory1", c"directory2", c"file1", c"file2"];
        let nodes = names.map(|name| guest.node(ROOT_ID, name));
        nodes.iter().for_each(|node| guest.watch(*node));
        let ours = inodes(guest);
        assert_eq!(marks(&ours), 4);
        let ends = |seen: &[Change], node| {
            seen.iter().any(|change| matches!(change, Change::DeletedItself { node: of, .. } if *of == node))
        };
        // Their names are watched, too, or are not.
        guest.host("rm -r directory1 file1");
        let mut seen = Vec::new();
        while !ends(&seen, nodes[0]) || !ends(&seen, nodes[2]) {
            seen.extend(guest.changes(1));
        }
        guest.watch(ROOT_ID);
        guest.host("rm -r directory2 file2");
        while !ends(&seen, nodes[1]) || !ends(&seen, nodes[3]) {
            seen.extend(guest.changes(1));
        }
        assert_eq!(marks(&ours), 0);
        nodes.iter().for_each(|node| assert_eq!(guest.share.getattr(app(), *node, None).unwrap().0.nlink, 0));
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
