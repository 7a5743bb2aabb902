//! A whole network's software update in simulated time: the planner and the machine that devices run (`weir_rollout::plan`,
//! `weir_rollout::update`), and around them devices, managers, an operator and faults, all from one seed.
//!
//! - [`world`]: what there is and the loop over events.
//! - [`fault`]: what goes wrong, drawn beforehand.
//! - [`shrink`]: the same run with fewer faults, as long as it still breaks something.
//! - [`replay`]: a rollout from the journal of a real network.
//! - [`report`], [`svg`]: what a person reads.

mod agenda;
mod check;
mod desk;
mod device;
pub mod fault;
mod journal;
mod network;
mod operator;
pub mod random;
pub mod replay;
pub mod report;
pub mod shrink;
pub mod svg;
mod trouble;
pub mod world;

#[cfg(test)]
mod tests;
