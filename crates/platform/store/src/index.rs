//! The index: 64 shards from key hash to the variants of a key. A shard's lock is held for a map operation, never across an await.

use crate::{VARIANTS_MAX, object::Object};
use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Shards: enough that 64 cores seldom meet on one.
const SHARDS: usize = 64;

/// The key of a shard's map is already a keyed hash.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = self.0.rotate_left(8) ^ u64::from(*b));
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

struct Entry<H> {
    key: Arc<str>,
    /// Newest first.
    variants: Vec<Arc<Object<H>>>,
}

impl<H> Entry<H> {
    /// Takes the oldest beyond [`VARIANTS_MAX`].
    fn surplus(&mut self) -> Vec<Arc<Object<H>>> {
        self.variants.split_off(self.variants.len().min(VARIANTS_MAX))
    }
}

/// What an insertion removed.
pub(crate) struct Gone<H> {
    /// Variants the new one replaces.
    pub(crate) replaced: Vec<Arc<Object<H>>>,
    /// Others, for want of a place.
    pub(crate) pushed_out: Vec<Arc<Object<H>>>,
}

/// What became of an object that was to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlinked {
    Yes,
    NotThere,
    Refused,
}

type Shard<H> = HashMap<u64, Entry<H>, BuildHasherDefault<Identity>>;

pub(crate) struct Index<H> {
    shards: Box<[Mutex<Shard<H>>]>,
    hasher: RandomState,
}

impl<H> Index<H> {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::new(Shard::default())).collect(), hasher: RandomState::new() }
    }

    /// Keyed per process, so that nobody outside can aim at one shard or make keys collide.
    pub(crate) fn hash(&self, key: &str) -> u64 {
        self.hasher.hash_one(key)
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard<H>> {
        let index = usize::try_from(hash >> 58).expect("six bits");
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest variant `wanted` accepts; counts as a use of it, before anybody can unlink it.
    pub(crate) fn find(&self, key: &str, wanted: impl Fn(&H) -> bool) -> Option<Arc<Object<H>>> {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        let entry = shard.get(&hash).filter(|e| &*e.key == key)?;
        entry.variants.iter().find(|o| wanted(o.head())).inspect(|o| o.used()).cloned()
    }

    /// Adds a variant before the others. Two keys of one hash displace each other.
    pub(crate) fn insert(&self, object: Arc<Object<H>>, replaces: impl Fn(&Object<H>) -> bool) -> Gone<H> {
        let mut shard = self.shard(object.hash());
        let entry = shard.entry(object.hash()).or_insert_with(|| Entry { key: object.shared_key(), variants: Vec::new() });
        let mut pushed_out = Vec::new();
        if entry.key != object.shared_key() {
            entry.key = object.shared_key();
            pushed_out.append(&mut entry.variants);
        }
        let replaced = entry.variants.extract_if(.., |o| replaces(o)).collect();
        entry.variants.insert(0, object);
        pushed_out.extend(entry.surplus());
        Gone { replaced, pushed_out }
    }

    /// Adds a variant behind the others, or as the first of its key: what was brought back is older than what is here.
    /// `false`: there is no place for it.
    pub(crate) fn insert_last(&self, object: Arc<Object<H>>) -> bool {
        let mut shard = self.shard(object.hash());
        let entry = shard.entry(object.hash()).or_insert_with(|| Entry { key: object.shared_key(), variants: Vec::new() });
        let fits = entry.key == object.shared_key() && entry.variants.len() < VARIANTS_MAX;
        if fits {
            entry.variants.push(object);
        }
        fits
    }

    /// Whether one of a key's variants is so.
    pub(crate) fn any(&self, key: &str, is_so: impl Fn(&Object<H>) -> bool) -> bool {
        let hash = self.hash(key);
        self.shard(hash).get(&hash).filter(|e| &*e.key == key).is_some_and(|e| e.variants.iter().any(|o| is_so(o)))
    }

    /// The variants of a key.
    pub(crate) fn variants(&self, key: &str) -> Vec<Arc<Object<H>>> {
        let hash = self.hash(key);
        self.shard(hash).get(&hash).filter(|e| &*e.key == key).map_or_else(Vec::new, |e| e.variants.clone())
    }

    /// Calls `each` with every object, shard by shard.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&Arc<Object<H>>)) {
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.values().flat_map(|entry| &entry.variants).for_each(&mut each);
        }
    }

    /// Puts `before` in the place of `object`, if that is still there; returns what had to go for it.
    pub(crate) fn restore(&self, object: &Arc<Object<H>>, before: &[Arc<Object<H>>]) -> Option<Vec<Arc<Object<H>>>> {
        let mut shard = self.shard(object.hash());
        let entry = shard.get_mut(&object.hash())?;
        let at = entry.variants.iter().position(|o| Arc::ptr_eq(o, object))?;
        drop(entry.variants.splice(at..=at, before.iter().cloned()));
        let gone = entry.surplus();
        if entry.variants.is_empty() {
            shard.remove(&object.hash());
        }
        Some(gone)
    }

    /// Removes this very object, if it is still there.
    pub(crate) fn unlink(&self, object: &Arc<Object<H>>) -> bool {
        self.unlink_where(object, |_| true) == Unlinked::Yes
    }

    /// Removes this very object, if it is still there and `may` says so while nobody can find it.
    pub(crate) fn unlink_where(&self, object: &Arc<Object<H>>, may: impl Fn(&Object<H>) -> bool) -> Unlinked {
        let mut shard = self.shard(object.hash());
        let Some(entry) = shard.get_mut(&object.hash()) else { return Unlinked::NotThere };
        let Some(at) = entry.variants.iter().position(|o| Arc::ptr_eq(o, object)) else { return Unlinked::NotThere };
        if !may(object) {
            return Unlinked::Refused;
        }
        entry.variants.remove(at);
        if entry.variants.is_empty() {
            shard.remove(&object.hash());
        }
        Unlinked::Yes
    }

    /// Whether this very object is there.
    pub(crate) fn holds(&self, object: &Arc<Object<H>>) -> bool {
        self.shard(object.hash()).get(&object.hash()).is_some_and(|e| e.variants.iter().any(|o| Arc::ptr_eq(o, object)))
    }

    /// Removes the variants of a key that `unwanted` names.
    pub(crate) fn remove(&self, key: &str, unwanted: impl Fn(&H) -> bool) -> Vec<Arc<Object<H>>> {
        let hash = self.hash(key);
        let mut shard = self.shard(hash);
        let Some(entry) = shard.get_mut(&hash).filter(|e| &*e.key == key) else { return Vec::new() };
        let gone = entry.variants.extract_if(.., |o| unwanted(o.head())).collect();
        if entry.variants.is_empty() {
            shard.remove(&hash);
        }
        gone
    }

    /// Objects in all shards.
    pub(crate) fn count(&self) -> u64 {
        self.shards
            .iter()
            .map(|s| s.lock().unwrap_or_else(PoisonError::into_inner).values().map(|e| e.variants.len() as u64).sum::<u64>())
            .sum()
    }
}
