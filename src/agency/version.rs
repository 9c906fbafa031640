//! Which of two versions of an agency's story is the newer.
//!
//! Agencies number their versions, name them by a time, or by something that has no order. Only `source.version` stays
//! with the article; so a version without an order of its own is kept with the time at which the agency made it.

use std::cmp::Ordering;

use chrono::{DateTime, SecondsFormat, Utc};

/// Between a version that has no order and its time.
const OF: &str = " of ";

/// The version of an item as it is kept: its own name; with its time, where the name has no order; its time, where it
/// has no name; else none.
pub fn kept(version: Option<&str>, created: Option<DateTime<Utc>>) -> Option<String> {
    let created = created.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    match (version, created) {
        (Some(version), Some(created)) if numbers(version).is_none() && time(version).is_none() => {
            Some(format!("{version}{OF}{created}"))
        }
        (Some(version), _) => Some(version.to_owned()),
        (None, created) => created,
    }
}

/// How a version stands to another; none where nothing says.
pub fn compare(a: &str, b: &str) -> Option<Ordering> {
    if a == b {
        return Some(Ordering::Equal);
    }
    if let (Some(a), Some(b)) = (numbers(a), numbers(b)) {
        return Some(a.cmp(&b));
    }
    Some(time(a)?.cmp(&time(b)?))
}

/// `12`, `1.2`, `v3`.
fn numbers(version: &str) -> Option<Vec<u64>> {
    version.trim_start_matches(['v', 'V']).split('.').map(|part| part.parse().ok()).collect()
}

/// The time that a version is, or that it was kept with.
fn time(version: &str) -> Option<DateTime<Utc>> {
    let time = version.rsplit_once(OF).map_or(version, |(_, time)| time);
    read_time(time)
}

/// An hour as agencies write it: as [`read_time`] has it, the seconds left out or not, or the basic form of ISO 8601. Versions
/// are named by times, and have to be named as they were: so they don't go by this.
pub fn read_hour(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let with_offset = ["%Y-%m-%dT%H:%M%z", "%Y%m%dT%H%M%S%z"];
    let naive = ["%Y-%m-%dT%H:%M", "%Y%m%dT%H%M%S"];
    let utc = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    read_time(text)
        .or_else(|| {
            with_offset.iter().find_map(|form| Some(DateTime::parse_from_str(text, form).ok()?.to_utc()))
        })
        .or_else(|| {
            naive
                .iter()
                .find_map(|form| Some(chrono::NaiveDateTime::parse_from_str(utc, form).ok()?.and_utc()))
        })
}

/// A time as agencies write it: RFC 3339, the offset's colon left out or not; without an offset it is taken for UTC.
pub fn read_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let with_offset = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y%m%dT%H%M%S%z"));
    if let Ok(time) = with_offset {
        return Some(time.with_timezone(&Utc));
    }
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    naive
        .iter()
        .find_map(|form| chrono::NaiveDateTime::parse_from_str(text, form).ok())
        .map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_read_as_agencies_write_it() {
        for text in [
            "2026-10-17T18:00:00Z",
            "2026-10-17T20:00:00+0200",
            "2026-10-17T18:00Z",
            "2026-10-17T20:00+02:00",
            "20261017T180000Z",
            "20261017T200000+0200",
            "2026-10-17T18:00",
        ] {
            assert_eq!(read_hour(text), Some("2026-10-17T18:00:00Z".parse().unwrap()), "{text}");
        }
        assert_eq!(read_hour("2026-10-17"), None, "which hour?");
        assert_eq!(read_time("20261017T180000Z"), None, "a version of before keeps its name");
    }

    #[test]
    fn versions_are_ordered_by_number_by_time_or_not_at_all() {
        for (older, newer) in [
            ("9", "10"),
            ("1.9", "1.10"),
            ("v1", "v2"),
            ("2026-01-01T10:00:00+02:00", "2026-01-01T09:00:00Z"),
            ("2026-01-01T10:00:00+0200", "2026-01-01T09:00:00Z"),
            ("b of 2026-01-01T08:00:00Z", "a of 2026-01-01T08:00:01Z"),
        ] {
            assert_eq!(compare(older, newer), Some(Ordering::Less), "{older} {newer}");
            assert_eq!(compare(newer, older), Some(Ordering::Greater), "{older} {newer}");
        }
        assert_eq!(compare("x", "x"), Some(Ordering::Equal));
        assert_eq!(compare("01", "1"), Some(Ordering::Equal));
        for (a, b) in [("x", "y"), ("1", "x"), ("1", "2026-01-01T08:00:00Z")] {
            assert_eq!(compare(a, b), None, "{a} {b}");
        }
    }

    #[test]
    fn a_version_without_an_order_is_kept_with_its_time() {
        let at = read_time("2026-01-01T10:00:00+02:00");
        assert_eq!(kept(Some("2"), at).unwrap(), "2");
        assert_eq!(kept(Some("final"), at).unwrap(), "final of 2026-01-01T08:00:00Z");
        assert_eq!(kept(None, at).unwrap(), "2026-01-01T08:00:00Z");
        assert_eq!(kept(Some("final"), None).unwrap(), "final");
        assert_eq!(kept(None, None), None);
    }
}
