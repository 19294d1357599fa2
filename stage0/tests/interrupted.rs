//! Fetches that are interrupted, what they leave, and what `image gc` makes of it.

#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod loopback;

use loopback::aci::aci;
use loopback::web::{Page, Web};
use loopback::{Done, Rkt};
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// An image of which the server sends only the first part, once, and then nothing more.
fn stalled() -> (Rkt, Web, String) {
    let (rkt, web) = (Rkt::new(), Web::start());
    let page = Page { etag: Some("\"one\"".into()), ..Page::of(aci("a", "1", &"x".repeat(300_000), "")) };
    web.put("/a.aci", Page { cut: Some(100_000), stall: true, ..page });
    let url = web.url("/a.aci");
    (rkt, web, url)
}

/// A fetch that has got all it will get.
fn fetching(rkt: &Rkt, url: &str) -> Child {
    let child = rkt.command(&["fetch", url]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !rkt.partial().is_some_and(|path| path.metadata().is_ok_and(|file| file.len() == 100_000)) {
        assert!(start.elapsed() < Duration::from_secs(20), "nothing arrives");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

fn end(mut child: Child, signal: Signal) {
    kill_process(Pid::from_child(&child), signal).unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "it ends by the signal");
}

#[test]
fn a_fetch_that_was_interrupted_is_resumed() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let (rkt, web, url) = stalled();
        end(fetching(&rkt, &url), signal);
        assert_eq!(rkt.run(&["image", "list", "--no-legend"]).ok(), "");
        web.seen();
        rkt.fetch(&url);
        assert_eq!(web.seen()[0].headers["range"], "bytes=100000-");
        assert!(rkt.partial().is_none());
    }
}

#[test]
fn what_a_dead_fetch_left_is_swept_and_what_a_living_one_uses_is_not() {
    let (rkt, _web, url) = stalled();
    let child = fetching(&rkt, &url);
    rkt.run(&["image", "gc"]).ok();
    assert!(rkt.partial().is_some(), "a fetch still uses it");
    end(child, Signal::KILL);
    rkt.run(&["image", "gc"]).ok();
    assert_eq!(rkt.stored(), [] as [PathBuf; 0]);
}

#[test]
fn nothing_without_an_owner_stays() {
    let rkt = Rkt::new();
    let file = rkt.dir.path().join("a.aci");
    std::fs::write(&file, aci("a", "1", "x", "")).unwrap();
    let key = rkt.fetch(file.to_str().unwrap());
    let before = rkt.stored();
    let (hex, other) = ("ab".repeat(32), format!("sha512-{}", "ab".repeat(32)));
    for leftover in [
        format!("blob/sha512/ab/{other}"),
        format!("imageManifest/sha512/ab/{other}"),
        format!("layer/sha256/ab/{hex}"),
        format!("tmp/layer-{hex}-0123456789abcdef"),
        "tmp/aci-0123".to_owned(),
        "tmp/aci-0123.version".to_owned(),
        // Trees without the mark of completeness, of an image and of a layer.
        format!("tree/deps-{other}/rootfs/f"),
        format!("tree/layer-{hex}/rootfs/f"),
    ] {
        let path = rkt.data().join("cas").join(leftover);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "left").unwrap();
    }
    rkt.run(&["image", "gc"]).ok();
    let kept: Vec<_> =
        before.into_iter().filter(|path| !path.to_string_lossy().contains("/cas/tree/")).collect();
    assert_eq!(rkt.stored(), kept, "the image stays, its tree nobody uses does not");
    assert!(std::fs::read_dir(rkt.data().join("cas/tree")).unwrap().next().is_none());
    assert_eq!(rkt.show(&key), ["content=x"]);
}

#[test]
fn a_terminal_gets_bars_and_a_file_gets_lines() {
    let (rkt, web) = (Rkt::new(), Web::start());
    web.put("/a.aci", Page::of(aci("a", "1", &"x".repeat(300_000), "")));
    let url = web.url("/a.aci");
    let plain = rkt.run(&["fetch", &url]);
    assert!(plain.err.contains("image: downloading a.aci") && !plain.err.contains('\r'), "{plain:?}");
    let rkt = Rkt::new();
    let command = rkt.command(&["fetch", &url]);
    let shown = Done::of(rkt.on_terminal(&command).output().unwrap());
    assert!(shown.out.contains("a.aci") && shown.out.contains("\x1b["), "{shown:?}");
    assert!(!shown.out.contains("image: downloading"), "{shown:?}");
    assert_eq!(shown.status, Some(0));
}

#[test]
fn proxies_are_taken_from_the_environment() {
    let (rkt, proxy) = (Rkt::new(), Web::start());
    let url = "http://images.invalid/a.aci";
    let body = aci("a", "1", "x", "");
    // Asked for either by the whole URL or through a tunnel, as the client likes.
    proxy.put(url, Page::of(body.clone()));
    proxy.put("/a.aci", Page::of(body));
    proxy.put("images.invalid:80", Page { tunnel: true, ..Page::default() });
    let fetch = |set: &str, without: &str| {
        let mut command = rkt.command(&["fetch", url]);
        command.env(set, format!("http://{}", proxy.host)).env("no_proxy", without).env("NO_PROXY", without);
        Done::of(command.output().unwrap())
    };
    fetch("http_proxy", "").ok();
    assert!(proxy.seen().iter().any(|seen| seen.path.contains("images.invalid")));
    assert!(fetch("http_proxy", "images.invalid").failed().contains("Cannot reach"), "not through the proxy");
    assert!(proxy.seen().is_empty());
}
