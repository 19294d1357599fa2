use std::os::unix::fs::MetadataExt;

use super::*;

fn pod() -> (tempfile::TempDir, PodDirectory) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("stage1/rootfs/rkt")).unwrap();
    fs::create_dir_all(root.path().join("stage1/rootfs/etc")).unwrap();
    let directory = PodDirectory::at(root.path());
    (root, directory)
}

#[test]
fn the_pid_comes_back() {
    let (root, directory) = pod();
    assert_eq!(directory.pid().unwrap(), None);
    directory.write_pid(4711).unwrap();
    assert_eq!(fs::read_to_string(root.path().join("pid")).unwrap(), "4711\n");
    assert_eq!(directory.pid().unwrap(), Some(4711));
    for nonsense in ["", "x\n", "-1\n", "0\n", "99999999999\n"] {
        fs::write(root.path().join("pid"), nonsense).unwrap();
        assert!(directory.pid().is_err(), "{nonsense:?}");
    }
}

#[test]
fn statuses_and_readiness_are_left_behind() {
    let (root, directory) = pod();
    directory.write_status("web", 137).unwrap();
    directory.write_status("web", 42).unwrap();
    let rkt = root.path().join("stage1/rootfs/rkt");
    assert_eq!(fs::read_to_string(rkt.join("status/web")).unwrap(), "42\n");
    assert_eq!(fs::read_dir(rkt.join("status")).unwrap().count(), 1);
    directory.mark_ready().unwrap();
    directory.mark_ready().unwrap();
    assert_eq!(fs::read_link(rkt.join("supervisor-status")).unwrap(), Path::new("ready"));
}

#[test]
fn replacing_is_not_rewriting() {
    let (root, directory) = pod();
    directory.write_pid(1).unwrap();
    let before = fs::metadata(root.path().join("pid")).unwrap().ino();
    let mut reader = File::open(root.path().join("pid")).unwrap();
    directory.write_pid(22222).unwrap();
    assert_ne!(fs::metadata(root.path().join("pid")).unwrap().ino(), before);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "1\n");
}

#[test]
fn name_files_come_from_where_they_should() {
    let (root, directory) = pod();
    let host = root.path().join("host-resolv.conf");
    fs::write(&host, "host").unwrap();
    fs::write(root.path().join("stage1/rootfs/etc/rkt-resolv.conf"), "stage0").unwrap();
    let file = |source| directory.name_file(source, &host, "rkt-resolv.conf").unwrap();
    assert_eq!(file(FileSource::Default), None);
    assert_eq!(file(FileSource::None), None);
    assert_eq!(file(FileSource::Host).as_deref(), Some("host"));
    assert_eq!(file(FileSource::Stage0).as_deref(), Some("stage0"));
    fs::write(&host, vec![b'#'; MAX_NAME_FILE as usize + 1]).unwrap();
    let error = directory.name_file(FileSource::Host, &host, "").unwrap_err();
    assert!(matches!(error, DirectoryError::TooLarge { .. }));
}

#[test]
fn a_missing_manifest_is_named() {
    let (root, directory) = pod();
    assert!(directory.manifest().unwrap_err().to_string().ends_with("/pod"));
    fs::write(root.path().join("pod"), "{").unwrap();
    assert!(matches!(directory.manifest(), Err(DirectoryError::Manifest(_))));
}
