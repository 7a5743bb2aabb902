//! The session extension's own calls: the only `unsafe` code of this crate.
//!
//! What holds throughout: a pointer SQLite hands out is used only as long as the call's documentation allows, which is said
//! where it matters; memory it allocates is copied and freed with `sqlite3_free`; nothing here unwinds into C.

use super::{ColumnChange, Conflict, ConflictKind, RowChange, RowKind};
use rusqlite::{Connection, ffi, types::Value};
use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    marker::PhantomData,
    ptr, slice,
};

/// The main database of a connection.
const MAIN: &CStr = c"main";

/// What a changeset does not say is not done: rows that would go along with one that is deleted stand in their way.
const FLAGS: c_int = ffi::SQLITE_CHANGESETAPPLY_FKNOACTION;

fn error(code: c_int) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
}

fn ok(code: c_int) -> rusqlite::Result<()> {
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(error(code)) }
}

fn c_string(text: &str) -> rusqlite::Result<CString> {
    CString::new(text).map_err(|_| error(ffi::SQLITE_MISUSE))
}

/// A session of a connection, which it does not outlive.
pub(super) struct Session<'c> {
    session: *mut ffi::sqlite3_session,
    connection: PhantomData<&'c Connection>,
}

impl<'c> Session<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let mut session = ptr::null_mut();
        // SAFETY: the handle is open while the connection is borrowed, which is as long as the session lives.
        #[allow(unsafe_code, reason = "rusqlite's own wrapper needs libclang to build")]
        ok(unsafe { ffi::sqlite3session_create(connection.handle(), MAIN.as_ptr(), &raw mut session) })?;
        Ok(Self { session, connection: PhantomData })
    }

    pub(super) fn attach(&self, table: &str) -> rusqlite::Result<()> {
        let table = c_string(table)?;
        // SAFETY: the session is live; SQLite copies the name.
        #[allow(unsafe_code, reason = "see `Session::new`")]
        ok(unsafe { ffi::sqlite3session_attach(self.session, table.as_ptr()) })
    }

    pub(super) fn changeset(&self) -> rusqlite::Result<Vec<u8>> {
        let (mut length, mut bytes) = (0, ptr::null_mut());
        // SAFETY: the session is live, and both places are written before they are read.
        #[allow(unsafe_code, reason = "see `Session::new`")]
        ok(unsafe { ffi::sqlite3session_changeset(self.session, &raw mut length, &raw mut bytes) })?;
        Ok(taken(bytes, length))
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // SAFETY: it was made by `sqlite3session_create`, is deleted once, and its connection is open.
        #[allow(unsafe_code, reason = "see `Session::new`")]
        unsafe {
            ffi::sqlite3session_delete(self.session);
        }
    }
}

/// A copy of memory that SQLite allocated, which is freed.
fn taken(bytes: *mut c_void, length: c_int) -> Vec<u8> {
    let length = usize::try_from(length).unwrap_or(0);
    // SAFETY: SQLite allocated `length` bytes there, unless there are none; nobody else has the pointer.
    #[allow(unsafe_code, reason = "SQLite's allocator is not Rust's")]
    unsafe {
        let copy = if length == 0 { Vec::new() } else { slice::from_raw_parts(bytes.cast::<u8>(), length).to_vec() };
        ffi::sqlite3_free(bytes);
        copy
    }
}

fn c_length(bytes: &[u8]) -> rusqlite::Result<c_int> {
    c_int::try_from(bytes.len()).map_err(|_| error(ffi::SQLITE_TOOBIG))
}

pub(super) fn inverted(changeset: &[u8]) -> rusqlite::Result<Vec<u8>> {
    let (mut length, mut bytes) = (0, ptr::null_mut());
    let in_length = c_length(changeset)?;
    // SAFETY: SQLite reads `in_length` bytes, all of which are there, and checks what they say.
    #[allow(unsafe_code, reason = "a call into SQLite")]
    ok(unsafe { ffi::sqlite3changeset_invert(in_length, changeset.as_ptr().cast(), &raw mut length, &raw mut bytes) })?;
    Ok(taken(bytes, length))
}

/// A walk through a changeset, which it does not outlive.
struct Walk<'b> {
    iterator: *mut ffi::sqlite3_changeset_iter,
    bytes: PhantomData<&'b [u8]>,
}

impl<'b> Walk<'b> {
    fn new(changeset: &'b [u8]) -> rusqlite::Result<Self> {
        let (mut iterator, length) = (ptr::null_mut(), c_length(changeset)?);
        // SAFETY: the bytes are borrowed as long as the walk lives. The pointer is not const for want of care: they are only read.
        #[allow(unsafe_code, reason = "a call into SQLite")]
        ok(unsafe { ffi::sqlite3changeset_start(&raw mut iterator, length, changeset.as_ptr().cast_mut().cast()) })?;
        Ok(Self { iterator, bytes: PhantomData })
    }

    /// The next row; `None` at the end.
    fn next(&mut self) -> rusqlite::Result<Option<RowChange>> {
        // SAFETY: the iterator is live.
        #[allow(unsafe_code, reason = "a call into SQLite")]
        match unsafe { ffi::sqlite3changeset_next(self.iterator) } {
            ffi::SQLITE_ROW => row(self.iterator).map(Some),
            ffi::SQLITE_DONE => Ok(None),
            code => Err(error(code)),
        }
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        // SAFETY: it was made by `sqlite3changeset_start` and is finalised once. What it says was said by `next`.
        #[allow(unsafe_code, reason = "a call into SQLite")]
        unsafe {
            ffi::sqlite3changeset_finalize(self.iterator);
        }
    }
}

pub(super) fn any(changeset: &[u8], mut is: impl FnMut(&RowChange) -> bool) -> rusqlite::Result<bool> {
    let mut walk = Walk::new(changeset)?;
    while let Some(row) = walk.next()? {
        if is(&row) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn rows(changeset: &[u8]) -> rusqlite::Result<Vec<RowChange>> {
    let (mut walk, mut rows) = (Walk::new(changeset)?, Vec::new());
    while let Some(row) = walk.next()? {
        rows.push(row);
    }
    Ok(rows)
}

/// What the iterator points at: table, number of columns and what happened.
fn operation(iterator: *mut ffi::sqlite3_changeset_iter) -> rusqlite::Result<(String, c_int, RowKind)> {
    let (mut table, mut columns, mut kind, mut indirect) = (ptr::null::<c_char>(), 0, 0, 0);
    // SAFETY: callers hold an iterator that points at a row; the name lives until it moves on, and is copied before that.
    #[allow(unsafe_code, reason = "a call into SQLite")]
    let table = unsafe {
        ok(ffi::sqlite3changeset_op(iterator, &raw mut table, &raw mut columns, &raw mut kind, &raw mut indirect))?;
        CStr::from_ptr(table).to_string_lossy().into_owned()
    };
    let kind = match kind {
        ffi::SQLITE_INSERT => RowKind::Inserted,
        ffi::SQLITE_UPDATE => RowKind::Updated,
        ffi::SQLITE_DELETE => RowKind::Deleted,
        _ => return Err(error(ffi::SQLITE_CORRUPT)),
    };
    Ok((table, columns, kind))
}

fn row(iterator: *mut ffi::sqlite3_changeset_iter) -> rusqlite::Result<RowChange> {
    let (table, columns, kind) = operation(iterator)?;
    let mut in_key = ptr::null_mut();
    // SAFETY: the iterator points at a row; SQLite hands out one byte for each column, valid until it moves on.
    #[allow(unsafe_code, reason = "a call into SQLite")]
    let in_key = unsafe {
        ok(ffi::sqlite3changeset_pk(iterator, &raw mut in_key, ptr::null_mut()))?;
        slice::from_raw_parts(in_key, usize::try_from(columns).unwrap_or(0)).to_vec()
    };
    let column = |(at, in_key): (c_int, u8)| {
        let old = if kind == RowKind::Inserted { None } else { value(iterator, at, ffi::sqlite3changeset_old)? };
        let new = if kind == RowKind::Deleted { None } else { value(iterator, at, ffi::sqlite3changeset_new)? };
        Ok(ColumnChange { in_key: in_key != 0, old, new })
    };
    let columns = (0..columns).zip(in_key).map(column).collect::<rusqlite::Result<_>>()?;
    Ok(RowChange { table, kind, columns })
}

type ValueOf = unsafe extern "C" fn(*mut ffi::sqlite3_changeset_iter, c_int, *mut *mut ffi::sqlite3_value) -> c_int;

/// A value before or after; `None` where the column did not change.
fn value(iterator: *mut ffi::sqlite3_changeset_iter, column: c_int, of: ValueOf) -> rusqlite::Result<Option<Value>> {
    let mut value = ptr::null_mut();
    // SAFETY: the iterator points at a row that has this column and this side; the value lives until it moves on, is null when
    // it is not there, and is copied here. Text and blobs have as many bytes as SQLite says right after it gave the pointer.
    #[allow(unsafe_code, reason = "calls into SQLite")]
    unsafe {
        ok(of(iterator, column, &raw mut value))?;
        if value.is_null() {
            return Ok(None);
        }
        let bytes = |start: *const u8| match usize::try_from(ffi::sqlite3_value_bytes(value)) {
            Ok(length) if length > 0 && !start.is_null() => slice::from_raw_parts(start, length).to_vec(),
            _ => Vec::new(),
        };
        Ok(Some(match ffi::sqlite3_value_type(value) {
            ffi::SQLITE_INTEGER => Value::Integer(ffi::sqlite3_value_int64(value)),
            ffi::SQLITE_FLOAT => Value::Real(ffi::sqlite3_value_double(value)),
            ffi::SQLITE_TEXT => {
                let text = bytes(ffi::sqlite3_value_text(value));
                Value::Text(String::from_utf8(text).map_err(|_| error(ffi::SQLITE_CORRUPT))?)
            }
            ffi::SQLITE_BLOB => Value::Blob(bytes(ffi::sqlite3_value_blob(value).cast())),
            _ => Value::Null,
        }))
    }
}

/// What came of applying a changeset.
pub(super) enum Applied {
    All,
    Conflict(Conflict),
    Failed(rusqlite::Error),
}

/// What SQLite hands back to the two functions below.
struct Context {
    tables: Vec<CString>,
    conflict: Option<Conflict>,
}

/// Whether a table's rows are to be changed.
#[allow(unsafe_code, reason = "SQLite calls it")]
unsafe extern "C" fn is_wanted(context: *mut c_void, table: *const c_char) -> c_int {
    // SAFETY: `apply` passes a context that lives and that nobody else uses during the call, and SQLite a name with its end.
    let (context, table) = unsafe { (&*context.cast::<Context>(), CStr::from_ptr(table)) };
    c_int::from(context.tables.iter().any(|wanted| wanted.as_c_str() == table))
}

/// Notes the first conflict, and gives up.
#[allow(unsafe_code, reason = "SQLite calls it")]
unsafe extern "C" fn on_conflict(context: *mut c_void, what: c_int, iterator: *mut ffi::sqlite3_changeset_iter) -> c_int {
    // SAFETY: as above.
    let context = unsafe { &mut *context.cast::<Context>() };
    let kind = match what {
        ffi::SQLITE_CHANGESET_DATA => ConflictKind::Changed,
        ffi::SQLITE_CHANGESET_NOTFOUND => ConflictKind::Gone,
        ffi::SQLITE_CHANGESET_CONFLICT => ConflictKind::Taken,
        ffi::SQLITE_CHANGESET_FOREIGN_KEY => ConflictKind::Reference,
        _ => ConflictKind::Constraint,
    };
    // A reference is looked at when all rows are done: then the iterator points at none.
    let table = if kind == ConflictKind::Reference { None } else { operation(iterator).ok() };
    context.conflict = Some(Conflict { table: table.map_or_else(String::new, |(table, ..)| table), kind });
    ffi::SQLITE_CHANGESET_ABORT
}

pub(super) fn apply(connection: &Connection, changeset: &[u8], tables: &[&str]) -> Applied {
    let prepared = || Ok((tables.iter().map(|table| c_string(table)).collect::<rusqlite::Result<_>>()?, c_length(changeset)?));
    let (tables, length) = match prepared() {
        Ok(prepared) => prepared,
        Err(error) => return Applied::Failed(error),
    };
    let mut context = Context { tables, conflict: None };
    let at = (&raw mut context).cast::<c_void>();
    // SAFETY: the handle is open while the connection is borrowed; the bytes are only read, and checked; the context lives on
    // this frame until the call is over, and is not touched meanwhile but by the functions it is passed to.
    #[allow(unsafe_code, reason = "a call into SQLite")]
    let code = unsafe {
        let bytes = changeset.as_ptr().cast_mut().cast();
        let (handle, none) = (connection.handle(), ptr::null_mut());
        ffi::sqlite3changeset_apply_v2(handle, length, bytes, Some(is_wanted), Some(on_conflict), at, none, ptr::null_mut(), FLAGS)
    };
    match (code, context.conflict) {
        (ffi::SQLITE_OK, _) => Applied::All,
        (_, Some(conflict)) => Applied::Conflict(conflict),
        (code, None) => Applied::Failed(error(code)),
    }
}
