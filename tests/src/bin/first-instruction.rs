//! The smallest program that says it runs: `/init` of the benchmark's guests, and an app in a pod.
//!
//! With `--stay`, or as PID 1, it then sleeps for ever, so that the idle machine can be looked at.

use std::io::{Write, stdout};

fn main() {
    let mut out = stdout();
    // Nobody to tell when this fails; the benchmark's time limit will.
    let _ = out.write_all(b"first-instruction\n").and_then(|()| out.flush());
    if std::process::id() == 1 || std::env::args().any(|word| word == "--stay") {
        loop {
            std::thread::park();
        }
    }
}
