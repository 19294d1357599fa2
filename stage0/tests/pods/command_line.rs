//! What users see of the command line itself.

use std::os::unix::process::CommandExt;

use crate::bed::{Bed, finish};

#[test]
fn without_a_command_rkt_shows_help_and_fails() {
    let bed = Bed::new();
    let done = bed.rkt(&[]);
    assert_eq!((done.status, done.stderr.as_str()), (2, "rkt: missing command\n"));
    assert!(done.stdout.contains("COMMANDS:"));
    assert_eq!(bed.rkt(&["--help"]).status, 0);
    assert_eq!(bed.rkt(&["help", "run"]).status, 0);
}

#[test]
fn mistakes_end_with_254() {
    let bed = Bed::new();
    let done = bed.rkt(&["bogus"]);
    assert_eq!(done.status, 254);
    assert_eq!(done.stderr, "Error: unknown command \"bogus\" for \"rkt\"\nRun 'rkt --help' for usage.\n");
    for words in [
        &["list", "--bogus"][..],
        &["list", "--format=yaml"],
        &["help", "bogus"],
        &["--insecure-options=bogus", "list"],
        &["--dir=", "list"],
    ] {
        let done = bed.rkt(words);
        assert_eq!((done.status, done.stdout.as_str()), (254, ""), "{words:?}");
        assert!(!done.stderr.is_empty(), "{words:?}");
    }
    assert!(bed.rkt(&["list", "--format=yaml"]).stderr.contains("Invalid format option: yaml"));
    assert!(bed.rkt(&["--dir=", "list"]).stderr.contains("\"\" is not a valid directory"));
}

#[test]
fn a_verbs_help_is_on_stdout() {
    let done = Bed::new().rkt(&["run", "--help"]);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""));
    for flag in ["--net", "--volume", "--stage1-path", "--exec", "--caps-retain", "--debug"] {
        assert!(done.stdout.contains(flag), "{flag}");
    }
}

#[test]
fn only_root_may_run_pods() {
    let bed = Bed::new();
    for verb in ["run", "prepare", "run-prepared", "gc", "rm"] {
        let done = finish(bed.command(&[verb, "--bogus"]).uid(65534).gid(65534).current_dir("/"));
        let expected = format!("{verb}: cannot run as unprivileged user\n");
        assert_eq!((done.status, done.stderr), (254, expected));
    }
}

#[test]
fn conflicts_of_flags_are_named() {
    let bed = Bed::new();
    for (words, message) in [
        (&["run"][..], "must provide at least one image or specify the pod manifest"),
        (&["run", "--pod-manifest=x", "a.aci"], "conflicting flags set with --pod-manifest (see --help)"),
        (
            &["run", "--pod-manifest=x", "--inherit-env"],
            "conflicting flags set with --pod-manifest (see --help)",
        ),
        (&["run", "--exec=x", "a.aci"], "--exec must follow an image"),
        (&["run", "--", "x"], "an image is required before any app arguments"),
        (&["run", "a.aci", "--", "x", "---", "--", "y"], "only one set of app arguments allowed per image"),
        (&["run", "--net=none,none", "a.aci"], "found duplicate netname \"none\""),
        (
            &["run", "--net=none", "--port=http:80", "a.aci"],
            "--port flag does not work with 'none' networking",
        ),
        (
            &["run", "--net=none", "--mds-register", "a.aci"],
            "--mds-register flag does not work with --net=none. Please use 'default' or an equivalent network",
        ),
        (
            &["run", "--private-users", "a.aci"],
            "cannot use both overlay and user namespace: not implemented yet. (Try --no-overlay)",
        ),
        (
            &["run", "--private-users", "--no-overlay", "a.aci"],
            "flag --private-users cannot be used with a kvm stage1: its apps have user ids of their own anyway",
        ),
        (
            &["run", "--dns=host", "--dns=1.1.1.1", "a.aci"],
            "no other --dns options allowed when --dns=host is passed",
        ),
        (
            &["run", "--dns=none", "--dns-opt=x", "a.aci"],
            "Cannot call --dns-opt, --dns-search, or --dns-domain with --dns=none",
        ),
        (
            &["run", "--pull-policy=never", "--pod-manifest=x"],
            "conflicting flags set with --pod-manifest (see --help)",
        ),
        (&["run", "--dns=x", "a.aci"], "Invalid IP passed to --dns: x"),
        (&["run", "--store-only", "--no-store", "a.aci"], "both --store-only and --no-store specified"),
        (
            &["run", "--stage1-path=x", "--stage1-hash=sha512-ab", "a.aci"],
            "flags --stage1-path and --stage1-hash are mutually exclusive",
        ),
    ] {
        let done = bed.rkt(words);
        assert_eq!(done.status, 254, "{words:?}");
        assert_eq!(done.stderr, format!("run: {message}\n"), "{words:?}");
    }
    assert!(bed.pods("embryo").is_empty() && bed.pods("prepare").is_empty() && bed.pods("run").is_empty());
}

#[test]
fn a_closed_stdout_is_no_crash() {
    let bed = Bed::new();
    let mut child = bed.command(&["help"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn shells_complete_commands_and_flags() {
    let bed = Bed::new();
    let script = bed.rkt(&["completion", "bash"]);
    assert_eq!((script.status, script.stderr.as_str()), (0, ""));
    let path = bed.write("completion", &script.stdout);
    let complete = |words: &[&str]| {
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let ask = format!(
            "source {path}; COMP_WORDS=({}); COMP_CWORD={}; _rkt rkt '{last}' '{before}'; echo ${{COMPREPLY[@]}}",
            words.join(" "),
            words.len() - 1
        );
        finish(std::process::Command::new("bash").args(["-c", &ask])).stdout
    };
    assert_eq!(complete(&["rkt", "run-"]), "run-prepared\n");
    assert_eq!(complete(&["rkt", "image", "ver"]), "verify\n");
    assert_eq!(complete(&["rkt", "run", "--stage1-h"]), "--stage1-hash\n");
    assert_eq!(complete(&["rkt", "run", "--readonly"]), "--readonly-rootfs\n", "a flag of images");
    for (shell, begins) in [("zsh", "#compdef rkt"), ("fish", "# Print an optspec")] {
        let script = bed.rkt(&["completion", shell]);
        assert_eq!(script.status, 0);
        assert!(
            script.stdout.starts_with(begins) && script.stdout.contains("run-prepared"),
            "{}",
            script.stdout
        );
    }
    for (words, message) in [
        (&["completion"][..], "shell type is not specified"),
        (&["completion", "bash", "zsh"], "too many arguments, only shell type is expected"),
        (&["completion", "tcsh"], "'tcsh' shell is not supported"),
    ] {
        let done = bed.rkt(words);
        assert_eq!((done.status, done.stderr), (254, format!("completion: {message}\n")));
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let bed = Bed::new();
    let dir = bed.path("man");
    std::fs::create_dir(&dir).unwrap();
    let done = bed.rkt(&["help", "--man", dir.to_str().unwrap()]);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""));
    for (page, part) in [
        ("rkt.1", "rkt\\-run\\-prepared(1)"),
        ("rkt-run.1", "\\-\\-readonly\\-rootfs"),
        ("rkt-image.1", "rkt\\-image\\-list(1)"),
        ("rkt-image-list.1", "\\-\\-no\\-legend"),
        ("rkt-export.1", "\\-\\-overwrite"),
    ] {
        let text = std::fs::read_to_string(dir.join(page)).unwrap();
        assert!(text.contains(".TH ") && text.contains(part), "{page}: {text}");
    }
    let overview = bed.rkt(&["help"]).stdout;
    let list = overview.split("COMMANDS:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    for line in list.lines() {
        let name = line.trim().split("  ").next().unwrap().replace(' ', "-");
        assert!(dir.join(format!("rkt-{name}.1")).is_file(), "{name}");
    }
    assert_eq!(bed.rkt(&["help", "--man=/no/such"]).status, 254);
}
