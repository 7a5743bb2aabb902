//! Delivery services and the engines they name.

use super::columns::{parsed, signed, unsigned};
use rusqlite::{Error, Result, Row, Transaction, params};
use std::collections::BTreeMap;
use weir_model::DeviceName;
use weir_operator_api::{Caching, DeliveryService};

/// A row that is none of this build's delivery services: an older build's, or a damaged one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) id: i64,
    /// Its name as far as it can be read.
    pub(crate) name: String,
    /// What is wrong with which column.
    pub(crate) why: String,
}

/// By name; and the rows that cannot be read, each for itself.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<(Vec<DeliveryService>, Vec<Unreadable>)> {
    let mut engines = engines(tx)?;
    let mut statement = tx.prepare_cached("SELECT * FROM delivery_service ORDER BY name")?;
    let mut rows = statement.query([])?;
    let (mut services, mut unreadable) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let id: i64 = row.get("id")?;
        match service(row, id, &mut engines) {
            Ok(service) => services.push(service),
            Err(error) => {
                let name = row.get("name").unwrap_or_else(|_| format!("#{id}"));
                unreadable.push(Unreadable { id, name, why: wrong(row, &error) });
            }
        }
    }
    Ok((services, unreadable))
}

fn service(row: &Row<'_>, id: i64, engines: &mut BTreeMap<i64, Vec<DeviceName>>) -> Result<DeliveryService> {
    let every_engine: bool = row.get("every_engine")?;
    Ok(DeliveryService {
        id,
        name: parsed(row, "name")?,
        domain: parsed(row, "domain")?,
        origin: parsed(row, "origin")?,
        engines: (!every_engine).then(|| engines.remove(&id).unwrap_or_default()),
        caching: Caching {
            default_ttl_seconds: row.get("default_ttl_seconds")?,
            max_ttl_seconds: row.get("max_ttl_seconds")?,
            ignore_query: row.get("ignore_query")?,
            store_set_cookie: row.get("store_set_cookie")?,
        },
        #[cfg(feature = "synthetic-next")]
        detail: super::columns::optional_parsed(row, "detail")?,
        revision: unsigned(row, "revision")?,
    })
}

/// Which column an error is about, and what is wrong with it.
fn wrong(row: &Row<'_>, error: &Error) -> String {
    let column = |at: usize| row.as_ref().column_name(at).unwrap_or("?").to_owned();
    match error {
        Error::FromSqlConversionFailure(at, _, why) => format!("{}: {why}", column(*at)),
        Error::IntegralValueOutOfRange(at, number) => format!("{}: {number} is out of range", column(*at)),
        Error::InvalidColumnType(_, name, kind) => format!("{name}: is {kind}"),
        other => other.to_string(),
    }
}

fn engines(tx: &Transaction<'_>) -> Result<BTreeMap<i64, Vec<DeviceName>>> {
    let sql = "SELECT e.delivery_service, d.name FROM delivery_service_engine e JOIN device d ON d.id = e.engine ORDER BY d.name";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut engines: BTreeMap<i64, Vec<DeviceName>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        engines.entry(row.get("delivery_service")?).or_default().push(parsed(row, "name")?);
    }
    Ok(engines)
}

/// Writes a new one; its id is returned. `engines` are ids of devices, absent for every engine.
pub(crate) fn insert(tx: &Transaction<'_>, service: &DeliveryService, engines: Option<&[i64]>) -> Result<i64> {
    let sql = "INSERT INTO delivery_service (name, domain, origin, every_engine, default_ttl_seconds, max_ttl_seconds, ignore_query,
        store_set_cookie, revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let caching = &service.caching;
    tx.execute(
        sql,
        params![
            service.name.as_str(),
            service.domain.as_str(),
            service.origin.to_string(),
            engines.is_none(),
            caching.default_ttl_seconds,
            caching.max_ttl_seconds,
            caching.ignore_query,
            caching.store_set_cookie,
            signed(service.revision),
        ],
    )?;
    let id = tx.last_insert_rowid();
    #[cfg(feature = "synthetic-next")]
    set_detail(tx, id, service)?;
    name_engines(tx, id, engines)?;
    Ok(id)
}

pub(crate) fn update(tx: &Transaction<'_>, service: &DeliveryService, engines: Option<&[i64]>) -> Result<()> {
    let sql = "UPDATE delivery_service SET name = ?2, domain = ?3, origin = ?4, every_engine = ?5, default_ttl_seconds = ?6,
        max_ttl_seconds = ?7, ignore_query = ?8, store_set_cookie = ?9, revision = ?10 WHERE id = ?1";
    let caching = &service.caching;
    tx.execute(
        sql,
        params![
            service.id,
            service.name.as_str(),
            service.domain.as_str(),
            service.origin.to_string(),
            engines.is_none(),
            caching.default_ttl_seconds,
            caching.max_ttl_seconds,
            caching.ignore_query,
            caching.store_set_cookie,
            signed(service.revision),
        ],
    )?;
    #[cfg(feature = "synthetic-next")]
    set_detail(tx, service.id, service)?;
    name_engines(tx, service.id, engines)
}

#[cfg(feature = "synthetic-next")]
fn set_detail(tx: &Transaction<'_>, id: i64, service: &DeliveryService) -> Result<()> {
    let detail = service.detail.as_ref().map(weir_model::Detail::as_str);
    tx.execute("UPDATE delivery_service SET detail = ?2 WHERE id = ?1", params![id, detail])?;
    Ok(())
}

fn name_engines(tx: &Transaction<'_>, id: i64, engines: Option<&[i64]>) -> Result<()> {
    tx.execute("DELETE FROM delivery_service_engine WHERE delivery_service = ?1", [id])?;
    let mut statement = tx.prepare_cached("INSERT INTO delivery_service_engine (delivery_service, engine) VALUES (?1, ?2)")?;
    for engine in engines.unwrap_or_default() {
        statement.execute([id, *engine])?;
    }
    Ok(())
}

pub(crate) fn delete(tx: &Transaction<'_>, id: i64) -> Result<()> {
    tx.execute("DELETE FROM delivery_service WHERE id = ?1", [id])?;
    Ok(())
}

#[cfg(all(test, feature = "synthetic-next"))]
mod tests {
    use crate::tables::migrations::CONFIG;
    use rusqlite::{Connection, Result};

    fn details(config: &Connection) -> Result<Vec<(i64, Option<String>)>> {
        let mut statement = config.prepare("SELECT id, detail FROM delivery_service ORDER BY id")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// Line 1.0 keeps the details it cannot show where line 1.1 finds them again; what was deleted meanwhile stays deleted.
    #[test]
    fn details_outlast_a_way_back_and_up_again() -> Result<()> {
        let config = Connection::open_in_memory()?;
        for step in CONFIG {
            config.execute_batch(step.up_sql)?;
        }
        let insert = "INSERT INTO delivery_service (name, domain, origin, every_engine, ignore_query, store_set_cookie, revision, detail)
            VALUES (?1, ?1, 'http://192.0.2.1', 1, 0, 0, 1, ?2)";
        for (name, detail) in [("a", Some("gold")), ("b", None), ("c", Some("silver"))] {
            config.execute(insert, (name, detail))?;
        }
        let before = details(&config)?;
        let step = CONFIG.last().expect("steps");
        config.execute_batch(step.down_sql.expect("it has a way back"))?;
        assert!(details(&config).is_err(), "line 1.0 has no such column");
        config.execute("DELETE FROM delivery_service WHERE name = 'c'", [])?;
        config.execute_batch(step.up_sql)?;
        assert_eq!(details(&config)?, before[..2]);
        assert!(!config.table_exists(None, "attic_8_delivery_service")?, "nothing is parked any longer");
        Ok(())
    }
}
