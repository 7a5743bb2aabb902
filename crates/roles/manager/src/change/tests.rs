//! Which generations there are.

use super::*;

#[test]
fn no_generation_is_given_that_a_database_reads_as_another() {
    assert_eq!(countable(GENERATION_MAX), Ok(()));
    for generation in [GENERATION_MAX + 1, u64::MAX] {
        assert_eq!(countable(generation).expect_err("refused").reason, Reason::LimitExceeded);
    }
}
