//! Planted where words are judged: on a revision that has others.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_judgement_carried_over_to_other_words_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::in_folder(folder.path()).await;
    let r = &mut recorder;
    let story = r.draft(1, &[told(2), told(3)]).await;
    r.send(1, "ana", of(&story, 1, "claim", json!({"quote": mark(2), "block": "b1", "kind": "fact"}))).await;
    let text = format!("{} and {}", mark(2), told(5));
    r.send(1, "ana", replace(&story, 1, "b1", &text)).await;
    r.send(1, "chen", of(&story, 2, "rule", json!({"claim": "c1", "verdict": "supported"}))).await;
    r.send(1, "ana", replace(&story, 2, "b2", &told(6))).await;
    // The sentence is the same, so the verdict may be based on the revision before.
    r.send(1, "chen", of(&story, 2, "rule", json!({"claim": "c1", "verdict": "supported"}))).await;
    r.send(1, "ana", of(&story, 3, "submit", json!({}))).await;
    r.send(1, "eva", of(&story, 3, "approve", json!({}))).await;
    let out = r.send(1, "pia", of(&story, 3, "publish", json!({}))).await;
    assert_eq!(out["edition"], 1, "{out}");
    r.has_out(&story, 1).await;
    let mut record = recorder.close(Shown::default()).await;
    record.shown.clear();
    assert_eq!(record.found(), []);
    for (kind, event, base) in [
        ("submit", "submitted", 2),
        ("approve", "approved", 2),
        ("publish", "published", 2),
        ("rule", "claim_ruled", 1),
    ] {
        record.planted(What::Unseen, |record| {
            record.log_alone();
            record.other_command(kind, event, |command| command["base"] = json!(base));
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_of_which_nothing_came_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::in_folder(folder.path()).await;
    let r = &mut recorder;
    let story = r.draft(1, &[told(2)]).await;
    r.send(1, "ana", of(&story, 1, "submit", json!({}))).await;
    r.send(1, "eva", of(&story, 1, "approve", json!({}))).await;
    let hour = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    let set = r.send(1, "pia", of(&story, 1, "publish", json!({"at": hour}))).await;
    assert_eq!(set["type"], "copydesk.article.scheduled", "{set}");
    let mut record = recorder.close(Shown::default()).await;
    record.shown.clear();
    assert_eq!(record.found(), []);
    record.planted(What::EditionMissing, |record| {
        record.journal.rests.push(hour + chrono::TimeDelta::seconds(1));
    });
}
