//! Logs, metrics registry, error-chain printer, owned task spawning.
