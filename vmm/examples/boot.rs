//! Boots a kernel and shows when it got how far: `boot KERNEL [INITRAMFS] [--cpus N] [--memory MIB] [--append WORDS]
//! [--quiet] [--devices] [--tap NAME] [--mtu BYTES] [--user-space]`.
//!
//! With the guest's console on stderr unless `--quiet`, and without devices unless `--devices`. `--tap` creates a tap
//! interface for a network device with address 52:54:00:00:00:01, whose packets this process moves with `--user-space`,
//! and vhost-net else where it is. Ends when the guest resets or crashes, or with the guest's write of `0xfe` to the
//! keyboard controller; prints milliseconds since the process was started, and exits by reason.

use std::{error::Error, time::Instant};

use vmm::{
    event_loop::EventLoop,
    machine::{Machine, MachineConfig},
    virtio::{
        balloon::Balloon,
        net::{Net, NetConfig, Tap, queue_pairs},
        rng::Rng,
    },
};

fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let Arguments { config, devices, tap, mtu, user_space } = parse(std::env::args().skip(1))?;
    let mut event_loop = EventLoop::new()?;
    let queue_pairs = queue_pairs(config.cpus);
    let mut machine = Machine::new(config, event_loop.remote_endpoint())?;
    if devices {
        machine.add_device(Box::new(Rng::default()))?;
        machine.add_device(Box::new(Balloon::default()))?;
    }
    if let Some(name) = tap {
        let config = NetConfig { mac: [0x52, 0x54, 0, 0, 0, 1], mtu, tap: Tap::create(&name, queue_pairs)? };
        let device = if user_space { Net::in_user_space(config) } else { Net::new(config) };
        eprintln!("boot: {}", device.data_path());
        machine.add_device(Box::new(device))?;
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

struct Arguments {
    config: MachineConfig,
    devices: bool,
    tap: Option<String>,
    mtu: u16,
    user_space: bool,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, Box<dyn Error>> {
    let config = MachineConfig {
        kernel: arguments.next().ok_or("boot KERNEL [INITRAMFS]")?.into(),
        initramfs: None,
        command_line: Vec::new(),
        cpus: 1,
        memory: 128 << 20,
        debug: true,
    };
    let mut parsed = Arguments { config, devices: false, tap: None, mtu: 1500, user_space: false };
    let config = &mut parsed.config;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--cpus" => config.cpus = value()?.parse()?,
            "--memory" => config.memory = value()?.parse::<u64>()? << 20,
            "--append" => config.command_line.push(value()?),
            "--devices" => parsed.devices = true,
            "--tap" => parsed.tap = Some(value()?),
            "--mtu" => parsed.mtu = value()?.parse()?,
            "--user-space" => parsed.user_space = true,
            "--quiet" => config.debug = false,
            path => config.initramfs = Some(path.into()),
        }
    }
    Ok(parsed)
}
