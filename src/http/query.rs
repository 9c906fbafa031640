//! Reading the parameters of a request: none unknown, none twice, each with an error that names it.

use std::str::FromStr;

use axum::extract::Query;
use axum::http::Uri;
use chrono::{NaiveDate, NaiveTime, TimeDelta};
use copydesk_article::event::Time;
use copydesk_article::json::nearest;
use copydesk_article::problem::Problem;

use super::articles::{DEFAULT_LIMIT, MOST};
use crate::log::Seq;

/// The first or last event that is asked for, itself included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// By its position.
    Seq(Seq),
    /// By when it was decided.
    Time(Time),
}

/// Which end of what is asked for a bound is: a date alone means the day's first or last moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// From here on.
    First,
    /// Up to here.
    Last,
}

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the parameters of a read under `/v1`, which are these and `min_seq`.
    ///
    /// # Errors
    /// `invalid`, naming the parameter that is unknown or there twice.
    pub(super) fn strict(uri: &Uri, known: &[&str]) -> Result<Params, Problem> {
        let params = Self::read(uri)?;
        params.each_once(|_| true)?;
        let known: Vec<&str> = known.iter().copied().chain(["min_seq"]).collect();
        if let Some((name, _)) = params.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            let names = known.join(", ");
            let shown: String = name.chars().take(64).collect();
            return Err(Problem {
                suggestion: nearest(name, &known),
                ..Problem::invalid(shown, format!("there is no such parameter here; there are {names}"))
            });
        }
        Ok(params)
    }

    /// Reads parameters of which these count, and others may be there.
    ///
    /// # Errors
    /// `invalid`, naming the parameter that counts and is there twice.
    pub(super) fn lenient(uri: &Uri, known: &[&str]) -> Result<Params, Problem> {
        let params = Self::read(uri)?;
        params.each_once(|name| known.contains(&name)).map(|()| params)
    }

    fn read(uri: &Uri) -> Result<Params, Problem> {
        let params = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let unreadable = |_| Problem::invalid("", "the part of the address after ? can't be read");
        params.map(|Query(params)| Params(params)).map_err(unreadable)
    }

    fn each_once(&self, counts: impl Fn(&str) -> bool) -> Result<(), Problem> {
        let mut seen = std::collections::HashSet::new();
        let mut names = self.0.iter().map(|(name, _)| name.as_str()).filter(|name| counts(name));
        match names.find(|name| !seen.insert(*name)) {
            None => Ok(()),
            Some(name) => {
                let shown: String = name.chars().take(64).collect();
                Err(Problem::invalid(shown, "this parameter is there twice"))
            }
        }
    }

    /// A parameter as it was sent; one that is empty counts as left out.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(given, _)| given == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// A whole number.
    ///
    /// # Errors
    /// `invalid`.
    pub(super) fn number<N: FromStr>(&self, name: &str) -> Result<Option<N>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        // `FromStr` would take a plus sign too.
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let number = value.parse().ok().filter(|_| digits);
        number.map(Some).ok_or_else(|| Problem::invalid(name, format!("{name}: expected a whole number")))
    }

    /// How many are wanted.
    ///
    /// # Errors
    /// `invalid`.
    pub(super) fn limit(&self) -> Result<Option<usize>, Problem> {
        match self.number("limit")? {
            Some(0) => Err(Problem::invalid("limit", "limit: expected 1 or more")),
            limit => Ok(limit),
        }
    }

    /// How many are wanted on a page of what staff list; never more than it may have.
    ///
    /// # Errors
    /// `invalid`.
    pub(super) fn page(&self) -> Result<usize, Problem> {
        Ok(self.limit()?.unwrap_or(DEFAULT_LIMIT).min(MOST))
    }

    /// A position, a time with an offset, or a date (in UTC).
    ///
    /// # Errors
    /// `invalid`.
    pub(super) fn bound(&self, name: &str, end: End) -> Result<Option<Bound>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if let Ok(Some(seq)) = self.number(name) {
            return Ok(Some(Bound::Seq(seq)));
        }
        if let Ok(date) = value.parse::<NaiveDate>() {
            let midnight = date.and_time(NaiveTime::MIN).and_utc();
            let last = TimeDelta::days(1) - TimeDelta::microseconds(1);
            let time = if end == End::First { midnight } else { midnight + last };
            return Ok(Some(Bound::Time(time)));
        }
        let time = time(name, value).map_err(|_| {
            let detail = format!("{name}: expected a position, a date, or a time with an offset (RFC 3339)");
            Problem::invalid(name, detail)
        })?;
        Ok(Some(Bound::Time(time)))
    }

    /// A time.
    ///
    /// # Errors
    /// `invalid`.
    pub(super) fn time(&self, name: &str) -> Result<Option<Time>, Problem> {
        self.get(name).map(|value| time(name, value)).transpose()
    }
}

/// A time with an offset. A plus sign that came as it is was read as a space.
pub(super) fn time(name: &str, value: &str) -> Result<Time, Problem> {
    let parsed = chrono::DateTime::parse_from_rfc3339(&value.replace(' ', "+"));
    parsed.map(|time| time.to_utc()).map_err(|_| {
        let detail =
            format!("{name}: expected a time with an offset (RFC 3339), such as 2026-01-31T09:00:00Z");
        Problem::invalid(name, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Result<Params, Problem> {
        Params::strict(&format!("/v1/articles?{query}").parse().unwrap(), &["limit", "section", "time"])
    }

    #[test]
    fn an_unknown_parameter_is_named_with_the_nearest_right_one() {
        let problem = params("limti=1").unwrap_err();
        assert_eq!((problem.field.as_deref(), problem.suggestion.as_deref()), (Some("limti"), Some("limit")));
        assert_eq!(params("limit=1&limit=2").unwrap_err().field.as_deref(), Some("limit"));
    }

    #[test]
    fn a_number_has_digits_only() {
        for bad in ["limit=x", "limit=%2B1", "limit=-1", "limit=1.0", "limit=99999999999999999999999"] {
            assert!(params(bad).unwrap().number::<u64>("limit").is_err(), "{bad}");
        }
        assert_eq!(params("limit=7").unwrap().number::<u64>("limit"), Ok(Some(7)));
        assert_eq!(params("limit=").unwrap().number::<u64>("limit"), Ok(None));
        assert!(params("limit=0").unwrap().limit().is_err(), "a page of nothing would have no next one");
    }

    #[test]
    fn a_page_has_a_bound() {
        let page = |query: &str| params(query).unwrap().page();
        assert_eq!((page(""), page("limit=7"), page("limit=201")), (Ok(50), Ok(7), Ok(200)));
        assert!(page("limit=0").is_err());
    }

    #[test]
    fn a_bound_is_a_position_a_time_or_a_whole_day() {
        let of = |query: &str, end| params(query).unwrap().bound("time", end);
        let at = |time: &str| Ok(Some(Bound::Time(time.parse().unwrap())));
        assert_eq!(of("time=7", End::First), Ok(Some(Bound::Seq(7))));
        assert_eq!(of("time=2026-01-31T09:00:00%2B01:00", End::Last), at("2026-01-31T08:00:00Z"));
        assert_eq!(of("time=2026-01-31", End::First), at("2026-01-31T00:00:00Z"));
        assert_eq!(of("time=2026-01-31", End::Last), at("2026-01-31T23:59:59.999999Z"));
        assert!(of("time=2026-02-30", End::Last).is_err() && of("time=now", End::First).is_err());
        assert_eq!(of("", End::First), Ok(None));
    }

    #[test]
    fn a_time_needs_an_offset_and_its_plus_may_come_unescaped() {
        let of = |query: &str| params(query).unwrap().time("time");
        let nine = "2026-01-31T08:00:00Z".parse().unwrap();
        assert_eq!(of("time=2026-01-31T09:00:00+01:00"), Ok(Some(nine)));
        assert_eq!(of("time=2026-01-31T09:00:00%2B01:00"), Ok(Some(nine)));
        assert!(of("time=2026-01-31T09:00:00").is_err());
    }
}
