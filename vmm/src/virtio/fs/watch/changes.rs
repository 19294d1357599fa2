//! From events of the host to changes the guest is told of.

use agent::protocol::{Change, Place, Touch};
use libc::{
    FAN_ATTRIB, FAN_CLOSE_WRITE, FAN_CREATE, FAN_DELETE, FAN_DELETE_SELF, FAN_MODIFY, FAN_MOVE_SELF,
    FAN_MOVED_FROM, FAN_MOVED_TO, FAN_ONDIR, FAN_RENAME,
};

use super::event::Event;

/// What is known of the files that are watched.
pub trait Watched {
    /// The nodes of a file.
    fn nodes(&self, key: &[u8]) -> &[u64];
    /// Whether a name is in a directory now.
    fn is_there(&self, place: &Place) -> bool;
}

/// The changes of an event, in the order in which they may have happened.
pub fn changes(event: &Event<'_>, watched: &impl Watched) -> Vec<Change> {
    let directory = event.mask & FAN_ONDIR != 0;
    if event.mask & FAN_RENAME != 0 {
        return moves(event, watched, directory);
    }
    let named = event.named.filter(|(_, name)| !matches!(*name, b"" | b"."));
    let places: Vec<Place> = named.map_or_else(Vec::new, |named| places(Some(named), watched));
    if !places.is_empty() {
        return places.into_iter().flat_map(|at| in_directory(event.mask, at, directory, watched)).collect();
    }
    let nodes = event.itself().map_or(&[][..], |key| watched.nodes(key));
    nodes.iter().flat_map(|node| of_itself(event.mask, *node, directory)).collect()
}

fn moves(event: &Event<'_>, watched: &impl Watched, directory: bool) -> Vec<Change> {
    let (from, to) = (places(event.old, watched), places(event.new, watched));
    let each = from.len().max(to.len());
    let (mut from, mut to) = (from.into_iter(), to.into_iter());
    (0..each).map(|_| Change::Moved { from: from.next(), to: to.next(), directory }).collect()
}

fn places(named: Option<(&[u8], &[u8])>, watched: &impl Watched) -> Vec<Place> {
    let Some((key, name)) = named else { return Vec::new() };
    watched.nodes(key).iter().map(|node| Place { node: *node, name: name.to_owned() }).collect()
}

/// Several events of a name may have become one, without their order: what is there now came last.
fn in_directory(mask: u64, at: Place, directory: bool, watched: &impl Watched) -> Vec<Change> {
    let removed = match mask {
        _ if mask & FAN_DELETE != 0 => Some(Change::Deleted { at: at.clone(), directory }),
        _ if mask & FAN_MOVED_FROM != 0 => {
            Some(Change::Moved { from: Some(at.clone()), to: None, directory })
        }
        _ => None,
    };
    let made = match mask {
        _ if mask & FAN_CREATE != 0 => Some(Change::Created { at: at.clone(), directory }),
        _ if mask & FAN_MOVED_TO != 0 => Some(Change::Moved { from: None, to: Some(at.clone()), directory }),
        _ => None,
    };
    let touched = touches(mask).map(|how| Change::Touched { at: at.clone(), directory, how });
    if removed.is_some() && made.is_some() && watched.is_there(&at) {
        return removed.into_iter().chain(made).chain(touched).collect();
    }
    made.into_iter().chain(touched).chain(removed).collect()
}

fn of_itself(mask: u64, node: u64, directory: bool) -> Vec<Change> {
    let moved = (mask & FAN_MOVE_SELF != 0).then_some(Change::MovedItself { node, directory });
    let deleted = (mask & FAN_DELETE_SELF != 0).then_some(Change::DeletedItself { node, directory });
    // The attribute that changes when a file's last name goes is told with that.
    let counted = if mask & FAN_DELETE_SELF != 0 && !directory { FAN_ATTRIB } else { 0 };
    let touched = touches(mask & !counted).map(|how| Change::TouchedItself { node, how });
    moved.into_iter().chain(touched).chain(deleted).collect()
}

fn touches(mask: u64) -> impl Iterator<Item = Touch> {
    let all =
        [(FAN_ATTRIB, Touch::Attributes), (FAN_MODIFY, Touch::Content), (FAN_CLOSE_WRITE, Touch::Closed)];
    all.into_iter().filter(move |(flag, _)| mask & flag != 0).map(|(_, how)| how)
}

#[cfg(test)]
mod tests {
    use super::{super::event::tests::key, *};

    /// Directory 1 is node 10, directory 2 node 20, file 3 nodes 30 and 31.
    struct Table {
        keys: [Vec<u8>; 3],
        there: bool,
    }

    fn table(there: bool) -> Table {
        Table { keys: [key(1), key(2), key(3)], there }
    }

    impl Watched for Table {
        fn nodes(&self, key: &[u8]) -> &[u64] {
            match self.keys.iter().position(|known| known == key) {
                Some(0) => &[10],
                Some(1) => &[20],
                Some(2) => &[30, 31],
                _ => &[],
            }
        }

        fn is_there(&self, _place: &Place) -> bool {
            self.there
        }
    }

    fn at(node: u64, name: &str) -> Place {
        Place { node, name: name.as_bytes().to_owned() }
    }

    #[test]
    fn names_in_directories() {
        let (one, three) = (key(1), key(3));
        let event = |mask| Event { mask, named: Some((&one, b"a")), file: Some(&three), ..Event::default() };
        let created = Change::Created { at: at(10, "a"), directory: false };
        let deleted = Change::Deleted { at: at(10, "a"), directory: false };
        let touched = |how| Change::Touched { at: at(10, "a"), directory: false, how };
        let seen = |mask, there| changes(&event(mask), &table(there));
        assert_eq!(
            seen(FAN_CREATE | FAN_MODIFY | FAN_CLOSE_WRITE, true),
            [created.clone(), touched(Touch::Content), touched(Touch::Closed)]
        );
        assert_eq!(seen(FAN_CREATE | FAN_DELETE, false), [created.clone(), deleted.clone()]);
        assert_eq!(seen(FAN_CREATE | FAN_DELETE, true), [deleted, created]);
        let directory = Event { mask: FAN_CREATE | FAN_ONDIR, named: Some((&one, b"d")), ..Event::default() };
        assert_eq!(changes(&directory, &table(true)), [Change::Created { at: at(10, "d"), directory: true }]);
    }

    #[test]
    fn files_that_are_watched_themselves() {
        let (three, nowhere) = (key(3), key(9));
        let mask = FAN_ATTRIB | FAN_DELETE_SELF;
        let event = Event { mask, named: Some((&nowhere, b"a")), file: Some(&three), ..Event::default() };
        let expected = [30, 31].map(|node| Change::DeletedItself { node, directory: false });
        assert_eq!(changes(&event, &table(true)), expected);
        let one = key(1);
        let itself = Event { mask: FAN_ATTRIB | FAN_ONDIR, named: Some((&one, b".")), ..Event::default() };
        assert_eq!(
            changes(&itself, &table(true)),
            [Change::TouchedItself { node: 10, how: Touch::Attributes }]
        );
        assert_eq!(changes(&Event { file: Some(&nowhere), ..event }, &table(true)), []);
    }

    #[test]
    fn moves_have_the_ends_that_are_watched() {
        let (one, two, nowhere) = (key(1), key(2), key(9));
        let seen = |old: &[u8], new: &[u8]| {
            let event = Event {
                mask: FAN_RENAME,
                old: Some((old, b"a")),
                new: Some((new, b"b")),
                ..Event::default()
            };
            changes(&event, &table(true))
        };
        let moved = |from, to| Change::Moved { from, to, directory: false };
        assert_eq!(seen(&one, &two), [moved(Some(at(10, "a")), Some(at(20, "b")))]);
        assert_eq!(seen(&one, &nowhere), [moved(Some(at(10, "a")), None)]);
        assert_eq!(seen(&nowhere, &two), [moved(None, Some(at(20, "b")))]);
        assert_eq!(seen(&nowhere, &nowhere), []);
        let apart = Event { mask: FAN_MOVED_TO, named: Some((&two, b"b")), ..Event::default() };
        assert_eq!(changes(&apart, &table(true)), [moved(None, Some(at(20, "b")))]);
    }
}
