//! The kernel's command line.

use super::BootError;
use crate::memory::layout::COMMAND_LINE_SIZE;

/// Words of the kernel command line.
#[derive(Debug, Clone, Default)]
pub struct CommandLine(Vec<String>);

impl CommandLine {
    /// What every guest of ours is told.
    pub fn new(debug: bool) -> Self {
        let mut line = CommandLine::default();
        // A panic becomes a triple fault at once, which this process sees.
        line.push("panic=-1");
        line.push("reboot=t");
        // A kernel that has stumbled may have lost what everything else waits for. Its pod ends instead.
        line.push("oops=panic");
        // Nothing calibrates or doubts clocks: KVM's clock and the time stamp counter are right.
        line.push("tsc=reliable");
        line.push("no_timer_check");
        // Mounting cgroups, and much that ends, waits until every CPU has been elsewhere: for CPUs to be asked, not for ticks.
        line.push("rcupdate.rcu_expedited=1");
        if debug {
            line.push("console=ttyS0");
        } else {
            line.push("quiet");
            // Nobody listens: no probing of ports.
            line.push("8250.nr_uarts=0");
        }
        line
    }

    /// Appends a word, or several.
    pub fn push(&mut self, word: impl Into<String>) {
        self.0.push(word.into());
    }

    /// Announces a virtio device behind registers at `address`, with interrupt `line`.
    pub fn push_device(&mut self, address: u64, line: u32) {
        self.push(format!("virtio_mmio.device=4K@{address:#x}:{line}"));
    }

    /// As the kernel reads it, with the terminating zero.
    pub(super) fn terminated(&self) -> Result<Vec<u8>, BootError> {
        let mut text = self.0.join(" ").into_bytes();
        if text.len() >= COMMAND_LINE_SIZE {
            return Err(BootError::CommandLineTooLong { length: text.len(), limit: COMMAND_LINE_SIZE - 1 });
        }
        text.push(0);
        Ok(text)
    }
}
