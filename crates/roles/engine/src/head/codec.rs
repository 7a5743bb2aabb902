//! A head as it lies on disk: `docs/protocols/store-head.md`, version 1.
//!
//! The next line reads what this one wrote, and this one what the next one wrote before the level is raised: the fixed part
//! never changes within a format, everything a line adds is an extension that an older reader passes over.

use super::{Block, StoredHead};
use crate::steady::Moment;
use weir_caching::{Fields, Freshness, Reuse, SELECTING_FIELDS_MAX, Vary};

/// The format this build writes and reads.
pub(crate) const FORMAT: u8 = 1;
/// Freshness lifetime, in seconds, below which a response is not written: it would be stale before it is read.
const LIFETIME_SECONDS_MIN: u32 = 30;
/// How far apart, in seconds, two workers of one box may be that read the same clocks: each rounds both.
const ROUNDING_SECONDS: u64 = 2;
/// Media types of playlists. A live one changes every few seconds, and only its text tells it from one that never does.
const PLAYLIST_TYPES: [&str; 6] = [
    "application/vnd.apple.mpegurl",
    "application/x-mpegurl",
    "audio/mpegurl",
    "audio/x-mpegurl",
    "application/dash+xml",
    "application/vnd.ms-sstr+xml",
];
/// The extension that holds the delivery service's detail.
#[cfg(feature = "synthetic-next")]
const DETAIL: u16 = 1;

/// Whether a head may lie on disk at all.
fn is_durable(head: &StoredHead) -> bool {
    head.freshness.lifetime_s >= LIFETIME_SECONDS_MIN && !is_playlist(&head.block) && !head.block.has("set-cookie")
}

fn is_playlist(block: &Block) -> bool {
    let kind = block.first("content-type").and_then(|value| value.split(|b| *b == b';').next()).unwrap_or_default();
    PLAYLIST_TYPES.iter().any(|playlist| kind.trim_ascii().eq_ignore_ascii_case(playlist.as_bytes()))
}

/// Appends a head as it is at this moment; `false`, and nothing appended, when it does not belong on disk.
pub(crate) fn write(head: &StoredHead, moment: Moment, out: &mut Vec<u8>) -> bool {
    let Vary::Fields(names) = &head.vary else { return false };
    if !is_durable(head) {
        return false;
    }
    let freshness = &head.freshness;
    let reuse = match freshness.reuse {
        Reuse::Windows => 0,
        Reuse::FreshOnly => 1,
        Reuse::ValidatedOnly => 2,
    };
    out.extend_from_slice(&[FORMAT, reuse]);
    out.extend_from_slice(&head.status.to_le_bytes());
    out.extend_from_slice(&moment.steady_s.to_le_bytes());
    for seconds in
        [freshness.age_at(moment.monotonic_s), freshness.lifetime_s, freshness.stale_while_revalidate_s, freshness.stale_if_error_s]
    {
        out.extend_from_slice(&seconds.to_le_bytes());
    }
    out.push(u8::try_from(names.len()).expect("at most SELECTING_FIELDS_MAX"));
    names.iter().for_each(|name| write_text(name.as_bytes(), out));
    write_text(head.variant.as_bytes(), out);
    write_text(head.block.as_bytes(), out);
    #[cfg(feature = "synthetic-next")]
    if let Some(detail) = head.detail() {
        out.extend_from_slice(&DETAIL.to_le_bytes());
        write_text(detail.as_bytes(), out);
    }
    true
}

fn write_text(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(bytes.len()).expect("field lines are bounded by the server loop").to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The head that was written, as it is at this moment; nothing when it is not one this build reads.
pub(crate) fn read(bytes: &[u8], moment: Moment) -> Option<StoredHead> {
    let mut rest = bytes;
    let [format, reuse] = take(&mut rest)?;
    if format != FORMAT {
        return None;
    }
    let reuse = match reuse {
        0 => Reuse::Windows,
        1 => Reuse::FreshOnly,
        2 => Reuse::ValidatedOnly,
        _ => return None,
    };
    let status = u16::from_le_bytes(take(&mut rest)?);
    let written_s = u64::from_le_bytes(take(&mut rest)?);
    let age_s = u32::from_le_bytes(take(&mut rest)?);
    let lifetime_s = u32::from_le_bytes(take(&mut rest)?);
    let stale_while_revalidate_s = u32::from_le_bytes(take(&mut rest)?);
    let stale_if_error_s = u32::from_le_bytes(take(&mut rest)?);
    let [names] = take(&mut rest)?;
    if usize::from(names) > SELECTING_FIELDS_MAX {
        return None;
    }
    let names: Option<Vec<String>> = (0..names).map(|_| take_text(&mut rest)).collect();
    let (vary, variant) = (Vary::Fields(names?), take_text(&mut rest)?);
    let block = Block(take_bytes(&mut rest)?.to_vec().into_boxed_slice().into());
    let extensions = Extensions::read(rest)?;
    let freshness = Freshness {
        arrived_at: moment.monotonic_s,
        initial_age_s: age_now(age_s, lifetime_s, written_s, moment.steady_s),
        lifetime_s,
        stale_while_revalidate_s,
        stale_if_error_s,
        reuse,
    };
    Some(extensions.complete(StoredHead {
        status,
        block,
        freshness,
        vary,
        variant,
        #[cfg(feature = "synthetic-next")]
        detail: None,
    }))
}

/// Age now of what had `age_s` when it was written (RFC 9111 section 4.2.3: resident time counts). What comes from the future
/// has lain here for nobody knows how long: it is as old as it may be, and validated before it is used.
fn age_now(age_s: u32, lifetime_s: u32, written_s: u64, now_s: u64) -> u32 {
    match now_s.checked_sub(written_s) {
        Some(resident_s) => age_s.saturating_add(u32::try_from(resident_s).unwrap_or(u32::MAX)),
        None if written_s - now_s <= ROUNDING_SECONDS => age_s,
        None => age_s.max(lifetime_s),
    }
}

/// What lines since 1.0 have added to a head.
#[derive(Default)]
struct Extensions {
    #[cfg(feature = "synthetic-next")]
    detail: Option<weir_model::Detail>,
}

impl Extensions {
    /// Passes over those it does not know.
    fn read(mut rest: &[u8]) -> Option<Self> {
        #[cfg_attr(not(feature = "synthetic-next"), allow(unused_mut, reason = "this line has none"))]
        let mut known = Self::default();
        while !rest.is_empty() {
            let (tag, value) = (u16::from_le_bytes(take(&mut rest)?), take_bytes(&mut rest)?);
            match tag {
                #[cfg(feature = "synthetic-next")]
                DETAIL => known.detail = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
                _ => tracing::trace!(tag, bytes = value.len(), "field of a later line passed over"),
            }
        }
        Some(known)
    }

    #[cfg(feature = "synthetic-next")]
    fn complete(self, head: StoredHead) -> StoredHead {
        head.under(self.detail)
    }

    #[cfg(not(feature = "synthetic-next"))]
    fn complete(self, head: StoredHead) -> StoredHead {
        let Self {} = self;
        head
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (start, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*start)
}

fn take_bytes<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    std::str::from_utf8(take_bytes(rest)?).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests;
