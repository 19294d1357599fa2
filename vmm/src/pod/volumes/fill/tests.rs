use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    process::Command,
};

use super::*;

#[test]
fn everything_comes_along_with_its_attributes() {
    let image = tempfile::tempdir().unwrap();
    let volume = tempfile::tempdir().unwrap();
    let data = image.path().join("var/lib/data");
    fs::create_dir_all(data.join("deep/er")).unwrap();
    fs::write(data.join("deep/er/file"), "content").unwrap();
    fs::set_permissions(data.join("deep/er/file"), fs::Permissions::from_mode(0o4751)).unwrap();
    symlink("/etc/passwd", data.join("link")).unwrap();
    assert!(Command::new("mkfifo").arg(data.join("fifo")).status().unwrap().success());
    for path in [data.clone(), data.join("deep/er/file"), data.join("fifo")] {
        std::os::unix::fs::lchown(path, Some(70), Some(71)).unwrap();
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(data.join("deep/er/file"), fs::Permissions::from_mode(0o4751)).unwrap();

    fill(volume.path(), image.path(), "/var/lib/data").unwrap();

    let owner = |path: &Path| {
        let metadata = path.symlink_metadata().unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };
    assert_eq!(owner(volume.path()), (70, 71, 0o700));
    let copy = volume.path().join("deep/er/file");
    assert_eq!(owner(&copy), (70, 71, 0o4751));
    assert_eq!(fs::read_to_string(&copy).unwrap(), "content");
    let modified = |path: &Path| path.metadata().unwrap().modified().unwrap();
    assert_eq!(modified(&copy), modified(&data.join("deep/er/file")));
    assert_eq!(fs::read_link(volume.path().join("link")).unwrap(), Path::new("/etc/passwd"));
    let fifo = volume.path().join("fifo");
    assert!(fifo.symlink_metadata().unwrap().file_type().is_fifo());
    assert_eq!(owner(&fifo).0, 70);
}

#[test]
fn a_file_with_several_names_stays_one_file() {
    let image = tempfile::tempdir().unwrap();
    let volume = tempfile::tempdir().unwrap();
    let data = image.path().join("data");
    fs::create_dir_all(data.join("deep")).unwrap();
    for name in ["file", "other"] {
        fs::write(data.join(name), name).unwrap();
        fs::hard_link(data.join(name), data.join("deep").join(name)).unwrap();
        fs::hard_link(data.join(name), data.join(format!("{name}-3"))).unwrap();
    }
    symlink("file", data.join("link")).unwrap();
    fs::hard_link(data.join("link"), data.join("deep/link")).unwrap();
    // This one's other name does not come along.
    fs::write(data.join("half"), "half").unwrap();
    fs::hard_link(data.join("half"), image.path().join("half")).unwrap();

    fill(volume.path(), image.path(), "/data").unwrap();

    let of = |name: &str| {
        let metadata = volume.path().join(name).symlink_metadata().unwrap();
        (metadata.ino(), metadata.nlink())
    };
    for [one, two, three] in [["file", "deep/file", "file-3"], ["other", "deep/other", "other-3"]] {
        assert_eq!((of(one), of(two).0, of(three).0), ((of(one).0, 3), of(one).0, of(one).0), "{one}");
        assert_eq!(fs::read_to_string(volume.path().join(two)).unwrap(), one);
    }
    assert_eq!(of("link"), of("deep/link"));
    assert_eq!(of("half").1, 1);
}

#[test]
fn links_of_the_image_lead_nowhere_else() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "").unwrap();
    let image = outside.path().join("rootfs");
    fs::create_dir_all(image.join("real")).unwrap();
    fs::write(image.join("real/file"), "").unwrap();
    symlink("../../../real", image.join("relative")).unwrap();
    symlink(outside.path(), image.join("absolute")).unwrap();
    for (path, expected) in
        [("/relative", vec!["file"]), ("/absolute", vec![]), ("/../../..", vec!["absolute", "real"])]
    {
        let volume = tempfile::tempdir().unwrap();
        fill(volume.path(), &image, path).unwrap();
        let names = fs::read_dir(volume.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name != "relative");
        names.sort();
        assert_eq!(names, expected, "{path}");
    }
}

#[test]
fn depth_has_an_end() {
    let image = tempfile::tempdir().unwrap();
    let mut path = image.path().join("data");
    for _ in 0..MAX_DEPTH + 2 {
        path.push("d");
    }
    fs::create_dir_all(&path).unwrap();
    let volume = tempfile::tempdir().unwrap();
    let error = fill(volume.path(), image.path(), "/data").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENAMETOOLONG));
}
