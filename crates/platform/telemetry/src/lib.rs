//! Logs, metrics registry, error-chain printer, owned task spawning.

pub mod chain;
pub mod log;
pub mod metrics;
pub mod task;

pub use chain::Chain;
pub use metrics::Metrics;
pub use task::Tasks;
