//! What is added to lines and their resources.

pub mod agent;
pub mod class;
pub mod condition;
pub mod geo;
pub mod lookup;
pub mod severity;
pub mod tables;
pub mod trace;
