//! Heads that may be kept on disk: how they are written, and which lines read them.

use weir_model::{FIRST_LEVEL, Line, Version};

/// A head that may be kept on disk.
///
/// What one build writes another reads: of the same line, and of the lines before and after.
pub trait Durable: Sized + Send + Sync + 'static {
    /// Appends the head's bytes; `false`: it is never to be on disk (what was appended is dropped).
    fn write(&self, out: &mut Vec<u8>) -> bool;

    /// The head that was written so; `None` when it cannot be read, which makes the object a miss.
    fn read(bytes: &[u8]) -> Option<Self>;

    /// Memory a head that was read takes, in bytes: what [`crate::Store::begin`] is told for new ones.
    fn memory_bytes(&self) -> u64;

    /// The oldest line that reads what [`Durable::write`] writes of this head; to an older one the record is a miss.
    fn min_reader(&self) -> Line {
        FIRST_LEVEL
    }

    /// The line that reads: records whose `min_reader` is above it are passed over.
    fn reader() -> Line {
        weir_model::version().parse::<Version>().expect("the version of a build is a version; a test of the model holds it").line
    }
}
