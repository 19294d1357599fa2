//! Many processes at once, and processes that die at any instant. `RKT_ENDURANCE` multiplies how long it goes on.

#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod loopback;

use loopback::aci::aci;
use loopback::layout::Layout;
use loopback::registry::Registry;
use loopback::{Done, Rkt};
use std::process::Stdio;
use std::time::{Duration, Instant};

fn scale() -> u32 {
    std::env::var("RKT_ENDURANCE").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// Everything rendered is what it should be, and `image gc` leaves nothing nobody needs.
fn clean(rkt: &Rkt) {
    let ids = rkt.run(&["image", "list", "--fields=id", "--full", "--no-legend"]).ok();
    for id in ids.lines() {
        let done = rkt.run(&["image", "verify", id]);
        assert!(!done.err.contains("failed"), "{done:?}");
        done.ok();
    }
    rkt.run(&["image", "gc", "--grace-period=-1h"]).ok();
    assert_eq!(rkt.stored(), [] as [std::path::PathBuf; 0]);
    assert!(std::fs::read_dir(rkt.data().join("cas/tree")).unwrap().next().is_none());
}

#[test]
fn many_processes_do_everything_at_once() {
    let rkt = Rkt::new();
    let registry = Registry::start();
    let layout = Layout::new(rkt.dir.path());
    let base = layout.image("base").layer("/a", &[("f", &"x".repeat(50_000))]).layer("/b", &[("f", "1")]);
    registry.push(&base, "base:1", &[]);
    registry.push(&layout.copy(&base, "more").layer("/c", &[("f", "1")]), "more:1", &[]);
    let file = rkt.dir.path().join("x.aci");
    std::fs::write(&file, aci("x", "1", "content", "")).unwrap();
    let (base, more, file) = (registry.image("base:1"), registry.image("more:1"), file.display().to_string());
    let key = rkt.fetch(&file);
    let commands: [&[&str]; 8] = [
        &["fetch", &base],
        &["fetch", &more],
        &["fetch", "--pull-policy=new", &more],
        &["fetch", &file],
        &["image", "list"],
        &["image", "rm", &key],
        &["image", "gc", "--grace-period=0"],
        &["image", "gc"],
    ];
    let end = Instant::now() + Duration::from_secs(4) * scale();
    std::thread::scope(|scope| {
        for worker in 0..32 {
            let (rkt, commands) = (&rkt, &commands);
            scope.spawn(move || {
                let mut turn = worker;
                while Instant::now() < end {
                    let command = commands[turn % commands.len()];
                    turn += 3;
                    let done = rkt.run(command);
                    // What another process removed between two steps may honestly be missing.
                    let honest = done.status == Some(0) || done.err.contains("is not in the store");
                    assert!(honest, "{command:?}: {done:?}");
                }
            });
        }
    });
    rkt.fetch(&base);
    rkt.fetch(&more);
    clean(&rkt);
}

#[test]
fn fetches_may_be_killed_at_any_instant() {
    let rkt = Rkt::new();
    let registry = Registry::start();
    let layout = Layout::new(rkt.dir.path());
    let mut image = layout.image("a");
    for n in 0..3 {
        let text: String = (0..40_000u32).map(|i| char::from(b'a' + ((i * (n + 7)) % 23) as u8)).collect();
        image = image.layer(&format!("/d{n}"), &[("f", &text), ("g", "1")]);
    }
    registry.push(&image, "a:1", &[]);
    let name = registry.image("a:1");
    let start = Instant::now();
    let key = rkt.fetch(&name);
    let whole = start.elapsed();
    let rounds = 15 * scale();
    for round in 0..rounds {
        rkt.run(&["image", "rm", &key]).ok();
        rkt.run(&["image", "gc"]).ok();
        let mut fetch =
            rkt.command(&["fetch", &name]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * round / rounds);
        fetch.kill().unwrap();
        fetch.wait().unwrap();
        // Whatever instant that was: what is listed is whole, and the next fetch succeeds.
        for id in rkt.run(&["image", "list", "--fields=id", "--full", "--no-legend"]).ok().lines() {
            rkt.run(&["image", "verify", id]).ok();
        }
        assert_eq!(Done::of(rkt.command(&["fetch", "--full", &name]).output().unwrap()).ok().trim(), key);
        assert!(rkt.run(&["image", "verify", &key]).ok().contains("successfully verified"));
    }
    clean(&rkt);
}
