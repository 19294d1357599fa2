use super::*;
use crate::cli::{list, run};
use proptest::prelude::*;

fn translated(verb: &Verb, text: &str) -> (String, Vec<String>) {
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let Translated { words, hints } = flags(verb, &words);
    (words.join(" "), hints)
}

fn check(text: &str, words: &str, hints: &[&str]) {
    assert_eq!(
        translated(&run::VERB, text),
        (words.to_owned(), hints.iter().map(|h| (*h).to_owned()).collect())
    );
}

#[test]
fn todays_spelling_stays_as_it_is() {
    for text in [
        "",
        "--net=none --debug a.aci --exec=/bin/sh b",
        "--volume=v,kind=host,source=/a:b a",
        "-h",
        "- -x --unknown -unknown",
    ] {
        check(text, text, &[]);
    }
    // Values are not looked at.
    check("a --exec -volume --user -net", "a --exec=-volume --user=-net", &[]);
}

#[test]
fn flags_with_one_dash_are_flags() {
    check(
        "-debug -net=none a",
        "--debug --net=none a",
        &["-debug is an old spelling of --debug", "-net is an old spelling of --net"],
    );
    check(
        "-volume v,kind=empty a -exec /x",
        "--volume=v,kind=empty a --exec=/x",
        &["-volume is an old spelling of --volume", "-exec is an old spelling of --exec"],
    );
}

#[test]
fn flags_with_other_names_are_translated() {
    check(
        "--insecure-skip-verify a",
        "--insecure-options=image a",
        &["--insecure-skip-verify is an old spelling of --insecure-options"],
    );
    check(
        "--insecure-skip-verify=false a",
        "--insecure-options=none a",
        &["--insecure-skip-verify is an old spelling of --insecure-options"],
    );
    let net = "--private-net is an old spelling of --net";
    check("--private-net a", "--net a", &[net]);
    check("--private-net=x,y a", "--net=x,y a", &[net]);
    check("--private-net=false a", "--net=host a", &[net]);
    for (image, flag) in [
        ("/x/y", "--stage1-path"),
        ("x.aci", "--stage1-path"),
        ("https://x/y.aci", "--stage1-url"),
        ("coreos.com/rkt/stage1-fly:1", "--stage1-name"),
        ("sha512-abc", "--stage1-hash"),
    ] {
        let hint = format!("--stage1-image is an old spelling of {flag}");
        check(&format!("--stage1-image {image} a"), &format!("{flag}={image} a"), &[&hint]);
    }
    check("-private-net a", "--net a", &["-private-net is an old spelling of --private-net", net]);
}

#[test]
fn volumes_of_two_paths_get_a_name_and_a_mount() {
    check(
        "--volume /a:/b --volume=/c:/d:ro x",
        "--volume=volume-0,kind=host,source=/a --mount=volume=volume-0,target=/b \
         --volume=volume-1,kind=host,source=/c,readOnly=true --mount=volume=volume-1,target=/d x",
        &[
            "--volume /a:/b is an old spelling of --volume volume-0,kind=host,source=/a --mount volume=volume-0,target=/b",
            "--volume /c:/d:ro is an old spelling of --volume volume-1,kind=host,source=/c,readOnly=true \
             --mount volume=volume-1,target=/d",
        ],
    );
    check(
        "--volume v:/a x",
        "--volume=v,kind=host,source=/a x",
        &["--volume v:/a is an old spelling of --volume v,kind=host,source=/a"],
    );
    // These were never right.
    for bad in ["/a:b", "a:b", ":/a", "/a:/b:x"] {
        check(&format!("--volume={bad} x"), &format!("--volume={bad} x"), &[]);
    }
}

#[test]
fn what_belongs_to_the_app_is_not_touched() {
    check(
        "a -- -net --private-net --- -debug",
        "a -- -net --private-net --- --debug",
        &["-debug is an old spelling of --debug"],
    );
    check("a -- -net", "a -- -net", &[]);
}

#[test]
fn commands_that_were_called_otherwise() {
    let translated = |text: &str, position| {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let Translated { words, hints } = command(&words, position);
        (words.join(" "), hints.len())
    };
    assert_eq!(translated("--debug list pods --full", 1), ("--debug list --full".to_owned(), 1));
    assert_eq!(translated("images", 0), ("image list".to_owned(), 1));
    assert_eq!(translated("image rmi", 0), ("image rmi".to_owned(), 0));
    assert_eq!(translated("list", 0), ("list".to_owned(), 0));
}

#[test]
fn a_command_without_todays_flag_does_not_know_the_old_one() {
    assert_eq!(translated(&list::VERB, "--private-net -full").0, "--private-net --full");
}

proptest! {
    #[test]
    fn translating_twice_changes_nothing(words in prop::collection::vec("(-{0,3}[a-z/:=,]{0,12}|-volume|--volume|--private-net|/a:/b)", 0..8)) {
        let once = flags(&run::VERB, &words).words;
        let twice = flags(&run::VERB, &once);
        prop_assert_eq!(&twice.words, &once);
        prop_assert!(twice.hints.is_empty());
    }
}
