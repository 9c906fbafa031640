//! What is stored of a text: runs, each with one writer and one set of marks.
//!
//! Reading a stored text keeps exactly what is stored. Were runs normalised on the way in, a
//! later build with other rules would read history otherwise than it was written.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spans::{Span, Spans};
use crate::words::Masked;

/// A stretch of text with one writer and one set of marks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The words.
    pub text: String,
    /// The actor who wrote them.
    pub by: Arc<str>,
    /// `**strong**`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub strong: bool,
    /// `*emphasis*`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub emphasis: bool,
    /// Where the link leads, for words that are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub href: Option<String>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("text", &Masked(&self.text))
            .field("by", &self.by)
            .field("strong", &self.strong)
            .field("emphasis", &self.emphasis)
            .field("href", &self.href.as_deref().map(Masked))
            .finish()
    }
}

impl Run {
    fn same_marks(&self, other: &Self) -> bool {
        self.strong == other.strong && self.emphasis == other.emphasis && self.href == other.href
    }
}

/// A text as stored: no run is empty, and neighbours that differ in nothing are one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Text(Vec<Run>);

impl Text {
    /// A text of these runs, empty ones left out and neighbours that differ in nothing joined.
    pub fn new(runs: impl IntoIterator<Item = Run>) -> Self {
        let mut joined: Vec<Run> = Vec::new();
        for run in runs {
            if run.text.is_empty() {
                continue;
            }
            match joined.last_mut() {
                Some(last) if last.by == run.by && last.same_marks(&run) => {
                    last.text.push_str(&run.text);
                }
                _ => joined.push(run),
            }
        }
        Self(joined)
    }

    /// The runs in order.
    pub fn runs(&self) -> &[Run] {
        &self.0
    }

    /// Whether there is no word in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words alone, as a reader sees them.
    pub fn plain(&self) -> String {
        self.0.iter().map(|run| run.text.as_str()).collect()
    }

    /// How long [`plain`](Self::plain) is, in bytes.
    pub fn plain_len(&self) -> usize {
        self.0.iter().map(|run| run.text.len()).sum()
    }

    /// The writer of each run in order, so the same one may come more than once.
    pub fn writers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().map(|run| &run.by)
    }

    /// Who wrote any of these bytes of [`plain`](Self::plain).
    pub fn writers_in(&self, range: Range<usize>) -> BTreeSet<Arc<str>> {
        let mut start = 0;
        let mut writers = BTreeSet::new();
        for run in &self.0 {
            let end = start + run.text.len();
            if !range.is_empty() && start < range.end && range.start < end {
                writers.insert(Arc::clone(&run.by));
            }
            start = end;
        }
        writers
    }

    /// Whether readers see the same, whoever wrote it.
    pub fn same_words_and_marks(&self, other: &Self) -> bool {
        self.spans() == other.spans()
    }

    /// The text without its writers.
    pub fn spans(&self) -> Spans {
        let mut spans: Spans = Vec::new();
        for run in &self.0 {
            match spans.last_mut() {
                Some(last)
                    if last.strong == run.strong
                        && last.emphasis == run.emphasis
                        && last.href == run.href =>
                {
                    last.text.push_str(&run.text);
                }
                _ => spans.push(Span {
                    text: run.text.clone(),
                    strong: run.strong,
                    emphasis: run.emphasis,
                    href: run.href.clone(),
                }),
            }
        }
        spans
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
