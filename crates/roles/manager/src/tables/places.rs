//! Places users signed in from (`state.db`): they are not held up by those who guess from elsewhere.

use super::columns::{signed, unsigned};
use rusqlite::{Result, Transaction, params};

/// A place a user signed in from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) user: String,
    /// An IPv4 address, or the network of a /64.
    pub(crate) place: String,
    /// Wall clock of the last time.
    pub(crate) at_ms: u64,
}

/// The one used longest ago first.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<Place>> {
    let mut statement = tx.prepare("SELECT * FROM sign_in_place ORDER BY at_ms")?;
    let rows =
        statement.query_map([], |row| Ok(Place { user: row.get("user")?, place: row.get("place")?, at_ms: unsigned(row, "at_ms")? }))?;
    rows.collect()
}

/// Notes a place; of the user's others the `keep` used last stay.
pub(crate) fn note(tx: &Transaction<'_>, place: &Place, keep: usize) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO sign_in_place (user, place, at_ms) VALUES (?1, ?2, ?3)";
    tx.prepare_cached(sql)?.execute(params![place.user, place.place, signed(place.at_ms)])?;
    let sql = "DELETE FROM sign_in_place WHERE user = ?1
        AND place NOT IN (SELECT place FROM sign_in_place WHERE user = ?1 ORDER BY at_ms DESC LIMIT ?2)";
    tx.prepare_cached(sql)?.execute(params![place.user, i64::try_from(keep).unwrap_or(i64::MAX)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::migrations::STATE;
    use weir_database::{Database, DatabaseError};

    #[tokio::test]
    async fn the_places_used_last_are_kept() {
        let dir = tempfile::tempdir().expect("dir");
        let database = Database::open(&dir.path().join("state.db"), STATE, 1, "1.0.0-b1").expect("opened");
        for (user, place, at_ms) in [("a", "p1", 1), ("b", "p1", 2), ("a", "p2", 3), ("a", "p1", 4), ("a", "p3", 5)] {
            let place = Place { user: user.into(), place: place.into(), at_ms };
            database.write(move |tx| Ok::<_, DatabaseError>(note(tx, &place, 2)?)).await.expect("written");
        }
        let kept = database.read(|tx| Ok::<_, DatabaseError>(all(tx)?)).await.expect("read");
        let kept: Vec<_> = kept.iter().map(|p| (p.user.as_str(), p.place.as_str(), p.at_ms)).collect();
        assert_eq!(kept, [("b", "p1", 2), ("a", "p1", 4), ("a", "p3", 5)]);
    }
}
