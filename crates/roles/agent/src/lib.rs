//! What every device does: enrol, fetch configuration, report, keepalive, answer questions.
