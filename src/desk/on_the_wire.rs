//! Messages of ours on the wire, by the events that they are of.

use crate::log::{Content, Entry, LogError, Seq, Stream};

/// The message of an event that stands there in the log, looked for after a position of the wire: by halves, as messages
/// stand in the order of their events. None where it isn't there yet, or was erased.
///
/// # Errors
/// [`LogError`].
pub async fn message_of(wire: &dyn Stream, event: Seq, after: Seq) -> Result<Option<Entry>, LogError> {
    let (mut first, mut last) = (after + 1, wire.end().await?);
    while first <= last {
        let middle = first + (last - first) / 2;
        // What is no message of ours says nothing.
        let (mut at, mut found) = (middle, None);
        while at <= last && found.is_none() {
            let entry = wire.get(at).await?;
            found = entry.and_then(|entry| ours(&entry).map(|(_, of, _)| (of, entry)));
            at += 1;
        }
        match found {
            Some((of, entry)) if of == event => return Ok(Some(entry)),
            Some((of, _)) if of < event => first = at,
            _ => last = middle - 1,
        }
    }
    Ok(None)
}

/// The event, its position and the count that a message of ours names; none for a foreign one.
pub fn ours(entry: &Entry) -> Option<(String, Seq, u64)> {
    let Content::Message { headers, .. } = &entry.content else { return None };
    let header =
        |name: &str| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
    Some((
        header("Copydesk-Event")?.to_owned(),
        header("Copydesk-Seq")?.parse().ok()?,
        header("Copydesk-Count")?.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::memory::MemoryLog;
    use crate::log::{Expect, Log, Message};

    #[tokio::test]
    async fn a_message_is_found_among_others_foreign_and_erased() {
        let wire = MemoryLog::new(3).wire();
        // Of each event that is a multiple of three, with something foreign after each fourth.
        let mut places = Vec::new();
        for of in (3..=120).step_by(3) {
            let headers =
                [("Copydesk-Event", "e"), ("Copydesk-Seq", &of.to_string()), ("Copydesk-Count", "1")];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let foreign = (of % 4 == 0).then(Vec::new);
            for headers in [Some(headers.to_vec()), foreign].into_iter().flatten() {
                let end = wire.end().await.unwrap();
                let (subject, id, body) = ("world".to_owned(), end.to_string(), "{}".into());
                let is_ours = !headers.is_empty();
                let message = Message { subject, id, headers, body };
                let seq = wire.try_append(&message, Expect::Stream(end)).await.unwrap();
                if is_ours {
                    places.push((of, seq));
                }
            }
        }
        let is_erased = |of: Seq| of.is_multiple_of(5) || (40..70).contains(&of);
        for (_, seq) in places.iter().filter(|(of, _)| is_erased(*of)) {
            wire.erase(*seq).await.unwrap();
        }
        for event in 0..=125 {
            let place = places.iter().find(|(of, _)| *of == event && !is_erased(event)).map(|(_, seq)| *seq);
            for after in [0, place.unwrap_or(0).saturating_sub(1)] {
                let found = message_of(&*wire, event, after).await.unwrap();
                assert_eq!(found.map(|entry| entry.seq), place, "of {event} after {after}");
            }
            if let Some(place) = place {
                assert_eq!(message_of(&*wire, event, place).await.unwrap(), None);
            }
        }
    }
}
