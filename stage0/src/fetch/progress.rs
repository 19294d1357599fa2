//! How far a transfer is: bars on a terminal, a line per transfer elsewhere.

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal, Read};

/// Shows transfers on stderr.
#[derive(Debug)]
pub struct Progress {
    bars: Option<MultiProgress>,
}

impl Default for Progress {
    fn default() -> Self {
        Progress { bars: io::stderr().is_terminal().then(MultiProgress::new) }
    }
}

impl Progress {
    /// Shows nothing.
    pub fn hidden() -> Self {
        Progress { bars: None }
    }

    /// A new transfer of `total` bytes, if that is known, of which `done` are there already.
    pub fn transfer(&self, what: &str, total: Option<u64>, done: u64) -> Transfer {
        let Some(bars) = &self.bars else {
            let size = total.map(|t| format!(" ({})", HumanBytes(t))).unwrap_or_default();
            let resumed = if done > 0 { format!(", resumed at {}", HumanBytes(done)) } else { String::new() };
            tracing::info!(target: "image", "downloading {what}{size}{resumed}");
            return Transfer { bar: None };
        };
        let bar = bars.add(ProgressBar::new(total.unwrap_or(0)));
        let template = match total {
            Some(_) => "{msg:40!} {bar:24} {bytes:>10}/{total_bytes:<10} {bytes_per_sec:>12} {eta:>4}",
            None => "{msg:40!} {spinner} {bytes:>10} {bytes_per_sec:>12}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        bar.set_position(done);
        Transfer { bar: Some(bar) }
    }
}

/// One transfer; it disappears from the terminal when dropped.
#[derive(Debug)]
pub struct Transfer {
    bar: Option<ProgressBar>,
}

impl Transfer {
    /// Counts what is read through the returned reader.
    pub fn count<R: Read>(&self, input: R) -> Counted<'_, R> {
        Counted { input, transfer: self }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A reader that moves a bar.
#[derive(Debug)]
pub struct Counted<'a, R> {
    input: R,
    transfer: &'a Transfer,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buf)?;
        if let Some(bar) = &self.transfer.bar {
            bar.inc(got as u64);
        }
        Ok(got)
    }
}
