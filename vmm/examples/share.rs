//! Boots a kernel with a shared directory: `share KERNEL INITRAMFS DIRECTORY [--cpus N] [--memory MIB] [WORD...]`.
//!
//! The guest mounts the tag `rootfs`; WORDs are for its command line; its console is on stderr. Ends when the guest
//! does.

use std::{error::Error, path::PathBuf};

use vmm::{
    event_loop::EventLoop,
    machine::{Machine, MachineConfig},
    virtio::fs::{CachePolicy, Fs, IoLimits, ShareConfig, Watches, files_of},
};

fn main() -> Result<(), Box<dyn Error>> {
    let (config, share) = parse(std::env::args().skip(1))?;
    let device = Fs::new(&share, config.cpus)?;
    let mut event_loop = EventLoop::new()?;
    let mut machine = Machine::new(config, event_loop.remote_endpoint())?;
    machine.add_device(Box::new(device))?;
    machine.start()?;
    while machine.exit().is_none() {
        event_loop.run_with_timeout(10)?;
    }
    eprintln!("share: {}", machine.exit_counts());
    drop(event_loop);
    Ok(())
}

fn parse(
    mut arguments: impl Iterator<Item = String>,
) -> Result<(MachineConfig, ShareConfig), Box<dyn Error>> {
    let mut path = || arguments.next().map(PathBuf::from).ok_or("share KERNEL INITRAMFS DIRECTORY");
    let (kernel, initramfs, directory) = (path()?, path()?, path()?);
    let mut config = MachineConfig {
        kernel,
        initramfs: Some(initramfs),
        command_line: Vec::new(),
        cpus: 1,
        memory: 512 << 20,
        debug: true,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--cpus" => config.cpus = value()?.parse()?,
            "--memory" => config.memory = value()?.parse::<u64>()? << 20,
            _ => config.command_line.push(argument),
        }
    }
    let share = ShareConfig {
        tag: "rootfs".into(),
        directory,
        cache: CachePolicy::Pod,
        read_only: false,
        files: files_of(config.memory),
        limits: IoLimits::default(),
        watches: Watches::default(),
    };
    Ok((config, share))
}
