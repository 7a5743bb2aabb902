//! Boot record, slot tree and durable writes behind one Disk seam; no async.
