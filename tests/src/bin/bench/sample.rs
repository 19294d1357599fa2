//! Taking samples and saying what they mean.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

const MARKER: &[u8] = b"first-instruction";
const LIMIT: Duration = Duration::from_secs(120);

/// A process that is killed when it goes out of scope.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a process and waits for the marker on its output; the time counts from before its start.
pub fn until_marker(mut command: Command) -> Result<(Duration, Running)> {
    let start = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("Cannot start {command:?}"))?;
    let mut running = Running(child);
    let (send, receive) = mpsc::channel();
    watch(running.0.stdout.take(), send.clone());
    watch(running.0.stderr.take(), send);
    let mut output = Vec::new();
    loop {
        match receive.recv_timeout(LIMIT) {
            Ok((when, bytes)) => {
                output.extend_from_slice(&bytes);
                if output.windows(MARKER.len()).any(|window| window == MARKER) {
                    return Ok((when - start, running));
                }
            }
            Err(_) => bail!("No sign of life from {command:?}: {}", String::from_utf8_lossy(&output)),
        }
    }
}

fn watch(stream: Option<impl Read + Send + 'static>, send: mpsc::Sender<(Instant, Vec<u8>)>) {
    let Some(mut stream) = stream else { return };
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if send.send((Instant::now(), buffer[..length].to_vec())).is_err() {
                // Keep draining: a full pipe would hold up the machine that is being looked at.
                continue;
            }
        }
    });
}

/// The median.
pub fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// One line: both medians with their spread, and the ratio ours / theirs.
pub fn report(what: &str, unit: &str, ours: &mut [f64], theirs_name: &str, theirs: &mut [f64]) {
    let (a, b) = (median(ours), median(theirs));
    println!(
        "{what}: ours {a:.1} {unit} ({:.1}-{:.1}), {theirs_name} {b:.1} {unit} ({:.1}-{:.1}), ratio {:.2}, n={}",
        ours[0],
        ours[ours.len() - 1],
        theirs[0],
        theirs[theirs.len() - 1],
        a / b,
        ours.len()
    );
}
