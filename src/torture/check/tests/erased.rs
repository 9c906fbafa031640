//! Planted where words were erased, and what is right there.

use super::*;

/// Words that came back erased by a restore, were ruled on so, and were sent so by a writer of a whole body.
#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_on_words_that_stood_erased_holds_after_a_whole_body_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::in_folder(folder.path()).await;
    let r = &mut recorder;
    let sentence = |word: &str| format!("{} and {word} said that it rose.", mark(52));
    let story = r.draft(51, &[sentence(&mark(53))]).await;
    r.send(1, "ana", replace(&story, 1, "b1", &told(54))).await;
    r.redact(&story, 53).await;
    r.send(1, "eva", of(&story, 2, "restore", json!({"revision": 1}))).await;
    r.send(1, "ana", of(&story, 3, "claim", json!({"quote": mark(52), "block": "b1", "kind": "fact"}))).await;
    r.send(1, "chen", of(&story, 3, "rule", json!({"claim": "c1", "verdict": "supported"}))).await;
    let whole = [sentence(MARK), told(55)].join("\n\n");
    r.send(1, "ana", of(&story, 3, "edit", json!({"markdown": whole}))).await;
    r.send(1, "ana", of(&story, 4, "submit", json!({}))).await;
    r.send(1, "eva", of(&story, 4, "approve", json!({}))).await;
    let out = r.send(1, "pia", of(&story, 4, "publish", json!({}))).await;
    assert_eq!(out["edition"], 1, "{out}");
    r.has_out(&story, 1).await;
    let mut record = recorder.close(Shown::default()).await;
    record.shown.clear();
    assert_eq!(record.found(), []);
    // The verdict was another.
    record.planted(What::GateShut, |record| {
        record.log_alone();
        record.other_command("rule", "claim_ruled", |command| {
            command["data"]["verdict"] = json!("inaccurate");
        });
    });
}

impl Record {
    /// Where the first event stands that was erased, and where its message did on the wire.
    pub(super) fn gone(&self) -> (usize, usize) {
        let first = |entries: &[Entry]| entries.iter().position(|entry| !is_there(entry)).unwrap();
        (first(&self.events), first(&self.wire))
    }

    pub(super) fn erased(&self) {
        let word = mark(42);
        // It was erased in the log's place only, or not there.
        self.planted(What::NotErased, |record| {
            record.log_alone();
            let (at, _) = record.gone();
            let (seq, id) = (record.events[at].seq, record.events[at].subject.clone());
            let erasures = crate::torture::check::erased::Erasures::of(&record.events, &record.journal);
            let Content::Erased { sha256 } = record.events[at].content else { panic!("there") };
            let event = event::write(erasures.event(seq, sha256).unwrap()).unwrap();
            let Read::Event(event) = event::read(&id, &event) else { panic!("no event") };
            let sent = record.journal.sent.iter().find(|sent| sent.id() == Some(event.command)).unwrap();
            let hints = copydesk_article::command::Hints { kind: None, id: None };
            let command = sent.command.to_string();
            let command = copydesk_article::command::Command::read(command.as_bytes(), hints).unwrap();
            let event = Event { commandhash: command.hash(&event.salt, None), ..*event };
            let text = String::from_utf8(event::write(&event).unwrap()).unwrap().replace(MARK, &word);
            record.events[at].content = Content::Message { headers: Headers::new(), body: text.into() };
        });
        // What is gone that no redaction names, or in place of other bytes.
        self.planted(What::Gap, |record| {
            record.log_alone();
            let at = record.event("asked", |_| {});
            record.events[at].content = Content::Erased { sha256: Some([1; 32]) };
        });
        let mut other = self.clone();
        let (at, _) = other.gone();
        other.events[at].content = Content::Erased { sha256: Some([1; 32]) };
        let is_gap = |finding: &Finding| finding.what == What::Gap && finding.seq == Some(at as Seq + 1);
        assert!(other.found().iter().any(is_gap), "other bytes than a redaction names");
        self.planted(What::EditionMissing, |record| {
            let (_, at) = record.gone();
            record.wire[at].content = Content::Erased { sha256: Some([1; 32]) };
            record.no_subscriber();
            record.journal.receivers.clear();
            record.journal.streamed.clear();
        });
        // The word comes back: in a later event, to readers, in what an instance shows of the past.
        self.planted(What::NotErased, |record| {
            record.log_alone();
            record.event("withdrawn", |event| event["data"]["notice"] = json!(mark(42)));
        });
        self.planted(What::NotErased, |record| {
            let last = chrono::Utc::now() + chrono::TimeDelta::seconds(1);
            let (place, time) = ("/feed.json".to_owned(), record.events[0].time);
            record.journal.outside.insert(word.clone(), Outside { place, time, last });
        });
        self.planted(What::NotErased, |record| {
            let id = record.events[record.gone().0].subject.parse().unwrap();
            record.shown[0].past.insert(id, BTreeSet::from([word.clone()]));
        });
    }
}
