//! The forms in which an article is served, and which of them `Accept` prefers.

/// The forms in which an article is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A page for people.
    Page,
    /// The wire's ninjs, as `application/json`.
    Json,
    /// The wire's ninjs, as `application/ninjs+json`.
    Ninjs,
}

impl Form {
    const ALL: [Form; 3] = [Form::Page, Form::Json, Form::Ninjs];

    fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Form::Page => ("text", "html"),
            Form::Json => ("application", "json"),
            Form::Ninjs => ("application", "ninjs+json"),
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Form::Page => "text/html; charset=utf-8",
            Form::Json => "application/json",
            Form::Ninjs => "application/ninjs+json",
        }
    }

    /// A word that is another for each form.
    pub fn name(self) -> &'static str {
        self.media_type().1
    }

    /// The form that `Accept` prefers (RFC 9110, 12.5.1): by weight, of the same weight the one that is named
    /// rather than a wildcard's, of those the page. Who accepts none of them gets the page.
    pub fn negotiated(accept: Option<&str>) -> Form {
        let Some(accept) = accept else { return Form::Page };
        let wished = Form::ALL.into_iter().map(|form| (form, form.weight(accept)));
        // The page comes first, and only something better takes its place.
        wished.fold((Form::Page, (0, 0)), |best, next| if next.1 > best.1 { next } else { best }).0
    }

    /// Weight in thousandths and precision with which `Accept` names this form; the most precise range counts.
    fn weight(self, accept: &str) -> (u16, u8) {
        let (kind, subkind) = self.media_type();
        let ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let (a, b) = parts.next()?.split_once('/')?;
            let precision = match (a, b) {
                ("*", "*") => 1,
                (a, "*") if a.eq_ignore_ascii_case(kind) => 2,
                (a, b) if a.eq_ignore_ascii_case(kind) && b.eq_ignore_ascii_case(subkind) => 3,
                _ => return None,
            };
            let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let q: f32 = q.map_or(Some(1.0), |q| q.parse().ok())?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
            let weight = (q.clamp(0.0, 1.0) * 1000.0) as u16;
            Some((weight, precision))
        });
        match ranges.max_by_key(|(_, precision)| *precision) {
            Some((0, _)) | None => (0, 0),
            Some(range) => range,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_is_negotiated() {
        for (accept, form) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Form::Page),
            ("*/*", Form::Page),
            ("", Form::Page),
            ("image/png", Form::Page),
            ("application/*", Form::Json),
            ("application/json, text/plain, */*", Form::Json),
            ("application/ninjs+json;q=0.9, text/html;q=0.5", Form::Ninjs),
            ("Application/JSON; charset=utf-8", Form::Json),
            ("text/html;q=0, */*;q=0.1", Form::Json),
            ("text/html, application/json", Form::Page),
        ] {
            assert_eq!(Form::negotiated(Some(accept)), form, "{accept}");
        }
        assert_eq!(Form::negotiated(None), Form::Page);
    }
}
