use proptest::prelude::*;

use super::*;

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
# a comment
broken
:x:5:5::/:
huge:x:99999999999:1::/:
minus:x:-1:1::/:
nobody:x:4294967295:1::/:
postgres:x:999:998:PostgreSQL:/var/lib/postgresql:/bin/sh
short:x:77:78
33:x:500:501::/odd:
";
const GROUP: &str = "root:x:0:\nwheel:x:10:root,postgres\nbroken\nx:y\nstaff::50:\n";

fn ids(user: &str, group: &str) -> Result<(u32, u32), UserError> {
    let owner = |path: &str| match path {
        "/srv" => Ok((1234, 4321)),
        _ => Err(io::Error::from_raw_os_error(libc::ENOENT)),
    };
    resolve((user, group), &[], (PASSWD, GROUP), owner).map(|found| (found.uid, found.gid))
}

#[test]
fn names_numbers_and_owners() {
    assert_eq!(ids("root", "root").unwrap(), (0, 0));
    assert_eq!(ids("0", "0").unwrap(), (0, 0));
    assert_eq!(ids("postgres", "wheel").unwrap(), (999, 10));
    assert_eq!(ids("4000", "staff").unwrap(), (4000, 50));
    assert_eq!(ids("/srv", "/srv").unwrap(), (1234, 4321));
    assert_eq!(ids("short", "60").unwrap(), (77, 60));
    assert_eq!(ids("33", "root").unwrap(), (500, 0), "a name made of digits is a name");
}

#[test]
fn a_group_that_repeats_the_user_means_its_primary_group() {
    assert_eq!(ids("postgres", "postgres").unwrap(), (999, 998));
    assert_eq!(ids("999", "999").unwrap(), (999, 998));
    assert_eq!(ids("4000", "4000").unwrap(), (4000, 4000));
}

#[test]
fn what_does_not_exist_is_named() {
    assert_eq!(
        ids("nemo", "root").unwrap_err().to_string(),
        "Unable to find user \"nemo\" in /etc/passwd of the image"
    );
    assert!(matches!(ids("root", "nemo"), Err(UserError::Group(name)) if name == "nemo"));
    assert!(matches!(ids("/absent", "root"), Err(UserError::Owner { path, .. }) if path == "/absent"));
    for hostile in ["nobody", "minus", "huge", "4294967295", "-1", "+5", ""] {
        assert!(ids(hostile, "0").is_err(), "{hostile}");
    }
}

#[test]
fn root_needs_no_files() {
    let found = resolve(("root", "root"), &[], ("", ""), |_| unreachable!()).unwrap();
    assert_eq!((found.uid, found.gid, found.home), (0, 0, None));
}

#[test]
fn supplementary_groups_follow_the_primary_one() {
    let found = resolve(("0", "0"), &[400, 0, 500], (PASSWD, ""), |_| unreachable!()).unwrap();
    assert_eq!(found.groups, [0, 400, 500]);
    assert_eq!((found.name.as_deref(), found.home.as_deref()), (Some("root"), Some("/root")));
}

proptest! {
    #[test]
    fn hostile_files_never_panic_and_never_give_the_forbidden_id(text in "([a-z0-9:\n-]|\\PC){0,200}") {
        prop_assert!(users(&text).all(|user| user.uid != u32::MAX && user.gid != u32::MAX));
        prop_assert!(groups(&text).all(|(name, gid)| gid != u32::MAX && !name.is_empty()));
    }
}
