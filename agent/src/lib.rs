//! The guest half of a pod: PID 1 of the micro-VM, and the protocol it speaks with the host.
//!
//! The library is what stage1 shares: the wire protocol, and requests to the kernel's routing tables. The binary is the agent.

pub mod netlink;
pub mod protocol;
