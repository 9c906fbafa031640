//! The sample story, from draft to withdrawal, through the rules alone.

use serde_json::json;

use super::testing::Desk;
use crate::problem::Code;

#[test]
fn the_sample_story_goes_through_the_desk() {
    let mut desk = Desk::new();
    let story = include_str!("../../../../tests/stories/kursk-letter.md");
    let (_, body) = story.trim_start_matches("---").split_once("---\n").unwrap();
    desk.given(
        "ana",
        json!({"type": "draft", "data": {
            "slug": "koreas-russia-letter", "language": "en", "section": "world/asia",
            "headline": "Kremlin's New Year letter to Pyongyang celebrates soldiers sent to fight in Ukraine",
            "markdown": body,
        }}),
    );
    assert_eq!(desk.words().len(), 8);
    desk.given("chen", json!({"type": "claim", "data": {"quote": "soldiers sent to fight in Ukraine", "field": "headline", "kind": "fact"}}));
    desk.given("chen", json!({"type": "claim", "data": {"quote": "About 2,000 of the North Koreans deployed to Ukraine have been killed", "kind": "statistic"}}));
    desk.given("chen", json!({"type": "cite", "data": {"claim": "c2", "title": "Agency estimate"}}));
    desk.given("chen", json!({"type": "rule", "data": {"claim": "c1", "verdict": "inaccurate"}}));
    desk.given("chen", json!({"type": "rule", "data": {"claim": "c2", "verdict": "inaccurate"}}));
    let shut = desk.refused("pia", json!({"type": "publish"}), Code::GateShut);
    assert_eq!(shut.reasons.len(), 3, "{shut:?}");
    let event = desk.given("emil", json!({"type": "edit", "data": {
        "set": {"headline": "Kremlin's New Year letter to Pyongyang celebrates soldiers sent to fight in Kursk"},
        "ops": [{"op": "replace", "block": "b6", "text": "About 2,000 of the North Koreans deployed to the Kursk region have been killed, Seoul's intelligence agency estimates."}],
    }})).clone();
    assert_eq!(desk.gate(), ["not_approved", "verdict_stale", "verdict_stale"]);
    let json = serde_json::to_value(&event).unwrap();
    assert_eq!(json["data"]["change"]["claims"].as_array().unwrap().len(), 2, "{json:#}");
    desk.refused(
        "chen",
        json!({"type": "rule", "data": {"claim": "c1", "verdict": "supported"}}),
        Code::QuoteNotFound,
    );
    desk.refused("chen", json!({"type": "rule", "base": 1, "data": {"claim": "c1", "verdict": "supported", "quote": "soldiers sent to fight in Kursk"}}), Code::Conflict);
    desk.given("chen", json!({"type": "rule", "data": {"claim": "c1", "verdict": "supported", "quote": "soldiers sent to fight in Kursk"}}));
    desk.given("chen", json!({"type": "rule", "data": {"claim": "c2", "verdict": "supported", "quote": "About 2,000 of the North Koreans deployed to the Kursk region have been killed"}}));
    desk.given("ana", json!({"type": "submit"}));
    desk.refused("emil", json!({"type": "approve"}), Code::FourEyes);
    desk.given("eva", json!({"type": "approve"}));
    assert!(desk.gate().is_empty());
    desk.given("pia", json!({"type": "publish"}));
    desk.refused("pia", json!({"type": "publish"}), Code::NothingNew);
    desk.given("emil", json!({"type": "edit", "data": {"ops": [{"op": "replace", "block": "b1", "text": "Vladimir Putin told Kim Jong Un so."}]}}));
    desk.given("eva", json!({"type": "approve"}));
    desk.given("pia", json!({"type": "publish", "data": {"kind": "correction", "note": "A first version misstated a date."}}));
    desk.given("pia", json!({"type": "withdraw", "data": {"notice": "Withdrawn."}}));
    let edition = crate::edition::Edition::of(desk.state()).unwrap();
    assert!(edition.blocks.is_empty() && edition.notes.len() == 2 && edition.number == 3);
}
