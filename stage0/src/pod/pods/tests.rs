use super::*;

fn pods() -> (tempfile::TempDir, Pods) {
    let dir = tempfile::tempdir().unwrap();
    let pods = Pods::new(dir.path());
    (dir, pods)
}

#[test]
fn a_pod_walks_through_its_states() {
    let (_dir, pods) = pods();
    let mut pod = pods.create().unwrap();
    let uuid = pod.uuid();
    let state = || pods.open(uuid).unwrap().state();
    assert_eq!(state(), State::Preparing);
    for (place, locked) in [
        (Place::Prepared, State::Prepared),
        (Place::Run, State::Running),
        (Place::ExitedGarbage, State::ExitedDeleting),
    ] {
        pod.move_to(place).unwrap();
        assert_eq!(state(), locked);
    }
    drop(pod);
    assert_eq!(state(), State::ExitedGarbage);
    assert!(pods.open(uuid).unwrap().created().is_some());
}

#[test]
fn nobody_takes_a_locked_or_moved_pod() {
    let (_dir, pods) = pods();
    let mut owner = pods.create().unwrap();
    let uuid = owner.uuid();
    assert!(pods.open(uuid).unwrap().try_lock().unwrap().is_none());
    assert!(matches!(pods.open(uuid).unwrap().lock(), Err(PodError::Busy { .. })));
    let seen_before = pods.open(uuid).unwrap();
    owner.move_to(Place::Prepared).unwrap();
    drop(owner);
    assert!(seen_before.try_lock().unwrap().is_none());
    let mut fresh = pods.open(uuid).unwrap();
    fresh.refresh().unwrap();
    assert_eq!(fresh.lock().unwrap().place(), Place::Prepared);
}

#[test]
fn prefixes_in_any_case_find_the_only_pod() {
    let (_dir, pods) = pods();
    assert!(matches!(pods.find("a"), Err(PodError::NoMatch(_))));
    assert!(matches!(pods.find(" \n"), Err(PodError::EmptyUuid)));
    pods.ensure().unwrap();
    for (place, uuid) in [
        (Place::Run, "aaaa0000-0000-4000-8000-000000000001"),
        (Place::Prepared, "aaaab000-0000-4000-8000-000000000002"),
        (Place::Garbage, "cccc0000-0000-4000-8000-000000000003"),
        (Place::Run, "not-a-uuid"),
    ] {
        std::fs::create_dir(pods.place(place).join(uuid)).unwrap();
    }
    assert_eq!(pods.find("AAAAB").unwrap().to_string(), "aaaab000-0000-4000-8000-000000000002");
    assert_eq!(pods.find("aaaa").unwrap_err().to_string(), "ambiguous uuid, 2 matches");
    assert_eq!(pods.find("cccc").unwrap_err().to_string(), "no matches found for \"cccc\"");
    assert_eq!(pods.list(Place::Run).unwrap().len(), 1);
}

#[test]
fn files_are_read_back() {
    let (_dir, pods) = pods();
    let locked = pods.create().unwrap();
    locked.write_manifest(&appc::PodManifest::default()).unwrap();
    locked.write("stage1TreeStoreID", b"deps-1\n").unwrap();
    locked.write("pid", b"42\n").unwrap();
    locked.write("stage1/rootfs/rkt/status/a", b"137\n").unwrap();
    let pod = pods.open(locked.uuid()).unwrap();
    assert_eq!(pod.manifest().unwrap(), appc::PodManifest::default());
    assert_eq!((pod.pid().unwrap(), pod.stage1_tree().as_deref()), (Some(42), Some("deps-1")));
    assert_eq!(pod.app_status("a").unwrap().code, 137);
    assert!(pod.app_status("b").is_none() && pod.networks().is_empty() && !pod.is_ready());
    locked.write("overlay-prepared", b"").unwrap();
    assert!(pod.app_status("a").is_none());
    locked.write("overlay/deps-1/upper/rkt/status/a", b"3").unwrap();
    assert_eq!(pod.app_status("a").unwrap().code, 3);
    locked.write("pid", b"x").unwrap();
    assert!(matches!(pod.pid(), Err(PodError::Content { .. })));
}

#[test]
fn a_pod_that_has_ended_is_shown_as_that_while_it_is_taken_over() {
    let (_dir, pods) = pods();
    for (place, held, left) in [
        (Place::Prepare, State::Preparing, State::AbortedPrepare),
        (Place::Run, State::Running, State::Exited),
    ] {
        let mut owner = pods.create().unwrap();
        if place != Place::Prepare {
            owner.move_to(place).unwrap();
        }
        let open = || pods.open(owner.uuid()).unwrap();
        assert!(open().state() == held && open().try_lock().unwrap().is_none());
        let uuid = owner.uuid();
        drop(owner);
        let mut taken = pods.open(uuid).unwrap().lock().unwrap();
        let state = || pods.open(uuid).unwrap().state();
        assert_eq!((state(), taken.state()), (left, left));
        let busy = pods.open(uuid).unwrap().lock().unwrap_err().to_string();
        assert_eq!(busy, format!("pod \"{uuid}\" is {left} and locked by another process"));
        taken.move_to(Place::ExitedGarbage).unwrap();
        assert!(pods.open(uuid).unwrap().try_lock().unwrap().is_none(), "two delete it");
        drop(taken);
        assert!(pods.open(uuid).unwrap().try_lock().unwrap().is_some());
    }
}
