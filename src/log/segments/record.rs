//! One record: how a message lies in a segment file.
//!
//! ```text
//! magic "cdr1" · length u32 · CRC-32C u32 │ seq u64 · time i64 · previous u64 · synced u64 · flags u8 ·
//! subject length u8 · id length u16 · headers length u32 │ subject · id · headers · body
//! ```
//!
//! Integers are little-endian. `length` counts what follows the CRC. The CRC covers every byte but itself, and
//! starts from a [`seed`] of the log's identity and the stream's name: so a segment that strayed in from another
//! log or stream is no record here, and a body that holds the image of a record can't pose as one.
//!
//! `previous` is the position of the last message on the same subject, which makes one subject's messages a
//! chain that is walked without an index on disk. `synced` is the position up to which the stream was known to
//! be on the disk when the record was built: it tells a torn write from damage (see [`super::scan`]).

use bytes::Bytes;
use chrono::DateTime;
use uuid::Uuid;

use super::super::{Content, Entry, Headers, Seq};

/// What each record begins with.
pub(super) const MAGIC: [u8; 4] = *b"cdr1";

/// The bytes before what `length` counts.
pub(super) const PREFIX_BYTES: usize = 12;

/// The bytes of fixed size after the prefix.
const FIXED_BYTES: usize = 40;

/// The longest body and headers of one message together.
pub const MESSAGE_MAX_BYTES: usize = 8 << 20;

/// The longest message id.
pub const ID_MAX_BYTES: usize = 1024;

/// The longest record. A length beyond it is damage.
const RECORD_MAX_BYTES: usize = MESSAGE_MAX_BYTES + PREFIX_BYTES + FIXED_BYTES + 255 + ID_MAX_BYTES;

const FLAG_ERASED: u8 = 1;

/// A record's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) seq: Seq,
    pub(super) time_us: i64,
    pub(super) previous: Seq,
    pub(super) synced: Seq,
    pub(super) erased: bool,
    pub(super) subject: &'a str,
    pub(super) id: &'a str,
    /// As [`encode_headers`] writes them.
    pub(super) headers: &'a [u8],
    /// The message's bytes, or the SHA-256 of those that were erased.
    pub(super) body: &'a [u8],
}

/// What the CRCs of a stream start from.
pub(super) fn seed(identity: Uuid, stream: &str) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(identity.as_bytes()), stream.as_bytes())
}

/// The length of the record that [`encode`] would write.
pub(super) fn encoded_len(record: &Record<'_>) -> usize {
    PREFIX_BYTES
        + FIXED_BYTES
        + record.subject.len()
        + record.id.len()
        + record.headers.len()
        + record.body.len()
}

/// Adds a record to `out`. The caller has checked the limits.
pub(super) fn encode(seed: u32, record: &Record<'_>, out: &mut Vec<u8>) {
    let length = u32::try_from(encoded_len(record) - PREFIX_BYTES).unwrap_or(u32::MAX).to_le_bytes();
    let subject_len = u8::try_from(record.subject.len()).unwrap_or(u8::MAX);
    let id_len = u16::try_from(record.id.len()).unwrap_or(u16::MAX);
    let headers_len = u32::try_from(record.headers.len()).unwrap_or(u32::MAX);

    let mut fixed = Vec::with_capacity(FIXED_BYTES + record.subject.len() + record.id.len());
    fixed.extend_from_slice(&record.seq.to_le_bytes());
    fixed.extend_from_slice(&record.time_us.to_le_bytes());
    fixed.extend_from_slice(&record.previous.to_le_bytes());
    fixed.extend_from_slice(&record.synced.to_le_bytes());
    fixed.push(if record.erased { FLAG_ERASED } else { 0 });
    fixed.push(subject_len);
    fixed.extend_from_slice(&id_len.to_le_bytes());
    fixed.extend_from_slice(&headers_len.to_le_bytes());
    fixed.extend_from_slice(record.subject.as_bytes());
    fixed.extend_from_slice(record.id.as_bytes());

    let parts: [&[u8]; 5] = [&MAGIC, &length, &fixed, record.headers, record.body];
    let crc = parts.iter().fold(seed, |crc, part| crc32c::crc32c_append(crc, part));
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&length);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&fixed);
    out.extend_from_slice(record.headers);
    out.extend_from_slice(record.body);
}

/// Takes the record that `bytes` begin with, and says how long it is.
///
/// # Errors
/// What is wrong, in a few words.
pub(super) fn decode(seed: u32, bytes: &[u8]) -> Result<(Record<'_>, usize), &'static str> {
    let mut rest = Rest(bytes);
    let (magic, length, crc) = (rest.array()?, rest.array()?, rest.array()?);
    if magic != MAGIC {
        return Err("no record begins here");
    }
    let total =
        usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX).saturating_add(PREFIX_BYTES);
    if !(PREFIX_BYTES + FIXED_BYTES..=RECORD_MAX_BYTES).contains(&total) {
        return Err("the record's length can't be");
    }
    let mut rest = Rest(rest.take(total - PREFIX_BYTES)?);
    let found = [&magic, &length, rest.0].iter().fold(seed, |crc, part| crc32c::crc32c_append(crc, part));
    if found != u32::from_le_bytes(crc) {
        return Err("the record's checksum is wrong");
    }
    let seq = u64::from_le_bytes(rest.array()?);
    let time_us = i64::from_le_bytes(rest.array()?);
    let previous = u64::from_le_bytes(rest.array()?);
    let synced = u64::from_le_bytes(rest.array()?);
    let [flags] = rest.array()?;
    let [subject_len] = rest.array()?;
    let id_len = u16::from_le_bytes(rest.array()?);
    let headers_len = usize::try_from(u32::from_le_bytes(rest.array()?)).unwrap_or(usize::MAX);
    if flags & !FLAG_ERASED != 0 {
        return Err("the record has a flag that this build doesn't know");
    }
    let subject = rest.text(usize::from(subject_len))?;
    let id = rest.text(usize::from(id_len))?;
    let headers = rest.take(headers_len)?;
    let erased = flags & FLAG_ERASED != 0;
    if erased && rest.0.len() != 32 {
        return Err("the record of an erased message holds no hash");
    }
    let body = rest.0;
    Ok((Record { seq, time_us, previous, synced, erased, subject, id, headers, body }, total))
}

/// Headers as a record holds them: for each, the lengths of name (u16) and value (u32), then both.
pub(super) fn encode_headers(headers: &Headers) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in headers {
        out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out
}

fn decode_headers(bytes: &[u8]) -> Result<Headers, &'static str> {
    let mut rest = Rest(bytes);
    let mut headers = Headers::new();
    while !rest.0.is_empty() {
        let name_len = usize::from(u16::from_le_bytes(rest.array()?));
        let value_len = usize::try_from(u32::from_le_bytes(rest.array()?)).unwrap_or(usize::MAX);
        headers.push((rest.text(name_len)?.to_owned(), rest.text(value_len)?.to_owned()));
    }
    Ok(headers)
}

impl Record<'_> {
    /// The entry that readers get. Its bytes are copied: an entry that is kept shall not keep alive the
    /// megabyte that it was read with.
    pub(super) fn to_entry(self) -> Result<Entry, &'static str> {
        let time = DateTime::from_timestamp_micros(self.time_us).ok_or("the record's time can't be")?;
        let content = if self.erased {
            Content::Erased { sha256: self.body.try_into().ok() }
        } else {
            Content::Message {
                headers: decode_headers(self.headers)?,
                body: Bytes::copy_from_slice(self.body),
            }
        };
        Ok(Entry { seq: self.seq, subject: self.subject.to_owned(), time, content })
    }
}

/// What is left to decode.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("the record ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("the record ends too early")?;
        self.0 = rest;
        Ok(*taken)
    }

    fn text(&mut self, count: usize) -> Result<&'a str, &'static str> {
        std::str::from_utf8(self.take(count)?).map_err(|_| "the record's text is not UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_was_and_no_flipped_bit_passes(
            (seq, previous, synced, time_us) in any::<(u64, u64, u64, i64)>(),
            subject in "[a-z.]{1,20}", id in ".{0,20}",
            headers in proptest::collection::vec(("[a-z]{1,5}", ".{0,9}"), 0..4),
            body in proptest::collection::vec(any::<u8>(), 0..300),
            flip in any::<prop::sample::Index>(), after in any::<[u8; 7]>(),
        ) {
            let encoded = encode_headers(&headers);
            prop_assert_eq!(decode_headers(&encoded).unwrap(), headers);
            let record = Record {
                seq, time_us, previous, synced, erased: false,
                subject: &subject, id: &id, headers: &encoded, body: &body,
            };
            let mut bytes = Vec::new();
            encode(5, &record, &mut bytes);
            let length = bytes.len();
            prop_assert_eq!(length, encoded_len(&record));
            bytes.extend_from_slice(&after);
            prop_assert_eq!(decode(5, &bytes).unwrap(), (record, length));
            prop_assert!(decode(6, &bytes).is_err());
            prop_assert!(decode(5, &bytes[..length - 1]).is_err());
            let bit = flip.index(length * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(5, &bytes).is_err());
        }
    }
}
