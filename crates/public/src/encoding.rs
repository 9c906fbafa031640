//! Compression of answers (RFC 9110, 12.5.3).

use std::io::Write;

use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Shorter answers go as they are, in bytes: a packet holds them anyway.
const WORTH_IT_BYTES: usize = 1024;
/// Of 0 to 11: what takes about as long as gzip here, and gives less.
const BROTLI_QUALITY: u32 = 5;
const BROTLI_WINDOW_BITS: u32 = 22;
const BUFFER_BYTES: usize = 16 * 1024;

/// How the bytes of an answer are coded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As they are.
    #[default]
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// Brotli (RFC 7932).
    Brotli,
}

impl Encoding {
    /// What `Accept-Encoding` prefers: by weight, of the same weight Brotli before gzip before nothing. Who accepts none
    /// of them gets the bytes as they are.
    pub fn negotiated(accept: Option<&str>) -> Encoding {
        let Some(accept) = accept else { return Encoding::Identity };
        let wished = [Encoding::Brotli, Encoding::Gzip, Encoding::Identity].map(|it| (it, it.weight(accept)));
        wished
            .into_iter()
            .fold((Encoding::Identity, 0), |best, next| if next.1 > best.1 { next } else { best })
            .0
    }

    /// `Content-Encoding`; none where there is none to be said.
    pub fn header(self) -> Option<&'static str> {
        match self {
            Encoding::Identity => None,
            Encoding::Gzip => Some("gzip"),
            Encoding::Brotli => Some("br"),
        }
    }

    /// Its weight in thousandths.
    fn weight(self, accept: &str) -> u16 {
        let mut any = None;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let Some(q) = q.map_or(Some(1.0), |q| q.parse::<f32>().ok()) else { continue };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
            let weight = (q.clamp(0.0, 1.0) * 1000.0) as u16;
            match (name.as_str(), self) {
                ("br", Encoding::Brotli)
                | ("gzip" | "x-gzip", Encoding::Gzip)
                | ("identity", Encoding::Identity) => return weight,
                ("*", _) => any = Some(weight),
                _ => {}
            }
        }
        // What isn't named isn't accepted; the bytes as they are always may come, last.
        any.unwrap_or(u16::from(self == Encoding::Identity))
    }

    /// The bytes so coded; none where that isn't worth it.
    pub(crate) fn encode(self, bytes: &[u8]) -> Option<Vec<u8>> {
        if bytes.len() < WORTH_IT_BYTES {
            return None;
        }
        // Writing to memory doesn't fail; if it did, the bytes would go as they are.
        match self {
            Encoding::Identity => None,
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(bytes).ok()?;
                encoder.finish().ok()
            }
            Encoding::Brotli => {
                let mut encoder =
                    CompressorWriter::new(Vec::new(), BUFFER_BYTES, BROTLI_QUALITY, BROTLI_WINDOW_BITS);
                encoder.write_all(bytes).ok()?;
                encoder.flush().ok()?;
                Some(encoder.into_inner())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_preferred_is_chosen_and_what_is_refused_is_not() {
        use Encoding::{Brotli, Gzip, Identity};
        for (accept, chosen) in [
            ("gzip, deflate, br, zstd", Brotli),
            ("gzip", Gzip),
            ("GZIP;q=0.5", Gzip),
            ("br;q=0.1, gzip;q=0.9", Gzip),
            ("br;q=0, gzip", Gzip),
            ("*", Brotli),
            ("*;q=0.5, br;q=0", Gzip),
            ("identity, gzip;q=0.5", Identity),
            ("gzip;q=0", Identity),
            ("*;q=0", Identity),
            ("deflate", Identity),
            ("", Identity),
            ("gzip;q=x", Identity),
        ] {
            assert_eq!(Encoding::negotiated(Some(accept)), chosen, "{accept}");
        }
        assert_eq!(Encoding::negotiated(None), Identity);
    }

    #[test]
    fn what_was_coded_reads_back() {
        let bytes = "A river rose. ".repeat(1000).into_bytes();
        let mut back = Vec::new();
        let gzip = Encoding::Gzip.encode(&bytes).unwrap();
        flate2::read::GzDecoder::new(&*gzip).read_to_end(&mut back).unwrap();
        assert!(back == bytes && gzip.len() < bytes.len() / 10);
        back.clear();
        let brotli = Encoding::Brotli.encode(&bytes).unwrap();
        brotli::Decompressor::new(&*brotli, 4096).read_to_end(&mut back).unwrap();
        assert!(back == bytes && brotli.len() < bytes.len() / 10);
        assert_eq!(Encoding::Gzip.encode(b"short"), None);
    }
}
