use clap::Arg;
use proptest::prelude::*;

use super::*;

fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::Append)
}

fn switch(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::Set).num_args(0..=1).require_equals(true)
}

fn grammar() -> Grammar {
    let pod = Command::new("pod").args([flag("volume"), switch("net"), switch("debug"), flag("mount")]);
    let image = Command::new("image").args([
        flag("exec").alias("run-this"),
        flag("mount"),
        switch("readonly-rootfs"),
    ]);
    Grammar::new(&pod, &image, &["--mount"], true)
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn cut(text: &str) -> Result<Pieces, GrammarError> {
    grammar().cut(&words(text))
}

fn piece(image: &str, flags: &[&str], arguments: Option<&[&str]>) -> ImagePiece {
    let owned = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    ImagePiece { image: image.to_owned(), flags: owned(flags), arguments: arguments.map(owned) }
}

#[test]
fn flags_belong_to_the_image_before_them() {
    let pieces =
        cut("--net=none --debug a --exec /bin/sh --readonly-rootfs b --volume v,kind=empty --exec=x")
            .unwrap();
    assert_eq!(pieces.pod, ["--net=none", "--debug", "--volume=v,kind=empty"]);
    assert_eq!(
        pieces.images,
        [piece("a", &["--exec=/bin/sh", "--readonly-rootfs"], None), piece("b", &["--exec=x"], None)]
    );
}

#[test]
fn arguments_run_to_three_dashes() {
    let pieces = cut("a -- -c --net -- x --- b --- --debug c --").unwrap();
    assert_eq!(pieces.pod, ["--debug"]);
    assert_eq!(
        pieces.images,
        [
            piece("a", &[], Some(&["-c", "--net", "--", "x"])),
            piece("b", &[], None),
            piece("c", &[], Some(&[]))
        ]
    );
}

#[test]
fn a_mount_before_images_is_the_pods() {
    let pieces = cut("--mount x a --mount y").unwrap();
    assert_eq!((pieces.pod, pieces.images), (words("--mount=x"), vec![piece("a", &["--mount=y"], None)]));
}

#[test]
fn values_may_look_like_flags_and_aliases_count() {
    let pieces = cut("a --exec --debug --run-this --  - b").unwrap();
    assert!(pieces.pod.is_empty());
    assert_eq!(
        pieces.images,
        [
            piece("a", &["--exec=--debug", "--run-this=--"], None),
            piece("-", &[], None),
            piece("b", &[], None)
        ]
    );
}

#[test]
fn mistakes_are_named() {
    for (text, message) in [
        ("--exec x a", "--exec must follow an image"),
        ("-- x", "an image is required before any app arguments"),
        ("a -- x --- -- y", "only one set of app arguments allowed per image"),
        ("a --exec", "flag needs an argument: --exec"),
    ] {
        assert_eq!(cut(text).unwrap_err().to_string(), message);
    }
    assert_eq!(cut("--bogus a").unwrap().pod, ["--bogus"]);
}

#[test]
fn a_command_that_runs_nothing_takes_no_arguments() {
    let none = Command::new("none");
    let grammar = Grammar::new(&none, &none, &[], false);
    assert_eq!(grammar.cut(&words("a -- b")), Err(GrammarError::ArgumentsUnsupported));
}

fn any_word() -> impl Strategy<Value = String> {
    prop::sample::select(words(
        "a b -- --- --exec --exec=x --net --net=none --mount --mount=m --debug --volume --bogus -x -",
    ))
}

proptest! {
    #[test]
    fn no_word_is_lost_or_invented(input in prop::collection::vec(any_word(), 0..12)) {
        if let Ok(pieces) = grammar().cut(&input) {
            let mut kept: Vec<String> = pieces.pod;
            for image in pieces.images {
                kept.push(image.image);
                kept.extend(image.flags);
                kept.extend(image.arguments.unwrap_or_default());
            }
            let mut kept: Vec<String> = kept.iter().flat_map(|word| word.split('=')).map(str::to_owned).collect();
            let mut given: Vec<String> = input.iter().flat_map(|word| word.split('=')).map(str::to_owned).collect();
            for list in [&mut kept, &mut given] {
                list.retain(|word| !word.starts_with("--") || word.len() > 3);
                list.sort();
            }
            prop_assert_eq!(kept, given);
        }
    }

    #[test]
    fn arguments_come_through_unchanged(arguments in prop::collection::vec("[-a-z=]{0,5}", 0..6)) {
        prop_assume!(!arguments.iter().any(|word| word == "---"));
        let mut input = words("a --");
        input.extend(arguments.clone());
        input.extend(words("--- --debug"));
        let pieces = grammar().cut(&input).unwrap();
        prop_assert_eq!(pieces.images[0].arguments.as_ref().unwrap(), &arguments);
        prop_assert_eq!(pieces.pod, vec!["--debug".to_owned()]);
    }
}
