use super::*;
use crate::archive::forge::Forge;
use crate::archive::tar::TarReader;
use proptest::prelude::*;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

fn run(bytes: &[u8], dir: &Path, limits: Limits, whiteouts: Whiteouts) -> Result<Extracted, ExtractError> {
    let mut extractor = Extractor::new(Beneath::open(dir).unwrap(), limits, whiteouts);
    let mut reader = TarReader::new(bytes, limits.entries);
    while let Some(entry) = reader.next_entry()? {
        let path = RelPath::parse(&entry.name)?;
        let link = match entry.kind {
            Kind::Hardlink => Some(RelPath::parse(&entry.link)?),
            _ => None,
        };
        extractor.write(&path, &entry, link.as_ref(), &mut reader)?;
    }
    extractor.finish()
}

fn extract(forge: Forge) -> (tempfile::TempDir, Result<Extracted, ExtractError>) {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(outer.path().join("outside"), "untouched").unwrap();
    let result = run(&forge.finish(), &root, Limits::default(), Whiteouts::AsFiles);
    assert_eq!(std::fs::read_to_string(outer.path().join("outside")).unwrap(), "untouched");
    assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 2, "something was written outside");
    (outer, result)
}

#[test]
fn attributes_are_kept() {
    let forge = Forge::new()
        .raw(b'5', b"d", b"", b"", |h| {
            h.set_mode(0o1750);
            h.set_mtime(5);
        })
        .pax(&[("SCHILY.xattr.user.a", b"1"), ("SCHILY.xattr.trusted.b", b"2"), ("mtime", b"7.25")])
        .raw(b'0', b"d/f", b"", b"abc", |h| {
            h.set_mode(0o4755);
            h.set_uid(1000);
            h.set_gid(2000);
        })
        .hardlink("d/g", "d/f")
        .symlink("d/s", "nowhere")
        .raw(b'6', b"d/p", b"", b"", |h| h.set_mode(0o620));
    let (dir, result) = extract(forge);
    result.unwrap();
    let root = dir.path().join("root");
    let d = std::fs::metadata(root.join("d")).unwrap();
    assert_eq!((d.mode() & 0o7777, d.mtime()), (0o1750, 5));
    let f = std::fs::metadata(root.join("d/f")).unwrap();
    assert_eq!((f.mode() & 0o7777, f.mtime(), f.mtime_nsec(), f.nlink()), (0o4755, 7, 250_000_000, 2));
    if rustix::process::geteuid().is_root() {
        assert_eq!((f.uid(), f.gid()), (1000, 2000));
    }
    assert_eq!(std::fs::metadata(root.join("d/g")).unwrap().ino(), f.ino());
    assert_eq!(std::fs::read_link(root.join("d/s")).unwrap(), Path::new("nowhere"));
    assert_eq!(std::fs::metadata(root.join("d/p")).unwrap().mode() & 0o7777, 0o620);
    let file = File::open(root.join("d/f")).unwrap();
    assert!(fs::fgetxattr(&file, "trusted.b", &mut [0u8; 8][..]).is_err(), "only user.* and capabilities");
}

#[test]
fn sparse_files_have_holes() {
    let forge = Forge::new()
        .pax(&[("GNU.sparse.size", b"1000000"), ("GNU.sparse.map", b"500000,3,1000000,0")])
        .file("s", b"abc");
    let (dir, result) = extract(forge);
    result.unwrap();
    let path = dir.path().join("root/s");
    let data = std::fs::read(&path).unwrap();
    assert_eq!((data.len(), &data[500_000..500_003], data[499_999]), (1_000_000, &b"abc"[..], 0));
    assert!(std::fs::metadata(path).unwrap().blocks() < 100);
}

#[test]
fn escapes_through_links_are_refused() {
    for target in ["..", "../..", "a/../../..", "../outside/.."] {
        let (_dir, result) = extract(Forge::new().symlink("x", target).file("x/evil", b"!"));
        assert!(matches!(result, Err(ExtractError::Path(BeneathError::Escape(_)))), "{target}: {result:?}");
    }
    let (dir, result) = extract(Forge::new().symlink("x", "/etc").file("x/evil", b"!"));
    result.unwrap();
    assert!(dir.path().join("root/etc/evil").exists(), "absolute links mean the image's root");
    let chain = Forge::new().dir("a").symlink("a/b", "..").symlink("a/b/c", "..").file("c/evil", b"!");
    assert!(matches!(extract(chain).1, Err(ExtractError::Path(BeneathError::Escape(_)))));
}

#[test]
fn links_are_replaced_not_followed() {
    let (dir, result) = extract(Forge::new().symlink("x", "../outside").file("x", b"mine"));
    result.unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("root/x")).unwrap(), "mine");
    let (_dir, result) = extract(Forge::new().symlink("x", "..").dir("x").file("x/f", b""));
    result.unwrap();
}

#[test]
fn hard_links_stay_inside() {
    let outer = tempfile::tempdir().unwrap();
    symlink(outer.path(), outer.path().join("l")).unwrap();
    for target in ["absent", "d", ""] {
        let (_dir, result) = extract(Forge::new().dir("d").hardlink("x", target));
        assert!(matches!(result, Err(ExtractError::LinkTarget { .. })), "{target}: {result:?}");
    }
    let (_dir, result) = extract(Forge::new().symlink("s", "..").hardlink("x", "s/outside"));
    assert!(matches!(result, Err(ExtractError::Path(BeneathError::Escape(_)))), "{result:?}");
    let (dir, result) = extract(Forge::new().symlink("s", "../outside").hardlink("x", "s").file("x", b"new"));
    result.unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("root/x")).unwrap(), "new");
    let (_dir, result) = extract(Forge::new().file("a", b"1").hardlink("a", "a"));
    result.unwrap();
}

#[test]
fn later_entries_replace_earlier_ones() {
    let forge = Forge::new()
        .dir("d")
        .file("d/sub/f", b"1")
        .file("d", b"now a file")
        .file("d2/f", b"1")
        .file("d2/f", b"2")
        .symlink("l", "d2")
        .dir("l")
        .file("l/f", b"3");
    let (dir, result) = extract(forge);
    let done = result.unwrap();
    let read = |p: &str| std::fs::read_to_string(dir.path().join("root").join(p)).unwrap();
    assert_eq!((read("d"), read("d2/f"), read("l/f")), ("now a file".into(), "2".into(), "3".into()));
    assert_eq!(done.implied.into_iter().map(|p| p.to_string()).collect::<Vec<_>>(), ["d2"]);
}

#[test]
fn long_names_and_odd_bytes() {
    let long = ["n".repeat(250), "m".repeat(250)].join("/");
    let deep = vec!["d"; 2000].join("/");
    let (dir, result) =
        extract(Forge::new().file(&long, b"x").dir(&deep).raw(b'0', b"\xff\xfe", b"", b"y", |_| {}));
    result.unwrap();
    assert!(dir.path().join("root").join(long).exists());
    assert!(dir.path().join("root").join(OsStr::from_bytes(b"\xff\xfe")).exists());
    super::super::beneath::remove_tree(dir.path(), OsStr::new("root")).unwrap();
    assert!(extract(Forge::new().file(&"n".repeat(300), b"")).1.is_err());
    assert!(extract(Forge::new().file(&vec!["d"; 3000].join("/"), b"")).1.is_err());
}

#[test]
fn bounds_hold() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { bytes: 100, entries: 10 };
    let run = |forge: Forge| run(&forge.finish(), dir.path(), limits, Whiteouts::AsFiles);
    assert!(matches!(
        run(Forge::new().file("a", &[0; 60]).file("b", &[0; 60])),
        Err(ExtractError::TooBig(100))
    ));
    let hole = Forge::new().pax(&[("GNU.sparse.size", b"1000"), ("GNU.sparse.map", b"0,1")]).file("s", b"x");
    assert!(matches!(run(hole), Err(ExtractError::TooBig(100))));
    let many = (0..11).fold(Forge::new(), |f, i| f.file(&format!("f{i}"), b""));
    assert!(matches!(run(many), Err(ExtractError::Tar(TarError::TooManyEntries(10)))));
    assert!(matches!(run(Forge::new().file("", b"")), Err(ExtractError::Root)));
    let nobody = Forge::new().raw(b'0', b"f", b"", b"", |h| h.set_uid(u32::MAX.into()));
    assert!(matches!(run(nobody), Err(ExtractError::Owner(_))));
}

/// Whiteout devices need root, which these tests have wherever pods can run.
#[test]
fn whiteouts_become_overlayfs_ones() {
    let dir = tempfile::tempdir().unwrap();
    let forge = Forge::new()
        .file("a/.wh.gone", b"")
        .file("b/.wh..wh..opq", b"")
        .file("b/own", b"")
        .file(".wh.dir", b"")
        .file("dir/f", b"")
        .dir("late")
        .file(".wh.late", b"")
        .file(".wh..wh.plnk", b"")
        .hardlink("link", "below/target");
    let done = run(&forge.finish(), dir.path(), Limits::default(), Whiteouts::Overlay).unwrap();
    let root = Beneath::open(dir.path()).unwrap();
    let at = |p: &str| RelPath::parse(p.as_bytes()).unwrap();
    assert!(is_whiteout(&root.stat(&at("a/gone")).unwrap().unwrap()));
    for opaque in ["b", "late", "dir"] {
        let mut value = [0u8; 4];
        let fd = root.read_dir(&at(opaque)).unwrap();
        assert_eq!(fs::fgetxattr(fd, OPAQUE_XATTR, &mut value[..]), Ok(1), "{opaque}");
    }
    assert!(root.stat(&at("b/own")).unwrap().is_some());
    assert!(root.stat(&at(".wh..wh.plnk")).unwrap().is_none());
    assert_eq!(done.foreign_links, [(at("link"), at("below/target"))]);
    for bad in [".wh.", ".wh..", ".wh..."] {
        let forge = Forge::new().file(bad, b"");
        let result = run(&forge.finish(), dir.path(), Limits::default(), Whiteouts::Overlay);
        assert!(matches!(result, Err(ExtractError::Whiteout(_))), "{bad}");
    }
}

#[derive(Debug, Clone)]
enum Op {
    File(String),
    Dir(String),
    Symlink(String, String),
    Hardlink(String, String),
}

fn op() -> impl Strategy<Value = Op> {
    let name = "[ab]{1}(/[ab]){0,3}";
    let target = prop_oneof![name.prop_map(String::from), "(/|\\.\\./|[ab]/|\\./){0,4}[ab]?"];
    prop_oneof![
        name.prop_map(Op::File),
        name.prop_map(Op::Dir),
        (name, target).prop_map(|(n, t)| Op::Symlink(n, t)),
        (name, name).prop_map(|(n, t)| Op::Hardlink(n, t)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Whatever order and targets: nothing outside of the root changes, and the result can be removed.
    #[test]
    fn nothing_escapes(ops in proptest::collection::vec(op(), 1..25), overlay: bool) {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("a/root");
        for dir in ["a/root", "a/a", "a/b", "b"] {
            std::fs::create_dir_all(outer.path().join(dir)).unwrap();
        }
        let forge = ops.iter().fold(Forge::new(), |f, op| match op {
            Op::File(n) => f.file(n, b"data"),
            Op::Dir(n) => f.dir(n),
            Op::Symlink(n, t) => f.symlink(n, t),
            Op::Hardlink(n, t) => f.hardlink(n, t),
        });
        let mode = if overlay { Whiteouts::Overlay } else { Whiteouts::AsFiles };
        let _ = run(&forge.finish(), &root, Limits::default(), mode);
        super::super::beneath::remove_tree(&outer.path().join("a"), OsStr::new("root")).unwrap();
        let mut left: Vec<_> = ["", "a", "a/a", "a/b", "b"].iter()
            .flat_map(|d| std::fs::read_dir(outer.path().join(d)).unwrap())
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        prop_assert_eq!(left, ["a", "a", "b", "b"]);
    }
}
