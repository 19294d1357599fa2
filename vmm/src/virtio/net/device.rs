//! The device as the transport sees it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use virtio_bindings::{
    virtio_ids::VIRTIO_ID_NET,
    virtio_net::{VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_MQ, VIRTIO_NET_F_MRG_RXBUF},
};

use super::{
    CONTROL_QUEUE_SIZE, NetConfig, QUEUE_SIZE, Tap,
    control::Control,
    features::{self, has},
    pairs::{Pairs, QueuePair},
    vhost::{Vhost, VhostError, VhostPair},
    worker::{Duty, Worker},
};
use crate::{
    event_loop::Attachment,
    virtio::{ActivateError, Activation, ActiveQueue, GuestRam, Interrupt, VirtioDevice},
};

/// The virtio network device.
#[derive(Debug)]
pub struct Net {
    config_space: [u8; 12],
    mtu: u16,
    tap: Tap,
    features: u64,
    queue_sizes: Vec<u16>,
    /// One for each queue pair, or why the data path is in user space.
    vhost: Result<Vec<Arc<Vhost>>, String>,
    counters: Arc<Counters>,
    running: Option<Running>,
}

/// Packets that went nowhere, in user space.
#[derive(Debug, Default)]
pub struct Counters {
    transmitted: AtomicU64,
    received: AtomicU64,
}

/// An active device's queue pairs.
#[derive(Debug)]
enum Running {
    Alone {
        _pairs: Pairs,
    },
    /// They belong to the control queue.
    Controlled(Attachment),
}

/// A queue pair the driver set up.
struct Queues {
    rx: ActiveQueue,
    tx: ActiveQueue,
}

impl Net {
    /// A device with the host kernel's data path if it has one, else with one in user space.
    pub fn new(config: NetConfig) -> Self {
        let vhost = (0..config.tap.queue_pairs()).map(|_| Vhost::open().map(Arc::new));
        let vhost = vhost.collect::<Result<_, VhostError>>().map_err(|error| error.to_string());
        Net::with(config, vhost)
    }

    /// A device whose data path is in user space, whatever the host offers.
    pub fn in_user_space(config: NetConfig) -> Self {
        Net::with(config, Err("as asked for".to_owned()))
    }

    fn with(config: NetConfig, vhost: Result<Vec<Arc<Vhost>>, String>) -> Self {
        let pairs = config.tap.queue_pairs();
        let mut queue_sizes = vec![QUEUE_SIZE; 2 * usize::from(pairs)];
        if pairs > 1 {
            queue_sizes.push(CONTROL_QUEUE_SIZE);
        }
        Net {
            config_space: config.space(),
            mtu: config.mtu,
            features: features::offered(&config.tap),
            tap: config.tap,
            queue_sizes,
            vhost,
            counters: Arc::default(),
            running: None,
        }
    }

    /// Who moves the packets, and why, as a line for the user.
    pub fn data_path(&self) -> String {
        let name = self.tap.name();
        let pairs = match self.tap.queue_pairs() {
            1 => "1 queue pair".to_owned(),
            count => format!("{count} queue pairs"),
        };
        match &self.vhost {
            Ok(_) => format!("Network interface {name:?}: {pairs} in vhost-net"),
            Err(reason) => {
                format!("Network interface {name:?}: {pairs} in user space ({reason})")
            }
        }
    }

    /// What was dropped; a handle that works for as long as it is kept.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    fn in_kernel(
        &self,
        features: u64,
        memory: &GuestRam,
        interrupt: &Arc<Interrupt>,
        queues: &[Queues],
    ) -> Result<Pairs, VhostError> {
        let vhosts = self.vhost.as_deref().unwrap_or_default();
        let pairs = vhosts.iter().zip(queues).map(|(vhost, Queues { rx, tx })| {
            let pair = VhostPair::new(vhost, features, memory, interrupt, [rx, tx])?;
            Ok(Box::new(pair) as Box<dyn QueuePair>)
        });
        let pairs = pairs.collect::<Result<_, VhostError>>()?;
        Ok(Pairs::new(self.tap.clone(), pairs)?)
    }

    fn by_workers(
        &self,
        features: u64,
        memory: &GuestRam,
        interrupt: &Arc<Interrupt>,
        queues: Vec<Queues>,
    ) -> io::Result<Pairs> {
        let workers = queues.into_iter().enumerate().map(|(index, Queues { rx, tx })| {
            let worker = Worker::start(Duty {
                index: index as u16,
                tap: self.tap.clone(),
                memory: Arc::clone(memory),
                interrupt: Arc::clone(interrupt),
                rx,
                tx,
                mergeable: has(features, VIRTIO_NET_F_MRG_RXBUF),
                longest: features::longest_frame(features, self.mtu),
                counters: Arc::clone(&self.counters),
            })?;
            Ok(Box::new(worker) as Box<dyn QueuePair>)
        });
        Pairs::new(self.tap.clone(), workers.collect::<io::Result<_>>()?)
    }
}

impl VirtioDevice for Net {
    fn device_type(&self) -> u32 {
        VIRTIO_ID_NET
    }

    fn features(&self) -> u64 {
        self.features
    }

    fn queue_sizes(&self) -> &[u16] {
        &self.queue_sizes
    }

    fn config_space(&self) -> Vec<u8> {
        self.config_space.to_vec()
    }

    fn activate(&mut self, activation: Activation) -> Result<(), ActivateError> {
        let Activation { memory, features, queues, interrupt, event_loop } = activation;
        let limit = if has(features, VIRTIO_NET_F_MQ) { self.tap.queue_pairs() } else { 1 };
        let (queues, control) = sort(queues, usize::from(limit));
        if queues.is_empty() {
            return Err(ActivateError::MissingQueue(0));
        }
        self.tap.set_offloads(features::offloads(features))?;
        self.tap.detach_all_but_first();
        let in_kernel = match &self.vhost {
            Ok(_) => self.in_kernel(features, &memory, &interrupt, &queues).map_err(Some),
            Err(_) => Err(None),
        };
        let pairs = match in_kernel {
            Ok(pairs) => pairs,
            Err(error) => {
                if let Some(error) = error {
                    eprintln!("stage1: vhost-net does not work, the network is in user space: {error}");
                }
                self.by_workers(features, &memory, &interrupt, queues)?
            }
        };
        self.running = Some(match control.filter(|_| has(features, VIRTIO_NET_F_CTRL_VQ)) {
            None => Running::Alone { _pairs: pairs },
            Some(queue) => {
                let control = Control { queue, memory, interrupt, pairs };
                Running::Controlled(Attachment::new(event_loop, Box::new(control))?)
            }
        });
        Ok(())
    }

    fn reset(&mut self) {
        if let Some(Running::Controlled(attachment)) = self.running.take() {
            attachment.detach();
        }
    }
}

/// The queue pairs that are complete, at most `limit` and as far as none is missing before them; and the control
/// queue, which comes after `limit` pairs (virtio 1.2 §5.1.2).
fn sort(queues: Vec<ActiveQueue>, limit: usize) -> (Vec<Queues>, Option<ActiveQueue>) {
    let mut queues = queues.into_iter();
    let mut pairs = Vec::new();
    let mut complete = true;
    for _ in 0..limit {
        let (Some(rx), Some(tx)) = (queues.next(), queues.next()) else { break };
        complete &= rx.is_ready() && tx.is_ready();
        if complete {
            pairs.push(Queues { rx, tx });
        }
    }
    (pairs, queues.next().filter(ActiveQueue::is_ready))
}

impl Counters {
    /// Packets of the guest that were too short, too long, or refused by the host's kernel.
    pub fn transmitted_dropped(&self) -> u64 {
        self.transmitted.load(Ordering::Relaxed)
    }

    /// Packets for the guest that did not fit the room it had for them.
    pub fn received_dropped(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(super) fn drop_transmitted(&self) {
        self.transmitted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn drop_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(super) mod tests;
