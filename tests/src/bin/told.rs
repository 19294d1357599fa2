//! An app that says what inotify(7) tells of files: `told [-r] PATH...` prints `ready`, then a line for each event, as
//! `PATH NAME FLAG,FLAG…`; the two lines of a move end in the same number. With `-r` it watches new directories, too.

use std::collections::HashMap;
use std::env;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};

const FLAGS: [(ReadFlags, &str); 11] = [
    (ReadFlags::CREATE, "CREATE"),
    (ReadFlags::DELETE, "DELETE"),
    (ReadFlags::MODIFY, "MODIFY"),
    (ReadFlags::ATTRIB, "ATTRIB"),
    (ReadFlags::CLOSE_WRITE, "CLOSE_WRITE"),
    (ReadFlags::MOVED_FROM, "MOVED_FROM"),
    (ReadFlags::MOVED_TO, "MOVED_TO"),
    (ReadFlags::DELETE_SELF, "DELETE_SELF"),
    (ReadFlags::MOVE_SELF, "MOVE_SELF"),
    (ReadFlags::IGNORED, "IGNORED"),
    (ReadFlags::ISDIR, "ISDIR"),
];

struct Watcher {
    inotify: OwnedFd,
    paths: HashMap<i32, String>,
}

impl Watcher {
    fn add(&mut self, path: String) {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        match add_watch(&self.inotify, path.as_str(), flags) {
            Ok(watch) => drop(self.paths.insert(watch, path)),
            Err(error) => println!("{path}: {error}"),
        }
    }
}

fn main() {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let recursive = arguments.first().is_some_and(|first| first == "-r");
    if recursive {
        arguments.remove(0);
    }
    let inotify = init(CreateFlags::CLOEXEC).expect("an inotify descriptor");
    let reading = inotify.try_clone().expect("another one");
    let mut watcher = Watcher { inotify, paths: HashMap::new() };
    arguments.into_iter().for_each(|path| watcher.add(path));
    println!("ready");
    let mut buffer = [MaybeUninit::uninit(); 16 << 10];
    let mut events = Reader::new(reading, &mut buffer);
    let mut moves = HashMap::new();
    loop {
        let event = events.next().expect("an event");
        let (mask, cookie) = (event.events(), event.cookie());
        let name = event.file_name().map_or(".".into(), |name| name.to_string_lossy().into_owned());
        let path = watcher.paths.get(&event.wd()).cloned().unwrap_or_default();
        let flags: Vec<&str> =
            FLAGS.iter().filter(|(flag, _)| mask.contains(*flag)).map(|(_, name)| *name).collect();
        let number = moves.len() + 1;
        let end = match cookie {
            0 => String::new(),
            _ => format!(" {}", moves.entry(cookie).or_insert(number)),
        };
        println!("{path} {name} {}{end}", flags.join(","));
        if recursive
            && mask.contains(ReadFlags::ISDIR)
            && mask.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO)
        {
            watcher.add(format!("{path}/{name}"));
            println!("watching {path}/{name}");
        }
    }
}
