use super::*;
use crate::archive::Limits;
use crate::archive::forge::Forge;
use appc::{Label, Labels};

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data")).unwrap();
    (dir, store)
}

fn manifest(name: &str, version: &str) -> String {
    format!(
        r#"{{"acKind":"ImageManifest","acVersion":"0.8.11","name":"{name}",
            "labels":[{{"name":"version","value":"{version}"}}]}}"#
    )
}

fn aci(name: &str, version: &str) -> Vec<u8> {
    Forge::new().file("manifest", manifest(name, version).as_bytes()).dir("rootfs").finish()
}

/// Files anywhere in the store except the index.
fn files(dir: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            count += if entry.file_name() == "db" { 0 } else { files(&entry.path()) };
        } else if entry.file_name() != "prepareLock" {
            count += 1;
        }
    }
    count
}

#[test]
fn import_finds_removes() {
    let (_dir, store) = open();
    let bytes = aci("example.com/a", "1");
    let zipped = zstd::stream::encode_all(&bytes[..], 1).unwrap();
    let imported = store.import(&zipped[..], Limits::default(), false).unwrap();
    assert_eq!(imported.key, Key::of(&bytes));
    assert_eq!(std::fs::read(store.dirs().blob(&imported.key)).unwrap(), bytes);
    assert_eq!(store.manifest(&imported.key).unwrap(), imported.manifest);
    let prefix = |n| imported.key.short(n).parse().unwrap();
    assert_eq!(store.find_key(&prefix(2)).unwrap(), imported.key);
    assert!(matches!(store.find_key(&prefix(1)), Err(LookupError::TooShort)));
    assert!(matches!(store.find_key(&"sha512-0000".parse().unwrap()), Err(LookupError::NotFound)));
    let full = format!("{}{}", imported.key, "0".repeat(64)).parse().unwrap();
    assert_eq!(store.find_key(&full).unwrap(), imported.key);
    assert!(store.remove(&imported.key).unwrap());
    assert!(!store.remove(&imported.key).unwrap());
    assert!(matches!(store.manifest(&imported.key), Err(StoreError::Missing(_))));
    assert_eq!(files(store.dirs().data()), 0);
}

#[test]
fn names_prefer_the_latest_then_the_newest() {
    let (_dir, store) = open();
    let import = |v, latest| store.import(&aci("a", v)[..], Limits::default(), latest).unwrap().key;
    let (one, two, three) = (import("1", false), import("2", true), import("3", false));
    let name = "a".parse().unwrap();
    let labels =
        |v: &str| Labels::from_iter([Label { name: "version".parse().unwrap(), value: v.to_owned() }]);
    assert_eq!(store.find_name(&name, &Labels::default()).unwrap(), Some(two.clone()));
    assert_eq!(store.find_name(&name, &labels("1")).unwrap(), Some(one));
    assert_eq!(store.find_name(&name, &labels("4")).unwrap(), None);
    store.remove(&two).unwrap();
    assert_eq!(store.find_name(&name, &Labels::default()).unwrap(), Some(three));
    assert_eq!(store.find_name(&"b".parse().unwrap(), &Labels::default()).unwrap(), None);
}

#[test]
fn nothing_bad_gets_in() {
    let (_dir, store) = open();
    let good = manifest("a", "1");
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let whole = aci("a", "1");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("noise", b"this is not a tar archive".repeat(50)),
        ("truncated", whole[..whole.len() - 1024].to_vec()),
        ("no manifest", Forge::new().dir("rootfs").finish()),
        ("no rootfs", Forge::new().file("manifest", good.as_bytes()).finish()),
        (
            "two",
            Forge::new().file("manifest", good.as_bytes()).file("./manifest", b"").dir("rootfs").finish(),
        ),
        ("link", Forge::new().symlink("manifest", "/etc/passwd").dir("rootfs").finish()),
        ("other", Forge::new().file("manifest", good.as_bytes()).dir("rootfs").file("x", b"").finish()),
        ("absolute", Forge::new().file("manifest", good.as_bytes()).file("/rootfs/x", b"").finish()),
        ("climbing", Forge::new().file("manifest", good.as_bytes()).file("rootfs/../../x", b"").finish()),
        ("utf-8", Forge::new().file("manifest", b"{\"acKind\":\"\xff\"}").dir("rootfs").finish()),
        ("deep", Forge::new().file("manifest", deep.as_bytes()).dir("rootfs").finish()),
        ("huge", Forge::new().file("manifest", &vec![b' '; 5 << 20]).dir("rootfs").finish()),
        ("kind", Forge::new().file("manifest", b"{}").dir("rootfs").finish()),
    ];
    for (what, bytes) in cases {
        let error = store.import(&bytes[..], Limits::default(), false).unwrap_err();
        assert!(!error.to_string().is_empty(), "{what}");
        assert_eq!(files(store.dirs().data()), 0, "{what}");
    }
    assert!(store.index().images().unwrap().is_empty());
}

#[test]
fn bombs_are_bounded() {
    let (_dir, store) = open();
    let zeros = Forge::new()
        .file("manifest", manifest("a", "1").as_bytes())
        .dir("rootfs")
        .file("rootfs/zero", &vec![0; 8 << 20])
        .finish();
    let bomb = zstd::stream::encode_all(&zeros[..], 1).unwrap();
    assert!(bomb.len() < 20_000);
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    assert!(matches!(store.import(&bomb[..], limits, false), Err(ImportError::TooBig(_))));
    // Zeros after the end marker count as well.
    let mut tail = aci("a", "1");
    tail.resize(2 << 20, 0);
    assert!(matches!(store.import(&tail[..], limits, false), Err(ImportError::TooBig(_))));
    assert_eq!(files(store.dirs().data()), 0);
}
