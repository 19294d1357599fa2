//! The host command line `rkt` as a library, so that tests and fuzzers reach its parts.
//!
//! stage0 knows images and pods and never links the VMM or the agent: a pod is started by executing the
//! `run` entrypoint of a stage1 image.

pub mod archive;
pub mod assemble;
pub mod build;
pub mod cli;
pub mod config;
pub mod convert;
pub mod display;
pub mod dns;
pub mod fetch;
pub mod http;
pub mod insecure;
pub mod launch;
pub mod log;
pub mod logs;
pub mod net;
pub mod pod;
pub mod registry;
pub mod stage1;
pub mod store;
pub mod tree;
pub mod trust;
