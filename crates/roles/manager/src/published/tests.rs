//! What is published of services that are bad, and of good ones beside them.

use super::*;
use crate::{compile::tests::network, snapshot::DeviceRecord, tables::migrations};
use rusqlite::Connection;
use weir_model::{DeliveryService as Compiled, DeviceConfiguration, service::TTL_SECONDS_MAX};

/// A `config.db` with two services, `demo` and `films`, in memory.
fn config() -> Connection {
    let config = Connection::open_in_memory().expect("opens");
    for step in migrations::CONFIG {
        config.execute_batch(step.up_sql).expect("runs");
    }
    for (id, name) in [(1, "demo"), (2, "films")] {
        let insert = "INSERT INTO delivery_service (id, name, domain, origin, every_engine, ignore_query, store_set_cookie, revision)
            VALUES (?1, ?2, ?2 || '.weir.test', 'http://origin.example.com', 1, 0, 0, 1)";
        config.execute(insert, (id, name)).expect("inserted");
    }
    config
}

/// The sample's network with the services of a database.
fn read(tx: &Transaction<'_>) -> Snapshot {
    let (services, unreadable) = crate::tables::delivery_services::all(tx).expect("read");
    let mut network = Snapshot { services, ..network() };
    settle(tx, &mut network, unreadable).expect("settled");
    network
}

fn document(network: &Snapshot) -> DeviceConfiguration {
    let engine: &DeviceRecord = &network.devices["core-1"];
    compile::document(network, engine)
}

fn services(network: &Snapshot) -> Vec<Compiled> {
    let document = document(network);
    weir_routing::Network::compile(&document).expect("an engine can load it");
    document.services
}

fn names(network: &Snapshot) -> Vec<String> {
    services(network).into_iter().map(|service| service.name.to_string()).collect()
}

/// A published network, and what it is once the database was changed behind the manager's back.
fn damaged(sql: &str) -> (Snapshot, Snapshot, Connection) {
    let mut config = config();
    let tx = config.transaction().expect("begins");
    let good = read(&tx);
    keep(&tx, &Snapshot { services: Vec::new(), ..good.clone() }, &good).expect("kept");
    tx.execute_batch(sql).expect(sql);
    let bad = read(&tx);
    tx.commit().expect("commits");
    (good, bad, config)
}

fn over(seconds: u32) -> String {
    format!("UPDATE delivery_service SET max_ttl_seconds = {seconds} WHERE name = 'demo'")
}

#[test]
fn a_good_network_holds_nothing() {
    let (good, same, _config) = damaged("");
    assert!(good.held.is_empty() && good.unfit.is_none());
    assert_eq!(services(&good), services(&same));
    assert_eq!(allowed(&good, &same), Ok(()));
}

#[test]
fn a_service_that_cannot_be_run_goes_on_as_it_was() {
    for (sql, why) in [
        (over(TTL_SECONDS_MAX + 1), "delivery service demo: caching.max_ttl_seconds is 31622401 s, more than 31622400"),
        ("UPDATE delivery_service SET origin = 'gopher://x' WHERE name = 'demo'".to_owned(), "origin: "),
        ("UPDATE delivery_service SET domain = '' WHERE name = 'demo'".to_owned(), "domain: "),
        ("UPDATE delivery_service SET name = '..' WHERE name = 'demo'".to_owned(), "name: "),
        ("UPDATE delivery_service SET max_ttl_seconds = -1 WHERE name = 'demo'".to_owned(), "max_ttl_seconds: "),
    ] {
        let (good, bad, _config) = damaged(&sql);
        let held = bad.held.get(&1).unwrap_or_else(|| panic!("held: {sql}"));
        assert!(held.why.starts_with(why), "{}", held.why);
        assert_eq!(services(&bad), services(&good), "{sql}");
        assert_eq!(bad.services.len(), 2, "it is listed, so that it can be mended: {sql}");
        assert_eq!(allowed(&bad, &bad), Ok(()), "what is held stops nobody else: {sql}");
        assert_eq!(allowed(&good, &bad).expect_err("a write that breaks it").reason, Reason::DoesNotCompile, "{sql}");
    }
}

#[test]
fn one_of_which_nothing_was_published_is_left_out() {
    let mut config = config();
    config.execute_batch(&over(u32::MAX)).expect("written");
    let tx = config.transaction().expect("begins");
    let network = read(&tx);
    assert_eq!((names(&network), network.held[&1].last.is_none()), (vec!["films".to_owned()], true));
    tx.execute_batch("UPDATE delivery_service SET name = '.' || id, domain = '.' || id").expect("written");
    let network = read(&tx);
    assert_eq!((names(&network).len(), network.held.len(), network.services.len()), (0, 2, 0));
}

/// Both were good once; by now the last form of the one is in the way of the other's row.
#[test]
fn what_is_held_gives_way() {
    let sql = "UPDATE delivery_service SET domain = 'other.weir.test', max_ttl_seconds = 4000000000 WHERE name = 'demo';
        UPDATE delivery_service SET domain = 'demo.weir.test' WHERE name = 'films';";
    let (_, bad, _config) = damaged(sql);
    assert_eq!((names(&bad), bad.held[&1].last.is_none()), (vec!["films".to_owned()], true));
    assert_eq!(services(&bad)[0].domain.as_str(), "demo.weir.test");
}

#[test]
fn a_write_that_touches_a_held_service_mends_it_or_is_refused() {
    let (_, bad, mut config) = damaged(&over(TTL_SECONDS_MAX + 1));
    let tx = config.transaction().expect("begins");
    tx.execute_batch("UPDATE delivery_service SET ignore_query = 1 WHERE name = 'demo'").expect("written");
    let problem = allowed(&bad, &read(&tx)).expect_err("still bad");
    assert_eq!((problem.reason, problem.next.as_str()), (Reason::DoesNotCompile, "correct delivery service demo"));
    tx.execute_batch("UPDATE delivery_service SET max_ttl_seconds = 60 WHERE name = 'demo'").expect("written");
    let mended = read(&tx);
    assert_eq!((allowed(&bad, &mended), mended.held.len()), (Ok(()), 0));
    keep(&tx, &bad, &mended).expect("kept");
    tx.execute_batch(&over(u32::MAX)).expect("written");
    assert_eq!(services(&read(&tx))[0].caching.max_ttl_seconds, Some(60), "the last that was good");
}

#[test]
fn a_rendition_is_written_when_the_service_changes_and_only_then() {
    let mut config = config();
    let tx = config.transaction().expect("begins");
    let generation = |tx: &Transaction<'_>| -> Vec<i64> {
        let mut statement = tx.prepare("SELECT generation FROM published_service ORDER BY delivery_service").expect("SQL");
        statement.query_map([], |row| row.get(0)).expect("read").collect::<Result<_, _>>().expect("numbers")
    };
    let before = read(&tx);
    let mut after = before.clone();
    after.stamp.generation = 43;
    keep(&tx, &before, &after).expect("kept");
    assert_eq!(generation(&tx), [43, 43], "nothing was kept of them");
    after.stamp.generation = 44;
    keep(&tx, &before, &after).expect("kept");
    assert_eq!(generation(&tx), [43, 43]);
    after.services[1].revision = 44;
    keep(&tx, &before, &after).expect("kept");
    assert_eq!(generation(&tx), [43, 44]);
    tx.execute("DELETE FROM delivery_service WHERE id = 1", []).expect("deleted");
    assert_eq!(generation(&tx), [44], "it goes with its service");
}

#[test]
fn devices_of_a_line_that_is_not_known_get_what_the_level_has() {
    let (good, ..) = damaged("");
    let engine = &good.devices["core-1"];
    let of = |line| compile::document_for(&good, engine, line);
    assert_eq!(of(None), of(Some(FIRST_LEVEL)), "every line can run this");
}

#[test]
fn an_unfit_network_is_mended_in_as_many_steps_as_it_takes() {
    let (good, ..) = damaged("");
    let unfit = Snapshot { unfit: Some("has no root".into()), ..good.clone() };
    assert_eq!(allowed(&unfit, &unfit), Ok(()));
    assert_eq!(allowed(&unfit, &good), Ok(()));
    assert_eq!(allowed(&good, &unfit).expect_err("it was well before").reason, Reason::DoesNotCompile);
}

/// Films takes the domain under which devices of an older line have demo.
#[cfg(feature = "synthetic-next")]
#[test]
fn what_an_older_line_has_gives_way() {
    let mut config = config();
    let tx = config.transaction().expect("begins");
    let settled = |tx: &Transaction<'_>| {
        let mut network = Snapshot { level: weir_model::next::SERVICE_DETAIL_SINCE, ..read(tx) };
        settle(tx, &mut network, Vec::new()).expect("settled");
        network
    };
    let first = settled(&tx);
    keep(&tx, &Snapshot { services: Vec::new(), ..first.clone() }, &first).expect("kept");
    let moved = "UPDATE delivery_service SET detail = 'gold', domain = 'e.weir.test', revision = 2 WHERE name = 'demo';
        UPDATE delivery_service SET domain = 'demo.weir.test', revision = 2 WHERE name = 'films';";
    tx.execute_batch(moved).expect("written");
    let second = settled(&tx);
    keep(&tx, &first, &second).expect("kept");
    let second = settled(&tx);
    for (line, expected) in [(None, vec!["demo", "films"]), (Some(FIRST_LEVEL), vec!["films"])] {
        let document = compile::document_for(&second, &second.devices["core-1"], line);
        weir_routing::Network::compile(&document).expect("an engine can load it");
        let names: Vec<_> = document.services.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, expected, "{line:?}");
    }
}

#[cfg(feature = "synthetic-next")]
#[test]
fn what_a_line_cannot_run_is_held_for_it_alone() {
    let mut config = config();
    let tx = config.transaction().expect("begins");
    let next = weir_model::next::SERVICE_DETAIL_SINCE;
    let at = |tx: &Transaction<'_>| Snapshot { level: next, ..read(tx) };
    let resettle = |tx: &Transaction<'_>| {
        let mut network = at(tx);
        settle(tx, &mut network, Vec::new()).expect("settled");
        network
    };
    let first = resettle(&tx);
    keep(&tx, &Snapshot { services: Vec::new(), ..first.clone() }, &first).expect("kept");
    tx.execute_batch("UPDATE delivery_service SET detail = 'gold', max_ttl_seconds = 60, revision = 2 WHERE name = 'demo'")
        .expect("written");
    let second = resettle(&tx);
    keep(&tx, &first, &second).expect("kept");
    let second = resettle(&tx);
    let demo = |line| {
        let document = compile::document_for(&second, &second.devices["core-1"], line);
        let service = document.services.into_iter().find(|service| service.name.as_str() == "demo").expect("there");
        (service.detail.map(String::from), service.caching.max_ttl_seconds)
    };
    assert_eq!(demo(None), (Some("gold".to_owned()), Some(60)));
    assert_eq!(demo(Some(FIRST_LEVEL)), (None, None), "as it was last published for that line, whole");
}
