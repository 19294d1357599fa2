use proptest::prelude::*;

use super::*;

#[test]
fn identifiers_are_words_joined_by_single_separators() {
    for good in ["a", "example.com/reduce-worker", "a~b_c", "0", "registry-1.docker.io/library/busybox"] {
        assert_eq!(good.parse::<AcIdentifier>().unwrap(), good);
    }
    for bad in ["", "A", "-a", "a-", "a--b", "a/", "/a", "a b", "é", "a:b"] {
        assert_eq!(bad.parse::<AcIdentifier>(), Err(ValueError::Identifier(bad.to_owned())));
    }
}

#[test]
fn names_know_only_the_dash() {
    assert_eq!("reduce-worker".parse::<AcName>().unwrap(), "reduce-worker");
    for bad in ["", "a.b", "a/b", "a_b", "-a", "a-", "a--b", "A"] {
        assert_eq!(bad.parse::<AcName>(), Err(ValueError::Name(bad.to_owned())));
    }
}

#[test]
fn sanitizing_replaces_and_cuts() {
    assert_eq!(AcName::sanitize("Foo_Bar.").unwrap(), "foo-bar");
    assert_eq!(AcName::sanitize("80/tcp").unwrap(), "80-tcp");
    assert_eq!(AcIdentifier::sanitize("localhost:5000/Debian").unwrap(), "localhost-5000/debian");
    assert_eq!(AcName::sanitize("__"), Err(ValueError::Unsanitizable("__".to_owned())));
}

#[test]
fn an_apps_default_name_is_the_last_element() {
    let image = "example.com/a/etcd_v2".parse().unwrap();
    assert_eq!(AcName::from_image_name(&image).unwrap(), "etcd-v2");
}

proptest! {
    #[test]
    fn what_is_sanitized_is_valid(text in ".{0,40}") {
        if let Ok(name) = AcName::sanitize(&text) {
            prop_assert!(name.as_str().parse::<AcName>().is_ok());
        }
        if let Ok(identifier) = AcIdentifier::sanitize(&text) {
            prop_assert!(identifier.as_str().parse::<AcIdentifier>().is_ok());
        }
    }

    #[test]
    fn sanitizing_keeps_what_is_valid(text in "[a-z0-9]{1,5}([-][a-z0-9]{1,4}){0,4}") {
        let name = AcName::sanitize(&text).unwrap();
        prop_assert_eq!(name.as_str(), &text);
    }
}
