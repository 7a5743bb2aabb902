//! Random operations against a map.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

#[derive(Debug, Clone)]
enum Op {
    Put {
        key: u8,
        head: u8,
        size: usize,
    },
    Get {
        key: u8,
        head: u8,
    },
    Confirm {
        key: u8,
        head: u8,
    },
    Remove {
        key: u8,
    },
    RemoveOne {
        key: u8,
        head: u8,
    },
    /// Give the lease up and take it again.
    Settle,
    Reopen,
    /// Free one segment.
    Free,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0u8..10, 0u8..3, 0usize..40_000).prop_map(|(key, head, size)| Op::Put { key, head, size }),
        12 => (0u8..10, 0u8..3).prop_map(|(key, head)| Op::Get { key, head }),
        3 => (0u8..10, 0u8..3).prop_map(|(key, head)| Op::Confirm { key, head }),
        2 => (0u8..10).prop_map(|key| Op::Remove { key }),
        2 => (0u8..10, 0u8..3).prop_map(|(key, head)| Op::RemoveOne { key, head }),
        1 => Just(Op::Settle),
        1 => Just(Op::Reopen),
        1 => Just(Op::Free),
    ]
}

/// A body short enough to print.
fn print_of(body: &[u8]) -> (usize, u32) {
    (body.len(), crc32c::crc32c(body))
}

struct Run {
    dir: tempfile::TempDir,
    ram: u64,
    disk: u64,
    /// Whether both tiers have room for everything.
    exact: bool,
    store: Store<Head>,
    model: HashMap<(u8, u8), Vec<u8>>,
}

impl Run {
    fn get(&self, key: u8, head: u8) -> Option<Vec<u8>> {
        get(&self.store, &key.to_string(), head.into())
    }

    fn step(&mut self, round: u32, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Put { key, head, size } => {
                let body = pattern(size, round);
                // As an engine does: what the disk has is brought back, then replaced.
                let _held = object(&self.store, &key.to_string(), head.into());
                if put(&self.store, &key.to_string(), Head::new(head.into()), &body) {
                    self.model.insert((key, head), body);
                } else {
                    prop_assert!(!self.exact);
                    self.store.remove(&key.to_string());
                    self.model.retain(|(k, _), _| *k != key);
                }
            }
            Op::Get { key, head } => {
                let found = self.get(key, head);
                if self.exact || found.is_some() {
                    prop_assert_eq!(found.as_deref().map(print_of), self.model.get(&(key, head)).map(|body| print_of(body)));
                }
            }
            Op::Confirm { key, head } => {
                if let Some(object) = self.store.find(&key.to_string(), |h| h.word == u32::from(head)) {
                    self.store.refresh(&object, Head::new(head.into()), 4);
                }
            }
            Op::Remove { key } => {
                self.store.remove(&key.to_string());
                self.model.retain(|(k, _), _| *k != key);
            }
            Op::RemoveOne { key, head } => {
                for other in 0..3 {
                    // Of what is only on disk all would go.
                    self.get(key, other);
                }
                self.store.remove_where(&key.to_string(), |h| h.word == u32::from(head));
                self.model.remove(&(key, head));
            }
            Op::Settle => settle(&self.store),
            Op::Reopen => {
                give_up(&self.store);
                let nothing = Store::open(StoreSettings { ram_bytes: MIB, disk: None }).expect("opened");
                drop(std::mem::replace(&mut self.store, nothing));
                self.store = writing(self.dir.path(), self.ram, self.disk);
            }
            Op::Free if !self.exact => {
                self.store.free_disk(1);
            }
            Op::Free => {}
        }
        let stats = stats(&self.store);
        prop_assert_eq!((stats.error, stats.corrupt, stats.skipped_newer), (None, 0, 0));
        prop_assert!(stats.bytes <= self.disk);
        Ok(())
    }
}

fn run(ram: u64, disk: u64, exact: bool, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().expect("dir");
    let store = writing(dir.path(), ram, disk);
    let mut run = Run { dir, ram, disk, exact, store, model: HashMap::new() };
    for (round, op) in (0..).zip(ops) {
        run.step(round, op)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn with_room_it_is_a_map_over_restarts(ops in prop::collection::vec(op(), 0..120)) {
        run(16 * MIB, 256 * MIB, true, ops)?;
    }

    #[test]
    fn without_room_it_forgets_but_never_lies(ops in prop::collection::vec(op(), 0..250)) {
        run(200_000, 700_000, false, ops)?;
    }

    #[test]
    fn with_little_ram_and_a_large_disk_it_never_lies(ops in prop::collection::vec(op(), 0..250)) {
        run(200_000, 64 * MIB, false, ops)?;
    }
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Each thread has keys of its own and knows what they are; eviction, writer, reclaiming and loading are everybody's.
#[test]
fn with_many_at_it_nobody_sees_what_was_replaced_or_removed() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), 400_000, 2 * MIB);
    let threads: Vec<_> = (0..8u64)
        .map(|thread| {
            let store = store.clone();
            std::thread::spawn(move || {
                let (mut dice, mut model) = (Dice(thread), HashMap::<String, Vec<u8>>::new());
                for round in 0..3000u32 {
                    let key = format!("{thread}/{}", dice.next(12));
                    // Held while it is replaced, as an engine does.
                    let held = object(&store, &key, 0);
                    let found = held.as_ref().map(|object| print_of(&body_of(object).expect("whole")));
                    let stored = model.get(&key).map(|body| print_of(body));
                    assert!(found.is_none() || found == stored, "{key} in round {round}: {found:?} is not {stored:?}");
                    match dice.next(10) {
                        0..=4 => {
                            let body = pattern(usize::try_from(dice.next(30_000)).expect("small"), round);
                            model.remove(&key);
                            if put(&store, &key, Head::new(0), &body) {
                                model.insert(key, body);
                            } else {
                                store.remove(&key);
                            }
                        }
                        5 => {
                            store.remove(&key);
                            model.remove(&key);
                        }
                        6 => {
                            if let Some(object) = store.find(&key, |_| true) {
                                store.refresh(&object, Head::new(0), 4);
                            }
                        }
                        _ => {}
                    }
                    if thread == 0 && round % 300 == 299 {
                        settle(&store);
                    }
                }
                model
            })
        })
        .collect();
    let models: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no lie")).collect();
    give_up(&store);
    assert_eq!((stats(&store).error, stats(&store).corrupt), (None, 0));
    drop(store);
    let store: Store<Head> = open(dir.path(), 8 * MIB, 2 * MIB);
    let mut served = 0;
    for model in models {
        for key in 0..96 {
            let key = format!("{}/{}", key / 12, key % 12);
            let Some(found) = get(&store, &key, 0) else { continue };
            assert!(model.get(&key).is_none_or(|body| *body == found), "{key} after a restart");
            served += usize::from(model.contains_key(&key));
        }
    }
    assert!(served > 0, "nothing is served after a restart");
}
