//! What staff were told by `/v1/stream`, held against the log.

use std::collections::BTreeMap;

use super::{Checked, Evidence, Move, What};
use crate::log::Seq;
use crate::torture::journal::{Members, marked};

/// Each of the staff is told of every event once and in order, over all instances and connections, and never words.
pub(super) fn check(evidence: &Evidence<'_>, moves: &[Move], checked: &mut Checked) {
    let by_seq: BTreeMap<Seq, &Move> = moves.iter().map(|moved| (moved.seq, moved)).collect();
    for (number, told) in evidence.journal.moved.iter().enumerate() {
        let mut wrong = |seq: Seq, article, what: String| {
            let detail = format!("reader {number} of /v1/stream {what}");
            checked.findings.push(super::Finding {
                what: What::ToldOtherwise,
                article,
                seq: Some(seq),
                detail,
            });
        };
        let mut before = 0;
        for one in told {
            let seq = one.seq;
            if seq <= before {
                wrong(seq, None, format!("was told of it after {before}"));
            }
            for (missed, moved) in by_seq.range(before + 1..seq.max(before + 1)) {
                wrong(*missed, Some(moved.article), format!("was never told of it, and then of {seq}"));
            }
            before = before.max(seq);
            let Some(moved) = by_seq.get(&seq) else {
                wrong(seq, None, "was told of it, and it is no article's event".to_owned());
                continue;
            };
            let said = (
                one.told.text("article"),
                one.told.number("version"),
                one.told.number("revision"),
                one.told.text("type"),
                one.told.text("by"),
            );
            let is = (
                &*moved.article.to_string(),
                u64::from(moved.version),
                u64::from(moved.revision),
                &*moved.kind,
                &*moved.by,
            );
            if said != is {
                wrong(seq, Some(moved.article), format!("was told {said:?}, and it is {is:?}"));
            }
            if marked(&one.told.to_string()).next().is_some() {
                wrong(seq, Some(moved.article), "was told words".to_owned());
            }
        }
        if let Some((last, moved)) = by_seq.last_key_value()
            && evidence.had_time
            && before < *last
        {
            wrong(*last, Some(moved.article), format!("was told of nothing after {before}"));
        }
        checked.checks += told.len() as u64;
    }
}
