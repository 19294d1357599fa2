//! Stage1: the micro-VM and the host half of a running pod.

pub mod boot;
pub mod event_loop;
pub mod jail;
pub mod kvm;
pub mod machine;
pub mod memory;
pub mod pod;
pub mod serial;
pub mod virtio;
