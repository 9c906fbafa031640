//! An item's metadata as the fields of an article.

use copydesk_article::fields::{Fields, SentFields};
use copydesk_article::limits;
use copydesk_article::problem::{Code, Problem};
use serde_json::{Map, Value, json};

use super::body;
use super::members::{Members, name, said};
use super::picture;

/// Members that have a place in an article, or that say how the item is to be read.
const KNOWN: &[&str] = &[
    "associations",
    "bodies",
    "by",
    "byline",
    "copyrightholder",
    "creditline",
    "dateline",
    "ednote",
    "embargoed",
    "embargoeduntil",
    "infosource",
    "infosources",
    "keywords",
    "language",
    "located",
    "organisation",
    "organisations",
    "people",
    "person",
    "place",
    "places",
    "provider",
    "pubstatus",
    "related",
    "renditions",
    "slugline",
    "source",
    "standfirst",
    "subject",
    "subjects",
    "title",
    "type",
    "uri",
    "urgency",
    "version",
    "versioncreated",
];
/// Members that say nothing that a person would miss in an article.
const TECHNICAL: &[&str] = &[
    "$schema",
    "$standard",
    "@context",
    "altids",
    "charcount",
    "contentcreated",
    "contenttype",
    "evolvedfrom",
    "expires",
    "firstcreated",
    "guid",
    "mimetype",
    "profile",
    "representationtype",
    "standard",
    "wordcount",
];
/// Roles of a description that leads into the story, the best first.
const LEADS: &[&str] =
    &["standfirst", "lead", "summary", "abstract", "", "text", "main", "description", "short"];
/// Roles of the headline, the best first.
const HEADLINES: &[&str] = &["main", "", "headline", "hl1", "primary"];

/// What was read of an item's metadata.
pub struct Read {
    /// Fields as a draft has them.
    pub data: Map<String, Value>,
    /// What has no place, in words.
    pub left_out: Vec<String>,
}

/// Reads an item's metadata. `pictures` are the addresses of those in its body.
pub fn read(item: &Value, pictures: &[String]) -> Read {
    let mut read = Read { data: Map::new(), left_out: Vec::new() };
    let pictures = picture::associated(item, pictures);
    let caption = pictures.image.as_ref().and_then(|image| image.text(&["caption"]));
    let headline = read.texts(item, ("headline", "headlines"), HEADLINES, None);
    let headline = headline.or_else(|| item.text(&["title"]));
    let lead = read.texts(item, ("description", "descriptions"), LEADS, caption.as_deref());
    let lead = lead.or_else(|| item.text(&["standfirst"]));
    read.put("slug", item.text(&["slugline"]).map(Value::from));
    read.put("headline", headline.map(Value::from));
    read.put("standfirst", lead.map(Value::from));
    read.put("byline", item.text(&["by", "byline"]).map(Value::from));
    read.put("dateline", item.any(&["located", "dateline"]).and_then(name).map(Value::from));
    read.put("language", item.text(&["language"]).map(|tag| tag.replace('_', "-").into()));
    read.put("urgency", item.text(&["urgency"]).and_then(|urgency| whole(&urgency)).map(Value::from));
    read.subjects(item);
    for (field, names) in [
        ("people", ["people", "person"]),
        ("organisations", ["organisations", "organisation"]),
        ("places", ["places", "place"]),
    ] {
        read.list(field, item.each(&names).into_iter().filter_map(name).collect());
    }
    read.put("image", pictures.image);
    let mut related: Vec<String> = item.each(&["related"]).into_iter().filter_map(said).collect();
    related.extend(pictures.related);
    read.list("related", related);
    let unnamed =
        |name: String| if name.is_empty() { "a picture".to_owned() } else { format!("association {name}") };
    read.left_out.extend(pictures.left_out.into_iter().map(unnamed));
    read.unknown(item);
    read
}

impl Read {
    /// Sets a field where the core would take it; else says so. What is too large is left for the desk to refuse.
    fn put(&mut self, name: &str, value: Option<Value>) {
        let Some(value) = value else { return };
        match wrong(name, &value) {
            Some(problem) => self.left_out.push(format!("{name}: {}", problem.detail)),
            None => {
                self.data.insert(name.to_owned(), value);
            }
        }
    }

    fn list(&mut self, name: &str, items: Vec<String>) {
        let mut kept: Vec<String> = Vec::new();
        for item in items {
            match wrong(name, &json!([item])) {
                Some(problem) => self.left_out.push(format!("{name}: {}", problem.detail)),
                None if kept.contains(&item) => {}
                None => kept.push(item),
            }
        }
        if !kept.is_empty() {
            self.data.insert(name.to_owned(), kept.into());
        }
    }

    /// Of several texts by role the best; the others are reported where they say something else than it and than
    /// `known`. Before 2.0 each was a member of its own: `headline`, `headline_short`.
    fn texts(
        &mut self,
        item: &Value,
        (one, all): (&str, &str),
        roles: &[&str],
        known: Option<&str>,
    ) -> Option<String> {
        let mut texts: Vec<(usize, String, String)> = Vec::new();
        let mut add = |role: &str, kind: Option<String>, text: String| {
            let role = role.to_ascii_lowercase();
            let rank = roles.iter().position(|known| *known == role).unwrap_or(roles.len());
            texts.push((rank, role, picture::one_line(&text, kind)));
        };
        for sent in item.each(&[all]) {
            if let Some(value) = sent.text(&["value"]).or_else(|| said(sent)) {
                add(&sent.text(&["role"]).unwrap_or_default(), sent.text(&["contenttype"]), value);
            }
        }
        for (name, value) in item.as_object().into_iter().flatten() {
            let name = name.to_ascii_lowercase();
            if let (Some(role), Some(text)) = (name.strip_prefix(one), said(value))
                && (role.is_empty() || role.starts_with('_'))
            {
                let role = role.trim_start_matches('_');
                let html = role.ends_with("html").then(|| "text/html".to_owned());
                add(
                    role.trim_end_matches("xhtml").trim_end_matches("text").trim_end_matches('_'),
                    html,
                    text,
                );
            }
        }
        texts.sort_by_key(|(rank, ..)| *rank);
        let mut texts = texts.into_iter().filter(|(_, _, text)| !copydesk_article::text::is_blank(text));
        let (_, _, best) = texts.next()?;
        for (_, role, text) in texts.filter(|(_, _, text)| *text != best && Some(text.as_str()) != known) {
            self.left_out.push(format!("{one} {role:?}: {text}"));
        }
        Some(best)
    }

    /// Mediatopics, and what else an item says it is about as keywords.
    fn subjects(&mut self, item: &Value) {
        let mut topics = Vec::new();
        let mut keywords: Vec<String> = item.each(&["keywords"]).into_iter().filter_map(name).collect();
        let given = keywords.len();
        for subject in item.each(&["subjects", "subject"]) {
            if let Some(topic) = mediatopic(subject) {
                topics.push(topic);
            } else if subject.text(&["rel"]).is_some_and(|rel| rel == "section") {
                let section = subject.text(&["literal", "name"]);
                self.put("section", section.map(Value::from));
            } else if let Some(name) = name(subject) {
                keywords.push(name);
            }
        }
        let most = limits::KEYWORDS.max(given);
        if keywords.len() > most {
            self.left_out
                .push(format!("{} subjects more than an article has keywords", keywords.len() - most));
            keywords.truncate(most);
        }
        self.list("subjects", topics);
        self.list("keywords", keywords);
    }

    fn unknown(&mut self, item: &Value) {
        for (name, value) in item.as_object().into_iter().flatten() {
            let plain = name.to_ascii_lowercase();
            let read = ["body", "description", "headline"].iter().any(|start| plain.starts_with(start));
            let known = read || KNOWN.contains(&plain.as_str()) || TECHNICAL.contains(&plain.as_str());
            if !known && says(value) {
                self.left_out.push(name.clone());
            }
        }
    }
}

/// Why the core would refuse a field, for any other reason than its size.
fn wrong(name: &str, value: &Value) -> Option<Problem> {
    let sent: SentFields = match serde_json::from_value(json!({ name: value })) {
        Ok(sent) => sent,
        Err(_) => return Some(Problem::invalid(format!("/{name}"), "it has another shape")),
    };
    let problem = sent.checked("", &"import".into(), &Fields::default()).err()?;
    Some(problem).filter(|problem| problem.code == Code::Invalid)
}

fn says(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(_) => true,
        Value::String(text) => !copydesk_article::text::is_blank(text),
        Value::Array(items) => items.iter().any(says),
        Value::Object(members) => members.values().any(says),
    }
}

/// A whole number, however it is written.
fn whole(number: &str) -> Option<u64> {
    let number = number.trim();
    number.parse().ok().or_else(|| number.strip_suffix(".0")?.parse().ok())
}

/// The mediatopic that a subject is, as `medtop:20000065`.
fn mediatopic(subject: &Value) -> Option<String> {
    let code = |text: &str| {
        let code = text.rsplit(['/', ':', '#']).next().unwrap_or_default();
        (code.len() == 8 && code.bytes().all(|digit| digit.is_ascii_digit()))
            .then(|| format!("medtop:{code}"))
    };
    let names_it = |text: &str| text.contains("mediatopic") || text.contains("medtop:");
    let parts =
        ["uri", "code", "qcode", "literal", "value"].map(|part| subject.text(&[part]).unwrap_or_default());
    if let Some(topic) = parts.iter().filter(|part| names_it(part)).find_map(|part| code(part)) {
        return Some(topic);
    }
    let scheme = subject.text(&["scheme"]).unwrap_or_default();
    let in_scheme = scheme.contains("mediatopic") || scheme.contains("medtop");
    // Without a scheme only codes that no older list of subjects has.
    let own =
        |part: &&String| in_scheme || (scheme.is_empty() && part.len() == 8 && part.starts_with("2000"));
    parts.iter().filter(own).find_map(|part| code(part))
}

/// What a text says on one line, without tags.
pub fn note(item: &Value, names: &[&str]) -> Option<String> {
    let text = item.text(names)?;
    if !text.contains('<') {
        return Some(text);
    }
    Some(body::words_of(&super::html::read(&text).blocks).join(" ")).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mediatopics_are_known_by_uri_code_or_scheme_and_older_codes_are_not_taken_for_them() {
        for subject in [
            json!({"uri": "http://cv.iptc.org/newscodes/mediatopic/20000065"}),
            json!({"uri": "medtop:20000065"}),
            json!({"code": "medtop:20000065", "name": "war"}),
            json!({"qcode": "medtop:20000065"}),
            json!({"scheme": "http://cv.iptc.org/newscodes/mediatopic/", "code": "20000065"}),
            json!({"literal": "20000065"}),
            json!("medtop:20000065"),
        ] {
            let item = json!({"subjects": [subject]});
            let read = read(&item, &[]);
            if subject.is_string() {
                assert_eq!(read.data["keywords"], json!(["medtop:20000065"]));
            } else {
                assert_eq!(read.data["subjects"], json!(["medtop:20000065"]), "{subject}");
            }
        }
        let old = json!({"subjects": [{"literal": "13010000", "name": "Teknologi"}, {"uri": "http://tt.se/spec/subref/1.0/16000000", "name": "Krig"}]});
        let read = read(&old, &[]);
        assert_eq!(
            (read.data.get("subjects"), &read.data["keywords"]),
            (None, &json!(["Teknologi", "Krig"]))
        );
    }

    #[test]
    fn what_the_core_would_not_take_is_left_out_by_name() {
        let item = json!({"language": "e n", "urgency": 12, "people": ["", {"name": "Ana"}, {"name": "Ana"}],
            "genres": [{"name": "Feature"}], "expires": "2030-01-01T00:00:00Z", "charcount": 3, "objects": []});
        let read = read(&item, &[]);
        assert_eq!(Value::from(read.data), json!({"people": ["Ana"]}));
        let starts: Vec<&str> = read.left_out.iter().map(|one| one.split(':').next().unwrap()).collect();
        assert_eq!(starts, ["language", "urgency", "genres"]);
    }

    #[test]
    fn of_several_headlines_and_descriptions_the_best_is_taken_and_the_others_are_named() {
        let item = json!({
            "headlines": [{"role": "short", "value": "Rivers"}, {"role": "main", "value": "Rivers  rise"}],
            "descriptions": [{"role": "caption", "value": "No"}, {"role": "summary", "contentType": "text/html", "value": "<p>The <b>rivers</b></p>"}],
        });
        let read = read(&item, &[]);
        assert_eq!(Value::from(read.data), json!({"headline": "Rivers rise", "standfirst": "The rivers"}));
        assert_eq!(read.left_out, [r#"headline "short": Rivers"#, r#"description "caption": No"#]);
    }
}
