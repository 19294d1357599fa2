use super::*;

fn info(n: u8, name: &str, latest: bool) -> ImageInfo {
    ImageInfo {
        key: Key::of(&[n]),
        name: name.into(),
        version: Some(n.to_string()),
        import_time: n.into(),
        last_used: n.into(),
        latest,
        size: 10,
        tree_size: 0,
    }
}

fn layer(n: &str) -> LayerInfo {
    LayerInfo { diff_id: n.into(), digest: format!("c{n}"), media_type: "m".into(), size: 5 }
}

fn open() -> (tempfile::TempDir, Index) {
    let dir = tempfile::tempdir().unwrap();
    let dirs = Dirs::new(&dir.path().join("data"));
    dirs.make().unwrap();
    let index = Index::open(&dirs, false).unwrap();
    (dir, index)
}

#[test]
fn one_image_of_a_name_is_the_latest() {
    let (_dir, mut index) = open();
    index.add_image(&info(1, "a", true), &[]).unwrap();
    index.add_image(&info(2, "a", true), &[]).unwrap();
    index.add_image(&info(3, "a", false), &[]).unwrap();
    let order: Vec<_> =
        index.images_named("a").unwrap().into_iter().map(|i| (i.import_time, i.latest)).collect();
    assert_eq!(order, [(2, true), (3, false), (1, false)]);
    index.add_image(&ImageInfo { import_time: 99, ..info(1, "a", false) }, &[]).unwrap();
    assert_eq!(index.image(&Key::of(&[1])).unwrap().unwrap().import_time, 1);
}

#[test]
fn layers_go_with_their_last_image() {
    let (_dir, mut index) = open();
    index.add_image(&info(1, "a", false), &[layer("x"), layer("y")]).unwrap();
    index.add_image(&info(2, "b", false), &[layer("y"), layer("y")]).unwrap();
    assert_eq!(index.layers(&Key::of(&[2])).unwrap(), [layer("y"), layer("y")]);
    assert!(index.remove_image(&Key::of(&[1])).unwrap());
    assert!(!index.remove_image(&Key::of(&[1])).unwrap());
    assert_eq!(index.remove_unused_layers().unwrap(), [layer("x")]);
    assert_eq!(index.all_layers().unwrap(), [layer("y")]);
}

#[test]
fn prefixes_and_remotes() {
    let (_dir, mut index) = open();
    let image = info(1, "a", false);
    index.add_image(&image, &[]).unwrap();
    assert_eq!(index.images_starting_with(image.key.short(4)).unwrap().len(), 1);
    assert!(index.images_starting_with("sha512-zz").unwrap().is_empty());
    let remote = Remote {
        url: "u".into(),
        signature_url: String::new(),
        etag: "e".into(),
        max_age: 7,
        download_time: 9,
        key: image.key.clone(),
    };
    index.set_remote(&remote).unwrap();
    assert_eq!(index.remote("u").unwrap().as_ref(), Some(&remote));
    index.remove_image(&image.key).unwrap();
    assert_eq!(index.remote("u").unwrap(), None);
    // Another process may remove an image while it is fetched.
    let gone = index.set_remote(&remote);
    assert!(matches!(&gone, Err(StoreError::Missing(key)) if *key == image.key), "{gone:?}");
}

#[test]
fn many_processes_may_make_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let dirs = Dirs::new(dir.path());
    dirs.make().unwrap();
    std::thread::scope(|scope| {
        for n in 0..16u8 {
            let dirs = &dirs;
            scope.spawn(move || {
                let mut index = Index::open(dirs, false).unwrap();
                index.add_image(&info(n, "a", n % 2 == 0), &[layer("x")]).unwrap();
            });
        }
    });
    assert_eq!(Index::open(&dirs, false).unwrap().images().unwrap().len(), 16);
}

#[test]
fn a_newer_schema_is_refused() {
    let (dir, index) = open();
    index.db.pragma_update(None, "user_version", 99).unwrap();
    let again = Index::open(&Dirs::new(&dir.path().join("data")), false);
    assert!(matches!(again, Err(StoreError::Schema { found: 99, .. })));
}
