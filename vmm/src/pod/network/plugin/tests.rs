use std::fs;

use serde_json::json;

use super::*;

fn plugins(scripts: &[(&str, &str)]) -> (tempfile::TempDir, Plugins) {
    let directory = tempfile::tempdir().unwrap();
    for (name, script) in scripts {
        let path = directory.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let plugins = Plugins { directories: vec![directory.path().to_owned()], limit: Duration::from_secs(20) };
    (directory, plugins)
}

fn call() -> Call<'static> {
    Call {
        command: Action::Add,
        container: "pod",
        namespace: Some(Path::new("/run/netns/x")),
        interface: "eth0",
        arguments: "IP=10.0.0.9",
        signals: None,
    }
}

fn add(script: &str) -> Result<Value, PluginError> {
    let (_directory, plugins) = plugins(&[("p", script)]);
    plugins.add("p", &json!({"name": "n", "type": "p"}), &call())
}

#[test]
fn it_is_told_what_the_protocol_says() {
    let script = r#"
        config=$(cat)
        printf '{"config": %s, "said": "%s %s %s %s %s"}' "$config" "$CNI_COMMAND" "$CNI_CONTAINERID" \
            "$CNI_NETNS" "$CNI_IFNAME" "$CNI_ARGS"
        echo chatter >&2"#;
    let expected = json!({
        "config": {"name": "n", "type": "p"},
        "said": "ADD pod /run/netns/x eth0 IgnoreUnknown=1;IP=10.0.0.9",
    });
    assert_eq!(add(script).unwrap(), expected);
}

#[test]
fn its_error_comes_through_whole() {
    let script =
        r#"echo '{"cniVersion":"0.4.0","code":11,"msg":"no address","details":"all taken"}'; exit 1"#;
    let error = add(script).unwrap_err().to_string();
    assert_eq!(error, "CNI plugin \"p\" failed: no address; all taken (code 11)");
}

#[test]
fn failing_without_words_shows_what_there_is() {
    let error = add("echo oops >&2; exit 3").unwrap_err().to_string();
    assert_eq!(error, "CNI plugin \"p\" failed with exit status: 3: \"oops\"");
    assert!(add("kill -9 $$").unwrap_err().to_string().contains("signal: 9"));
}

#[test]
fn rubbish_is_no_result() {
    for script in ["", "echo rubbish", "echo []", "printf '{'", r"printf '\377'"] {
        let error = add(script).unwrap_err().to_string();
        assert!(error.starts_with("CNI plugin \"p\" printed no CNI result"), "{script}: {error}");
    }
}

#[test]
fn one_that_hangs_is_killed_with_its_helpers() {
    let (directory, mut plugins) = plugins(&[("p", "sleep 600 & echo $! >$(dirname $0)/pid; wait")]);
    plugins.limit = Duration::from_secs(1);
    let error = plugins.add("p", &json!({}), &call()).unwrap_err().to_string();
    assert_eq!(error, "CNI plugin \"p\" has not ended after 1 s and was killed");
    let helper = fs::read_to_string(directory.path().join("pid")).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", helper.trim())).unwrap_or_default();
    let gone = || state().is_empty() || state().contains(") Z ");
    assert!((0..100).any(|_| gone() || {
        std::thread::sleep(Duration::from_millis(20));
        false
    }));
}

#[test]
fn one_that_hangs_ends_with_the_pod() {
    let (_directory, plugins) = plugins(&[("p", "sleep 600"), ("quick", "echo {}")]);
    let signals = Signals::block(true).unwrap();
    let with_signal = |name, number| {
        // SAFETY: the signal is blocked in this thread, which it is raised for.
        unsafe { libc::raise(number) };
        plugins.add(name, &json!({}), &Call { signals: Some(&signals), ..call() })
    };
    let error = with_signal("p", libc::SIGINT).unwrap_err();
    assert!(matches!(error, PluginError::Stopped(_, Cause::Signal(libc::SIGINT))), "{error}");
    assert_eq!(with_signal("quick", libc::SIGWINCH).unwrap(), json!({}));
}

#[test]
fn one_that_leaves_a_daemon_behind_is_not_waited_for() {
    let started = Instant::now();
    assert!(add("sleep 5 & echo {}").is_ok());
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn one_that_prints_without_end_is_killed() {
    for script in ["yes", "yes >&2"] {
        assert!(matches!(add(script), Err(PluginError::Chatters(_))), "{script}");
    }
}

#[test]
fn one_that_is_missing_is_named_with_where_it_was_looked_for() {
    let (directory, plugins) = plugins(&[]);
    fs::write(directory.path().join("p"), "no program").unwrap();
    let error = plugins.find("p").unwrap_err().to_string();
    let place = directory.path().to_str().unwrap();
    assert!(error.contains(place) && error.contains("containernetworking-plugins"), "{error}");
}

#[test]
fn administrators_programs_are_found() {
    let path = |given: Option<&str>| search_path(given.map(OsString::from)).into_string().unwrap();
    assert_eq!(path(Some("/usr/bin:/bin")), "/usr/bin:/bin:/usr/sbin:/sbin");
    assert_eq!(path(Some("/sbin:/opt")), "/sbin:/opt:/usr/sbin");
    assert_eq!(path(None), "/usr/sbin:/sbin");
}
