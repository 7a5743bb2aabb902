//! What a device begins.

/// Work to begin once the new state is journalled; begun twice it does no harm. What the keeper is asked for and what the report
/// wishes of the lease follows from the state alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Reserve space, fetch, verify, write the slot.
    Fetch,
    /// Free what can be freed, then try again.
    MakeSpace,
    /// Let the share rise to the whole.
    Ramp,
}
