//! The OpenAPI document: committed, complete, served.

use crate::harness::Running;
use serde_json::Value;
use std::{fs, path::Path};
use weir_operator_api::paths;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/openapi.json");

/// `UPDATE_OPENAPI=1 cargo test -p weir-manager openapi` writes the document anew.
#[test]
fn the_committed_document_is_what_the_handlers_say() {
    // The committed document is that of the released line.
    if cfg!(feature = "synthetic-next") {
        return;
    }
    let document = weir_manager::openapi();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::create_dir_all(Path::new(COMMITTED).parent().expect("docs")).expect("docs");
        fs::write(COMMITTED, &document).expect("written");
    }
    let committed = fs::read_to_string(COMMITTED).expect("docs/openapi.json");
    assert!(committed == document, "docs/openapi.json has drifted; run the test with UPDATE_OPENAPI=1 and read the difference");
}

#[test]
fn every_path_of_the_contract_is_in_the_document() {
    let document: Value = serde_json::from_str(&weir_manager::openapi()).expect("JSON");
    assert!(document["openapi"].as_str().expect("version").starts_with("3.1"));
    let described = document["paths"].as_object().expect("paths");
    for path in [
        paths::STATUS,
        paths::LOCATIONS,
        paths::DEVICES,
        paths::FEATURES,
        paths::DELIVERY_SERVICES,
        paths::COVERAGE_ZONES,
        paths::ENROLMENT_TOKENS,
        paths::TOKENS,
        paths::ALARMS,
        paths::AUDIT,
        paths::ROUTE_EXPLAIN,
        paths::UPDATES,
    ] {
        assert!(described.contains_key(path), "{path}");
    }
}

#[tokio::test]
async fn the_document_is_served() {
    let running = Running::start().await;
    let served = running.call_with("none", hyper::Method::GET, paths::OPENAPI, None).await.expect(200);
    assert_eq!(served, serde_json::from_str::<Value>(&weir_manager::openapi()).expect("JSON"));
}
