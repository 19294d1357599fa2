//! Boots a kernel and shows when it got how far: `boot KERNEL [INITRAMFS] [--cpus N] [--memory MIB] [--append WORDS]
//! [--quiet] [--devices]`.
//!
//! With the guest's console on stderr unless `--quiet`, and without devices unless `--devices`. Ends when the guest resets or crashes, or with the guest's
//! write of `0xfe` to the keyboard controller; prints milliseconds since the process was started, and exits by reason.

use std::{error::Error, time::Instant};

use vmm::{
    event_loop::EventLoop,
    machine::{Machine, MachineConfig},
    virtio::{balloon::Balloon, rng::Rng},
};

fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let (config, devices) = parse(std::env::args().skip(1))?;
    let mut event_loop = EventLoop::new()?;
    let mut machine = Machine::new(config, event_loop.remote_endpoint())?;
    if devices {
        machine.add_device(Box::new(Rng::default()))?;
        machine.add_device(Box::new(Balloon::default()))?;
    }
    eprintln!("boot: machine made after {:?}", start.elapsed());
    machine.start()?;
    eprintln!("boot: guest started after {:?}", start.elapsed());
    let exit = loop {
        event_loop.run_with_timeout(10)?;
        if let Some(exit) = machine.exit() {
            break exit;
        }
    };
    eprintln!("boot: {} after {:?}: {}", exit.line(), start.elapsed(), machine.exit_counts());
    drop(event_loop);
    Ok(())
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<(MachineConfig, bool), Box<dyn Error>> {
    let mut config = MachineConfig {
        kernel: arguments.next().ok_or("boot KERNEL [INITRAMFS]")?.into(),
        initramfs: None,
        command_line: Vec::new(),
        cpus: 1,
        memory: 128 << 20,
        debug: true,
    };
    let mut devices = false;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--cpus" => config.cpus = value()?.parse()?,
            "--memory" => config.memory = value()?.parse::<u64>()? << 20,
            "--append" => config.command_line.push(value()?),
            "--devices" => devices = true,
            "--quiet" => config.debug = false,
            path => config.initramfs = Some(path.into()),
        }
    }
    Ok((config, devices))
}
