use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Shape {
    headline: String,
    #[serde(default)]
    inner: Vec<Inner>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Inner {
    level: u8,
}

fn refused(json: &str) -> Problem {
    parse(json.as_bytes()).and_then(|node| node.decode::<Shape>("/data")).unwrap_err()
}

#[test]
fn an_unknown_field_is_named_with_the_nearest_right_one() {
    let problem = refused(r#"{"headlin":"x"}"#);
    assert_eq!(problem.code, Code::UnknownField);
    assert_eq!(problem.field.as_deref(), Some("/data/headlin"));
    assert_eq!(problem.suggestion.as_deref(), Some("headline"));
}

#[test]
fn a_wrong_type_is_placed_and_not_quoted() {
    let problem = refused(r#"{"headline":"x","inner":[{"level":1},{"level":"CANARY"}]}"#);
    assert_eq!(problem.field.as_deref(), Some("/data/inner/1/level"));
    assert!(!format!("{problem:?}").contains("CANARY"));
}

#[test]
fn a_list_is_no_object_and_types_are_named_in_the_words_of_json() {
    let problem = parse(b"[\"x\",[]]").unwrap().decode::<Shape>("/data").unwrap_err();
    assert_eq!(problem.detail, "/data: expected an object, found a list");
    assert_eq!(refused(r#"{"headline":"x","inner":[[1]]}"#).field.as_deref(), Some("/data/inner/0"));
    let problem = refused(r#"{"headline":"x","inner":[{"level":"1"}]}"#);
    assert_eq!(problem.detail, "/data/inner/0/level: expected a whole number, found string");
    let problem = refused(r#"{"headline":"x","inner":[{"level":1.0}]}"#);
    assert_eq!(
        problem.detail,
        "/data/inner/0/level: expected a whole number, found number with a fraction or an exponent"
    );
}

#[test]
fn a_missing_field_is_placed() {
    assert_eq!(refused("{}").field.as_deref(), Some("/data/headline"));
    assert_eq!(refused(r#"{"headline":"x","inner":[{}]}"#).field.as_deref(), Some("/data/inner/0/level"));
}

#[test]
fn duplicate_keys_depth_and_garbage_are_malformed() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for bad in [r#"{"a":1,"a":2}"#, r#"{"a":{"b":1,"b":1}}"#, "", "{", "nul", "{} {}", r#""\ud800""#, &deep] {
        assert_eq!(parse(bad.as_bytes()).unwrap_err().code, Code::Malformed, "{}", bad.len());
    }
    let at_limit = format!("{}{}", "[".repeat(32), "]".repeat(32));
    assert!(parse(at_limit.as_bytes()).is_ok());
    let over = format!("{}{}", "[".repeat(33), "]".repeat(33));
    assert!(parse(over.as_bytes()).unwrap_err().detail.contains("32 deep"));
}

#[test]
fn a_key_is_found_twice_among_many_and_however_it_is_written() {
    let object = |names: &[String]| {
        let members: Vec<_> = names.iter().map(|name| format!("{name}:1")).collect();
        format!("{{{}}}", members.join(","))
    };
    let mut names: Vec<_> = (0..100).map(|at| format!("\"k{at}\"")).collect();
    assert!(parse(object(&names).as_bytes()).is_ok());
    for twice in [r#""k0""#, r#""k15""#, r#""k16""#, r#""k99""#, r#""\u006b42""#] {
        names.push(twice.to_owned());
        assert_eq!(parse(object(&names).as_bytes()).unwrap_err().code, Code::Malformed, "{twice}");
        names.pop();
    }
    assert_eq!(parse(br#"{"a":1,"\u0061":2}"#).unwrap_err().code, Code::Malformed);
}

#[test]
fn a_key_that_is_there_twice_is_named() {
    for (json, field) in [
        (r#"{"a":1,"a":2}"#, "/a"),
        (r#"{"data":{"ops":[{"op":1},{"op":1,"b/c":1,"b/c":2}]}}"#, "/data/ops/1/b~1c"),
        (r#"[[{"":1,"":1}]]"#, "/0/0/"),
    ] {
        let problem = parse(json.as_bytes()).unwrap_err();
        assert_eq!((problem.code, problem.field.as_deref()), (Code::Malformed, Some(field)));
        assert_eq!(problem.detail, format!("{field}: there twice"));
    }
    assert_eq!(parse(br#"{"a":{"b":1}"#).unwrap_err().field, None);
}

fn any_node() -> impl Strategy<Value = Node<'static>> {
    let leaf = prop_oneof![
        Just(Node::Null),
        any::<bool>().prop_map(Node::Bool),
        any::<i64>().prop_map(Node::Int),
        (-9..9_i64).prop_map(Node::Int),
        (-2..2_i64).prop_map(|off| Node::Int((1 << 53) + off)),
        (-2..2_i64).prop_map(|off| Node::Int(off - (1 << 53))),
        (i64::MAX as u64 + 1..).prop_map(Node::Uint),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Node::Float),
        "[a\\\\\"\u{0}-\u{1f}\u{7f}é\u{2028}😀]{0,6}".prop_map(|text| Node::Str(text.into())),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let members = proptest::collection::btree_map("[a-c\\\\\"\nA é\u{ffff}😀]{0,2}", inner.clone(), 0..5);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Node::Array),
            members.prop_map(|members| {
                let members = members.into_iter().rev();
                Node::Object(members.map(|(name, node)| (name.into(), node)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn the_canonical_form_is_that_of_the_library(node in any_node()) {
        let mut ours = Vec::new();
        node.canonical(&mut ours);
        let theirs = serde_json_canonicalizer::to_vec(&node).unwrap();
        prop_assert_eq!(String::from_utf8(ours).unwrap(), String::from_utf8(theirs).unwrap());
    }
}
