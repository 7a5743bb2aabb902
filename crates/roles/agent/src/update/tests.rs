//! Whole updates of one device: a keeper, a manager and two workers, of which the agent's half is the real one.

mod faults;
mod lane;
mod resumed;
mod world;
