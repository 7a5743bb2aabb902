//! Every target over its seeds and over random bytes: what cargo-fuzz would start from, on a stable compiler.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use weir_fuzz::TARGETS;

/// Seeds that a target has at least.
const SEEDS_MIN: usize = 3;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder("corpus").join(target)).unwrap_or_else(|error| panic!("corpus/{target}: {error}"));
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    paths.map(|path| (path.clone(), fs::read(&path).expect("a readable seed"))).collect()
}

#[test]
fn every_seed() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        let (mut taken, mut refused) = (0, 0);
        assert!(seeds.len() >= SEEDS_MIN, "{name} has {} seeds", seeds.len());
        for (path, bytes) in seeds {
            match std::panic::catch_unwind(|| target(&bytes)) {
                Ok(true) => taken += 1,
                Ok(false) => refused += 1,
                Err(_) => panic!("{} panics", path.display()),
            }
        }
        assert!(taken > 0 && refused > 0, "{name}: {taken} seeds taken, {refused} refused: both must be tried");
    }
}

#[test]
fn every_target_has_a_cargo_fuzz_file() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let entries = fs::read_dir(folder("fuzz_targets")).unwrap();
    let files: BTreeSet<String> = entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, files);
    let manifest = fs::read_to_string(folder("cargo-fuzz/Cargo.toml")).unwrap();
    for name in names {
        assert!(manifest.contains(&format!("path = \"../fuzz_targets/{name}.rs\"")), "cargo-fuzz/Cargo.toml does not build {name}");
    }
}

/// A seed with a few bytes changed, cut out or put in, or bytes without any shape.
fn mutated(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let seeds: Vec<Vec<u8>> = seeds(target).into_iter().map(|(_, bytes)| bytes).collect();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..8);
    let shaped = (prop::sample::select(seeds), edits).prop_map(|(mut bytes, edits)| {
        for (at, byte, kind) in edits {
            let place = at.index(bytes.len() + 1);
            match (kind, bytes.get_mut(place)) {
                (0, Some(old)) => *old = byte,
                (1, Some(_)) => drop(bytes.remove(place)),
                _ => bytes.insert(place, byte),
            }
        }
        bytes
    });
    prop_oneof![3 => shaped, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

#[test]
fn random_bytes() {
    for (name, target) in TARGETS {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() });
        let result = runner.run(&mutated(name), |bytes| {
            target(&bytes);
            Ok(())
        });
        result.unwrap_or_else(|failure| panic!("{name}: {failure}"));
    }
}
