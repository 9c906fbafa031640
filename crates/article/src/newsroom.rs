//! The newsroom line: the people, roles and rules in force, written whole when they change, as events of the
//! subject `desk`. Every decision is made under one version of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::claims::Verdict;
use crate::fields::FieldName;

/// What an actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// A human being.
    Person,
    /// A bot, importer or language model: never judges, and its words need a person's approval.
    Machine,
    /// The service itself.
    Desk,
}

/// What someone may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Drafts and edits.
    Reporter,
    /// Edits, restores, approves, returns.
    Editor,
    /// Rules on claims.
    Checker,
    /// Publishes and withdraws.
    Publisher,
    /// Every right of an editor and a publisher, and waivers.
    Chief,
    /// Reads everything, changes nothing.
    Auditor,
}

/// Whether a person or a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PersonKind {
    /// A human being.
    #[default]
    Person,
    /// A bot, importer or language model.
    Machine,
}

/// Someone on staff.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The name shown to people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Person or machine.
    #[serde(default)]
    pub kind: PersonKind,
    /// The roles held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
}

/// The rules by which the gate judges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// How many good approvals a text needs.
    pub approvals: u32,
    /// Whether those who wrote words may not approve them, nor check their own sentences.
    pub four_eyes: bool,
    /// Fields that must be there beside headline, section and body.
    pub required: Vec<FieldName>,
    /// Longest permitted values, in characters.
    pub max_length: BTreeMap<FieldName, u32>,
    /// What every image must have.
    pub image: Vec<ImagePart>,
    /// Which verdicts let a claim through.
    pub accept: Accept,
    /// What becomes of figures and quotations that carry no claim.
    pub coverage: Coverage,
    /// How long past its hour a scheduled publication may still go out, in minutes.
    pub grace_minutes: u32,
    /// Overrides for a section and those below it; the most specific wins.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub section: BTreeMap<String, SectionRules>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            approvals: 1,
            four_eyes: true,
            required: Vec::new(),
            max_length: BTreeMap::from([(FieldName::Headline, 120)]),
            image: vec![ImagePart::Alt, ImagePart::Credit, ImagePart::Rights],
            accept: Accept::default(),
            coverage: Coverage::Warn,
            grace_minutes: 15,
            section: BTreeMap::new(),
        }
    }
}

/// Rules of a section: what is set here stands in the place of the general rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SectionRules {
    /// As in [`Rules::approvals`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<u32>,
    /// As in [`Rules::four_eyes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub four_eyes: Option<bool>,
    /// As in [`Rules::required`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<Vec<FieldName>>,
    /// As in [`Rules::max_length`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<BTreeMap<FieldName, u32>>,
    /// As in [`Rules::image`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Vec<ImagePart>>,
    /// As in [`Rules::accept`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<Accept>,
    /// As in [`Rules::coverage`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// As in [`Rules::grace_minutes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_minutes: Option<u32>,
}

/// A part of an image that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImagePart {
    /// What it shows, for those who don't see it.
    Alt,
    /// What stands below it.
    Caption,
    /// Who made it.
    Credit,
    /// On what terms it may be used.
    Rights,
}

/// Which verdicts let a claim through the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Accept {
    /// For material claims.
    pub material: Vec<Verdict>,
    /// For all others.
    pub other: Vec<Verdict>,
}

impl Default for Accept {
    fn default() -> Self {
        Self {
            material: vec![Verdict::Supported],
            other: vec![Verdict::Supported, Verdict::Unsupported, Verdict::Unverifiable],
        }
    }
}

/// What becomes of sentences with a figure, and quotations, that carry no claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Coverage {
    /// Nothing.
    Off,
    /// A warning.
    #[default]
    Warn,
    /// They hold the gate.
    Hold,
}

/// The data of `copydesk.newsroom.set`: the whole newsroom as it is from then on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewsroomSet {
    /// Everyone, by actor name.
    pub people: BTreeMap<Arc<str>, Person>,
    /// The rules.
    pub rules: Rules,
}

impl NewsroomSet {
    /// The event's type.
    pub const TYPE: &'static str = "copydesk.newsroom.set";

    /// What another newsroom has otherwise, a line for people each.
    pub fn changes(&self, next: &NewsroomSet) -> Vec<String> {
        let names: BTreeSet<&Arc<str>> = self.people.keys().chain(next.people.keys()).collect();
        let people =
            names.into_iter().filter_map(|name| match (self.people.get(name), next.people.get(name)) {
                (None, Some(person)) => Some(format!("{name} joins: {}", person.shown())),
                (Some(_), None) => Some(format!("{name} leaves")),
                (Some(was), Some(is)) if was != is => {
                    Some(format!("{name}: {} becomes {}", was.shown(), is.shown()))
                }
                _ => None,
            });
        let (was, is) = (rules_shown(&self.rules), rules_shown(&next.rules));
        let all: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        let value = |rules: &BTreeMap<String, String>, name: &String| {
            rules.get(name).cloned().unwrap_or_else(|| "nothing of its own".to_owned())
        };
        let rules = all.into_iter().filter(|name| was.get(*name) != is.get(*name));
        let rules =
            rules.map(|name| format!("rules.{name}: {} becomes {}", value(&was, name), value(&is, name)));
        people.chain(rules).collect()
    }
}

/// Each rule by its name, sections apart.
fn rules_shown(rules: &Rules) -> BTreeMap<String, String> {
    let mut all = match serde_json::to_value(rules) {
        Ok(serde_json::Value::Object(all)) => all,
        _ => serde_json::Map::new(),
    };
    let sections = match all.remove("section") {
        Some(serde_json::Value::Object(sections)) => sections,
        _ => serde_json::Map::new(),
    };
    let sections = sections.into_iter().map(|(name, rules)| (format!("section.{name:?}"), rules));
    all.into_iter().chain(sections).map(|(name, rule)| (name, rule.to_string())).collect()
}

/// The newsroom as it is in force: the fold of the newsroom line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newsroom {
    /// The line's version; 0 before its first event.
    pub version: u32,
    /// People and rules.
    pub set: NewsroomSet,
}

impl Newsroom {
    /// The newsroom after an event of its line.
    ///
    /// # Errors
    /// Where the event doesn't follow the present version.
    pub fn evolve(&self, event: &crate::event::NewsroomEvent) -> Result<Newsroom, crate::article::Broken> {
        if event.articleversion != self.version + 1 {
            return Err(crate::article::Broken::version(self.version, event.articleversion));
        }
        Ok(Newsroom { version: event.articleversion, set: event.data.clone() })
    }

    /// Someone on staff.
    pub fn person(&self, name: &str) -> Option<&Person> {
        self.set.people.get(name)
    }

    /// The rules for a section: the general ones, with the overrides of the section and those above it.
    pub fn rules_for(&self, section: Option<&str>) -> Rules {
        let mut rules = self.set.rules.clone();
        let Some(section) = section else { return rules };
        let ends = section.match_indices('/').map(|(at, _)| at).chain([section.len()]);
        for end in ends {
            let Some(over) = section.get(..end).and_then(|s| self.set.rules.section.get(s)) else { continue };
            let over = over.clone();
            rules.approvals = over.approvals.unwrap_or(rules.approvals);
            rules.four_eyes = over.four_eyes.unwrap_or(rules.four_eyes);
            rules.required = over.required.unwrap_or(rules.required);
            rules.max_length = over.max_length.unwrap_or(rules.max_length);
            rules.image = over.image.unwrap_or(rules.image);
            rules.accept = over.accept.unwrap_or(rules.accept);
            rules.coverage = over.coverage.unwrap_or(rules.coverage);
            rules.grace_minutes = over.grace_minutes.unwrap_or(rules.grace_minutes);
        }
        rules
    }
}

impl Person {
    /// Name, roles, and whether a machine, in a line.
    fn shown(&self) -> String {
        let role = |role: &Role| format!("{role:?}").to_lowercase();
        let roles = self.roles.iter().map(role).collect::<Vec<_>>().join(", ");
        let name = if self.name.is_empty() { String::new() } else { format!("{} ", self.name) };
        let machine = if self.kind == PersonKind::Machine { ", machine" } else { "" };
        format!("{name}({roles}{machine})")
    }

    /// Whether this person holds one of the roles. A chief has every right of an editor and a publisher.
    pub fn holds(&self, roles: &[Role]) -> bool {
        self.roles.iter().any(|held| {
            roles.contains(held)
                || (*held == Role::Chief
                    && (roles.contains(&Role::Editor) || roles.contains(&Role::Publisher)))
        })
    }

    /// Whether this is someone who works on stories: any role but auditor alone.
    pub fn is_staff(&self) -> bool {
        self.roles.iter().any(|role| *role != Role::Auditor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_section_wins() {
        let mut newsroom = Newsroom::default();
        let rules = |approvals| SectionRules { approvals: Some(approvals), ..SectionRules::default() };
        newsroom.set.rules.section.insert("world".into(), rules(2));
        newsroom.set.rules.section.insert("world/asia".into(), rules(3));
        let asked = |section: &str| newsroom.rules_for(Some(section)).approvals;
        assert_eq!(
            [asked("sport"), asked("world"), asked("world/asia/korea"), asked("worldly")],
            [1, 2, 3, 1]
        );
    }

    #[test]
    fn what_changes_is_said_by_person_and_by_rule() {
        let person = |name: &str, roles: &[Role]| Person {
            name: name.to_owned(),
            roles: roles.to_vec(),
            ..Person::default()
        };
        let mut before = NewsroomSet::default();
        before.people.insert("ana".into(), person("Ana", &[Role::Reporter]));
        before.people.insert("bob".into(), person("", &[Role::Editor]));
        let mut after = before.clone();
        assert!(before.changes(&after).is_empty());
        after.people.remove("bob");
        after.people.insert("ana".into(), person("Ana", &[Role::Reporter, Role::Chief]));
        after.people.insert("cem".into(), person("Cem", &[Role::Checker]));
        after.rules.approvals = 2;
        let world = SectionRules { approvals: Some(3), ..SectionRules::default() };
        after.rules.section.insert("world".into(), world);
        assert_eq!(
            before.changes(&after),
            [
                "ana: Ana (reporter) becomes Ana (reporter, chief)",
                "bob leaves",
                "cem joins: Cem (checker)",
                "rules.approvals: 1 becomes 2",
                "rules.section.\"world\": nothing of its own becomes {\"approvals\":3}",
            ]
        );
    }

    #[test]
    fn a_chief_is_editor_and_publisher_but_no_checker() {
        let chief = Person { roles: vec![Role::Chief], ..Person::default() };
        assert!(chief.holds(&[Role::Editor]) && chief.holds(&[Role::Publisher]));
        assert!(!chief.holds(&[Role::Checker]) && !chief.holds(&[Role::Reporter]));
    }
}
