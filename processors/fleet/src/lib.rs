//! The weir binary: topology, registry, commands, admin server.
//!
//! [`topology`] reads the one configuration file, [`cli`] the command line; each command is a file under
//! [`commands`]. Here alone every worker is named.

pub mod admin;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod connection;
pub mod fleet;
pub mod load;
pub mod registry;
pub mod signals;
pub mod tables;
pub mod topology;
pub mod up;

pub use weir_runtime::chain;
