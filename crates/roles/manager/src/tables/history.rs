//! What was done to one object: the changesets whose audit entries are about it.

use super::{
    changesets::{COLUMNS, Record, record},
    columns::signed,
};
use rusqlite::{Result, Transaction, params};

/// Changesets before `before` that are about exactly this object, such as `location east`, newest first.
pub(crate) fn of(tx: &Transaction<'_>, object: &str, before: u64, limit: u32) -> Result<Vec<Record>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM changeset WHERE rev < ?2 AND rev IN (SELECT rev FROM audit WHERE object = ?1 AND rev IS NOT NULL)
        ORDER BY rev DESC LIMIT ?3"
    );
    tx.prepare_cached(&sql)?.query_map(params![object, signed(before), limit], record)?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn an_object_is_its_whole_name() {
        let mut connection = Connection::open_in_memory().expect("opens");
        for step in super::super::migrations::CONFIG {
            connection.execute_batch(step.up_sql).expect("runs");
        }
        let tx = connection.transaction().expect("begins");
        let objects = ["device east-1", "device east-10", "device east-1", "location east-1", "device east-1"];
        for (rev, object) in (1..).zip(objects) {
            let sql = "INSERT INTO audit (at_ms, actor, source, verb, object, generation, rev) VALUES (1, 'a', 's', 'v', ?1, 1, ?2)";
            tx.execute(sql, params![object, rev]).expect("audited");
            let sql = "INSERT INTO changeset
                (rev, at_ms, actor, source, term, generation, step, undoable, bytes_before, hash, digest, changeset)
                VALUES (?1, 1, 'a', 's', 1, 1, 7, 1, 0, zeroblob(32), zeroblob(32), x'')";
            tx.execute(sql, [rev]).expect("kept");
        }
        let found = |object: &str, before, limit| -> Vec<u64> {
            of(&tx, object, before, limit).expect("read").into_iter().map(|record| record.rev).collect()
        };
        assert_eq!(found("device east-1", u64::MAX, 9), [5, 3, 1]);
        assert_eq!(found("device east-1", u64::MAX, 2), [5, 3]);
        assert_eq!(found("device east-1", 3, 2), [1]);
        assert_eq!(found("device east", u64::MAX, 9), Vec::<u64>::new());
        assert_eq!(found("device east_10", u64::MAX, 9), Vec::<u64>::new());
    }
}
