use super::*;
use crate::archive::Limits;
use crate::archive::forge::Forge;
use crate::archive::name::RelPath;
use crate::store::LayerInfo;
use sha2::{Digest, Sha256};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data")).unwrap();
    (dir, store)
}

fn manifest(name: &str, rest: &str) -> String {
    format!(r#"{{"acKind":"ImageManifest","acVersion":"0.8.11","name":"{name}"{rest}}}"#)
}

/// Imports an ACI whose rootfs is what `fill` adds below `rootfs/`.
fn aci(store: &Store, name: &str, rest: &str, fill: impl FnOnce(Forge) -> Forge) -> Key {
    let forge = Forge::new().file("manifest", manifest(name, rest).as_bytes()).dir("rootfs");
    store.import(&fill(forge).finish()[..], Limits::default(), false).unwrap().key
}

/// Puts a layer into the store as a fetch does.
fn add_layer(store: &Store, archive: &[u8]) -> LayerInfo {
    let diff_id = hex::encode(Sha256::digest(archive));
    let info = LayerInfo {
        diff_id: diff_id.clone(),
        digest: diff_id.clone(),
        media_type: "application/vnd.oci.image.layer.v1.tar".into(),
        size: archive.len() as u64,
    };
    let path = store.layer_blob(&diff_id);
    store.dirs().make_fan_out(&path).unwrap();
    std::fs::write(path, archive).unwrap();
    info
}

/// An image of these layers, lowest first.
fn layered(store: &Store, name: &str, layers: &[Forge]) -> Key {
    let infos: Vec<_> = layers.iter().map(|l| add_layer(store, &l.clone().finish())).collect();
    let ids: Vec<_> = infos.iter().map(|l| l.diff_id.as_str()).collect();
    let rest = format!(r#","annotations":[{{"name":"layers","value":"{}"}}]"#, ids.join(","));
    let bytes = Forge::new().file("manifest", manifest(name, &rest).as_bytes()).dir("rootfs").finish();
    let staged = store.stage(&bytes[..], Limits::default()).unwrap();
    store.publish(staged, &infos, false).unwrap().key
}

/// The merged tree as lines `path` or `path=content`, without the links every converted image gets.
fn show(tree: &Tree) -> Vec<String> {
    let mut out = Vec::new();
    tree.visit(b"", |path, entry, link, content| -> Result<(), RenderError> {
        let mut text = String::new();
        content.read_to_string(&mut text).unwrap();
        if !path.is_root() && path.strip(b"dev").is_none() {
            let target = link.map(|l| format!("->{l}")).unwrap_or_default();
            let equals = if entry.kind == crate::archive::Kind::File { "=" } else { "" };
            out.push(format!("{path}{equals}{text}{target}"));
        }
        Ok(())
    })
    .unwrap();
    out
}

#[test]
fn an_aci_is_one_directory() {
    let (_dir, store) = open();
    let key = aci(&store, "a", "", |f| f.file("rootfs/f", b"1").hardlink("rootfs/g", "rootfs/f"));
    let tree = store.render(&key).unwrap();
    assert_eq!(tree.lowers().len(), 1);
    assert_eq!(show(&tree), ["f=1", "g->f"]);
    assert_eq!(tree.image().unwrap(), key);
    assert_eq!(std::fs::read(tree.manifest()).unwrap(), manifest("a", "").as_bytes());
    assert_eq!(tree.id(), format!("deps-{}", Key::of(key.as_str().as_bytes())));
    assert!(store.index().image(&key).unwrap().unwrap().tree_size > 0);
    let inode = std::fs::metadata(&tree.lowers()[0]).unwrap().ino();
    assert_eq!(
        std::fs::metadata(&store.render(&key).unwrap().lowers()[0]).unwrap().ino(),
        inode,
        "rendered once"
    );
}

#[test]
fn an_unfinished_tree_is_made_anew() {
    let (_dir, store) = open();
    let key = aci(&store, "a", "", |f| f.file("rootfs/f", b"1"));
    let tree = store.render(&key).unwrap();
    std::fs::remove_file(tree.dir().join(RENDERED)).unwrap();
    std::fs::write(tree.lowers()[0].join("left"), "over").unwrap();
    assert_eq!(show(&store.render(&key).unwrap()), ["f=1"]);
}

#[test]
fn damage_in_the_store_is_noticed() {
    let (_dir, store) = open();
    let key = aci(&store, "a", "", |f| f.file("rootfs/f", b"1"));
    let path = store.dirs().blob(&key);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] = 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(store.render(&key), Err(RenderError::Damaged(_))));
    assert!(store.rendered(&store.tree_id(&key).unwrap()).unwrap().is_none());
}

#[test]
fn dependencies_lie_beneath_and_lists_filter_them() {
    let (_dir, store) = open();
    aci(&store, "base", "", |f| {
        f.file("rootfs/etc/a", b"base").file("rootfs/etc/b", b"base").file("rootfs/x", b"")
    });
    aci(&store, "other", "", |f| f.file("rootfs/etc/b", b"other").file("rootfs/y", b""));
    let both = r#","dependencies":[{"imageName":"base"},{"imageName":"other"}]"#;
    let top = aci(&store, "top", both, |f| f.file("rootfs/z", b"top"));
    let tree = store.render(&top).unwrap();
    assert_eq!(show(&tree), ["etc", "etc/a=base", "etc/b=other", "x=", "y=", "z=top"]);
    let list = format!(r#"{both},"pathWhitelist":["/etc/a","/z","/y"]"#);
    let filtered = aci(&store, "filtered", &list, |f| f.file("rootfs/z", b"top").file("rootfs/gone", b""));
    assert_eq!(show(&store.render(&filtered).unwrap()), ["etc", "etc/a=base", "y=", "z=top"]);
    let outer = r#","dependencies":[{"imageName":"filtered"}],"pathWhitelist":["/etc/a","/x"]"#;
    let outer = aci(&store, "outer", outer, |f| f);
    assert_eq!(show(&store.render(&outer).unwrap()), ["etc", "etc/a=base"], "lists add up");
}

#[test]
fn bad_dependencies_are_refused() {
    let (_dir, store) = open();
    let missing = aci(&store, "m", r#","dependencies":[{"imageName":"none"}]"#, |f| f);
    assert!(matches!(store.render(&missing), Err(RenderError::Dependency { .. })));
    let selfish = aci(&store, "s", r#","dependencies":[{"imageName":"s"}]"#, |f| f);
    assert!(matches!(store.render(&selfish), Err(RenderError::TooDeep(_))));
    aci(&store, "n0", "", |f| f);
    for n in 1..12 {
        let two = format!(r#","dependencies":[{{"imageName":"n{0}"}},{{"imageName":"n{0}"}}]"#, n - 1);
        aci(&store, &format!("n{n}"), &two, |f| f);
    }
    let many = store.find_name(&"n11".parse().unwrap(), &Default::default()).unwrap().unwrap();
    assert!(matches!(store.render(&many), Err(RenderError::TooManyParts(_))));
    let escape = aci(&store, "e", "", |f| f.hardlink("rootfs/x", "manifest"));
    assert!(matches!(store.render(&escape), Err(RenderError::LinkOutside(_))));
}

#[test]
fn layers_merge_with_whiteouts() {
    let (_dir, store) = open();
    let base = Forge::new().file("etc/a", b"1").file("etc/b", b"1").file("opt/x", b"1").file("var/d/f", b"1");
    let top = Forge::new()
        .file("etc/a", b"2")
        .file("etc/.wh.b", b"")
        .file("opt/.wh..wh..opq", b"")
        .file("opt/y", b"2")
        .file("var/d", b"2");
    let key = layered(&store, "a", &[base.clone(), top.clone()]);
    let tree = store.render(&key).unwrap();
    assert_eq!(tree.lowers().len(), 3);
    assert_eq!(show(&tree), ["etc", "etc/a=2", "opt", "opt/y=2", "var", "var/d=2"]);
    let links = std::fs::read_link(tree.lowers()[0].join("dev/stdin")).unwrap();
    assert_eq!(links, Path::new("/proc/self/fd/0"));
    let again = layered(&store, "b", &[base, top, Forge::new().file("etc/b", b"3")]);
    let layer = |tree: &Tree, n: usize| std::fs::metadata(&tree.lowers()[n]).unwrap().ino();
    let other = store.render(&again).unwrap();
    assert_eq!(show(&other), ["etc", "etc/a=2", "etc/b=3", "opt", "opt/y=2", "var", "var/d=2"]);
    assert_eq!((layer(&tree, 1), layer(&tree, 2)), (layer(&other, 2), layer(&other, 3)), "shared");
}

#[test]
fn directories_without_an_entry_look_like_those_below() {
    let (_dir, store) = open();
    let base = Forge::new().raw(b'5', b"tmp", b"", b"", |h| {
        h.set_mode(0o1777);
        h.set_uid(3);
    });
    let key = layered(&store, "a", &[base, Forge::new().file("tmp/new/f", b"1")]);
    let tree = store.render(&key).unwrap();
    let mode = |p: &str| std::fs::metadata(tree.lowers()[0].join(p)).unwrap();
    assert_eq!((mode("tmp").permissions().mode() & 0o7777, mode("tmp").uid()), (0o1777, 3));
    assert!(!tree.lowers()[0].join("tmp/new").exists(), "nothing below to look like");
    assert_eq!(show(&tree), ["tmp", "tmp/new", "tmp/new/f=1"]);
    let gone = layered(
        &store,
        "b",
        &[
            Forge::new().raw(b'5', b"tmp", b"", b"", |h| h.set_mode(0o1777)),
            Forge::new().file("tmp/f", b"1"),
            Forge::new().file(".wh.tmp", b""),
        ],
    );
    assert_eq!(show(&store.render(&gone).unwrap()), [""; 0]);
}

#[test]
fn hard_links_reach_into_lower_layers() {
    let (_dir, store) = open();
    let base = Forge::new().file("bin/a", b"content").file("bin/b", b"other");
    let key = layered(
        &store,
        "a",
        &[base.clone(), Forge::new().hardlink("bin/c", "bin/a").hardlink("bin/b", "bin/a")],
    );
    let tree = store.render(&key).unwrap();
    assert_eq!(show(&tree), ["bin", "bin/a=content", "bin/b=content", "bin/c=content"]);
    let bad = layered(&store, "b", &[base.clone(), Forge::new().hardlink("bin/c", "bin/absent")]);
    assert!(matches!(store.render(&bad), Err(RenderError::Extract(ExtractError::LinkTarget { .. }))));
    let hidden = layered(
        &store,
        "c",
        &[base, Forge::new().hardlink("bin/c", "bin/a"), Forge::new().file("bin/.wh.c", b"")],
    );
    assert_eq!(show(&store.render(&hidden).unwrap()), ["bin", "bin/a=content", "bin/b=other"]);
}

#[test]
fn links_of_one_layer_do_not_lead_out_of_another() {
    let (outer, store) = open();
    std::fs::write(outer.path().join("secret"), "s").unwrap();
    let base = Forge::new().symlink("l", outer.path().to_str().unwrap());
    let key = layered(&store, "a", &[base, Forge::new().hardlink("x", "l/secret")]);
    assert!(matches!(store.render(&key), Err(RenderError::Extract(ExtractError::LinkTarget { .. }))));
}

#[test]
fn a_layer_that_lies_is_refused() {
    let (_dir, store) = open();
    let info = add_layer(&store, &Forge::new().file("a", b"1").finish());
    let lock = layer::LayerLock::new(&store, &info.diff_id).unwrap();
    let other = Forge::new().file("a", b"2").finish();
    let result = lock.unpack(&store, &other[..], Limits::default());
    assert!(matches!(result, Err(RenderError::DiffId { .. })));
    assert!(!lock.is_rendered());
}

#[test]
fn copies_and_sums_agree() {
    let (dir, store) = open();
    let layer = Forge::new()
        .dir("d")
        .pax(&[("SCHILY.xattr.user.k", b"v")])
        .file("d/f", b"1")
        .hardlink("d/g", "d/f")
        .symlink("l", "d")
        .raw(b'6', b"p", b"", b"", |_| {});
    let key = layered(&store, "a", &[Forge::new().file("d/old", b""), layer]);
    let tree = store.render(&key).unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    for to in [&one, &two] {
        std::fs::create_dir(to).unwrap();
        tree.copy_to(to).unwrap();
    }
    let sum = hash::sum(&one).unwrap();
    assert_eq!(sum, hash::sum(&two).unwrap());
    assert_eq!(std::fs::metadata(one.join("d/f")).unwrap().nlink(), 2);
    std::fs::write(two.join("d/f"), "2").unwrap();
    assert_ne!(sum.digest, hash::sum(&two).unwrap().digest);
}

#[test]
fn many_may_render_at_once() {
    let (dir, store) = open();
    let key = layered(&store, "a", &[Forge::new().file("a", b"1"), Forge::new().file("b", b"1")]);
    let swapped = layered(&store, "b", &[Forge::new().file("b", b"1"), Forge::new().file("a", b"1")]);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (dir, key) = (dir.path().join("data"), if n % 2 == 0 { &key } else { &swapped });
            scope.spawn(move || {
                let tree = Store::open(&dir).unwrap().render(key).unwrap();
                assert_eq!(show(&tree), ["a=1", "b=1"]);
            });
        }
    });
}

/// Nearly as deep as a name may be. Looking each directory up from the root took minutes.
#[test]
fn depth_is_no_burden() {
    let (_dir, store) = open();
    let nested =
        |name: &str| Forge::new().pax(&[("path", format!("{name}/{}f", "a/".repeat(2000)).as_bytes())]);
    let layer = |text: &[u8]| nested("x").file("f", text).pax(&[("path", b"x/a-b")]).file("f", b"");
    let key = layered(&store, "a", &[layer(b"1"), layer(b"2")]);
    // Of the CPU: how long it takes by the clock depends on what else the machine does.
    let used = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).tv_sec;
    let before = used();
    let tree = store.render(&key).unwrap();
    assert!(used() - before < 15, "{} s", used() - before);
    let (stack, path) = (tree.stack().unwrap(), format!("x/{}f", "a/".repeat(2000)));
    let found = stack.find(&RelPath::parse(path.as_bytes()).unwrap()).unwrap().unwrap();
    assert_eq!(std::io::read_to_string(found.open().unwrap()).unwrap(), "2");
}
