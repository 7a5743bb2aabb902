//! The byte account: what is in memory now, counted where it is taken and given back where it is freed.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Bytes in memory against a limit.
pub(crate) struct Account {
    used: AtomicU64,
    limit: u64,
}

impl Account {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), limit })
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes `bytes` if the limit allows it.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| used.checked_add(bytes).filter(|sum| *sum <= self.limit))
            .ok()
            .map(|_| Charge { account: self.clone(), bytes })
    }

    /// A charge of nothing, to merge others into.
    pub(crate) fn nothing(self: &Arc<Self>) -> Charge {
        Charge { account: self.clone(), bytes: 0 }
    }
}

/// Bytes taken from an account; given back when dropped.
pub(crate) struct Charge {
    account: Arc<Account>,
    bytes: u64,
}

impl Charge {
    /// Adds another charge to this one.
    pub(crate) fn merge(&mut self, mut other: Charge) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Splits `bytes`, or all there is, off this charge.
    pub(crate) fn split(&mut self, bytes: u64) -> Charge {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Charge { account: self.account.clone(), bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A slice's memory with its charge: the charge ends when the last handle to the bytes does, wherever that is.
pub(crate) struct ChargedSlice {
    bytes: Box<[u8]>,
    _charge: Charge,
}

impl ChargedSlice {
    pub(crate) fn new(bytes: Box<[u8]>, charge: Charge) -> Self {
        Self { bytes, _charge: charge }
    }
}

impl AsRef<[u8]> for ChargedSlice {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back_once() {
        let account = Account::new(10);
        let mut a = account.take(6).expect("room");
        assert!(account.take(5).is_none());
        a.merge(account.take(4).expect("room"));
        let b = a.split(7);
        assert_eq!(account.used(), 10);
        drop(a);
        assert_eq!(account.used(), 7);
        drop(bytes::Bytes::from_owner(ChargedSlice::new(Box::default(), b)));
        assert_eq!(account.used(), 0);
    }
}
