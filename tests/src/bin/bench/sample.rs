//! Taking samples and saying what they mean.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

const MARKER: &str = "first-instruction";
/// How long a process may say nothing.
pub const LIMIT: Duration = Duration::from_secs(120);

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
pub fn until_marker(command: Command) -> Result<(Duration, Running)> {
    until_marker_within(command, LIMIT)
}

/// The same with a limit: a process that says nothing for so long has failed.
pub fn until_marker_within(command: Command, limit: Duration) -> Result<(Duration, Running)> {
    let (time, running, _) = until(command, MARKER, limit)?;
    Ok((time, running))
}

/// The same with any marker; what the process has written comes, too.
pub fn until(mut command: Command, marker: &str, limit: Duration) -> Result<(Duration, Running, String)> {
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
        match receive.recv_timeout(limit) {
            Ok((when, bytes)) => {
                output.extend_from_slice(&bytes);
                let text = String::from_utf8_lossy(&output);
                if text.contains(marker) {
                    return Ok((when - start, running, text.into_owned()));
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

/// One of those who are compared.
pub struct Contender<'a> {
    name: String,
    take: Box<dyn Fn() -> Result<f64> + 'a>,
}

impl<'a> Contender<'a> {
    /// `take` takes one sample.
    pub fn new(name: impl Into<String>, take: impl Fn() -> Result<f64> + 'a) -> Self {
        Contender { name: name.into(), take: Box::new(take) }
    }
}

/// Samples of all, interleaved, and what they say: the first is ours.
pub fn compare(what: &str, unit: &str, rounds: usize, contenders: &[Contender<'_>]) -> Result<()> {
    let mut samples = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (samples, contender) in samples.iter_mut().zip(contenders) {
            samples.push((contender.take)().with_context(|| contender.name.clone())?);
        }
    }
    let Some((ours, others)) = samples.split_first_mut() else { return Ok(()) };
    for (theirs, contender) in others.iter_mut().zip(&contenders[1..]) {
        report(what, unit, ours, &contender.name, theirs);
    }
    Ok(())
}

/// Milliseconds until the marker.
pub fn milliseconds(command: Command) -> Result<f64> {
    Ok(until_marker(command)?.0.as_secs_f64() * 1e3)
}

/// The heads of the columns that [`report`] fills.
pub fn heading() {
    row("", "", ["ours", "least-most"], "", ["theirs", "least-most"], "ratio", "n");
}

/// One line: both medians with their spread, and the ratio ours / theirs.
pub fn report(what: &str, unit: &str, ours: &mut [f64], theirs_name: &str, theirs: &mut [f64]) {
    let (a, b) = (median(ours), median(theirs));
    let spread = |sorted: &[f64]| format!("{:.1}-{:.1}", sorted[0], sorted[sorted.len() - 1]);
    row(
        what,
        unit,
        [&format!("{a:.1}"), &spread(ours)],
        theirs_name,
        [&format!("{b:.1}"), &spread(theirs)],
        &format!("{:.2}", a / b),
        &ours.len().to_string(),
    );
}

fn row(what: &str, unit: &str, ours: [&str; 2], name: &str, theirs: [&str; 2], ratio: &str, n: &str) {
    let ([a, least_a], [b, least_b]) = (ours, theirs);
    println!("{what:<66} {unit:<6} {a:>9} {least_a:>17}  {name:<26} {b:>9} {least_b:>17} {ratio:>6} {n:>3}");
}
