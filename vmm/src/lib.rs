//! Stage1: the micro-VM and the host half of a running pod.

pub mod event_loop;
pub mod machine;
pub mod pod;
pub mod virtio;
