//! The made-up newsroom in which copydesk can be tried out without a file.

use copydesk_article::newsroom::{PersonKind, Role};

use super::token::Token;
use super::{Config, Staff};

/// One person a role, and a second editor: whoever edited a text may not approve it.
const PEOPLE: &[(&str, &str, PersonKind, Role)] = &[
    ("ana", "Ana, reporter", PersonKind::Person, Role::Reporter),
    ("emil", "Emil, editor", PersonKind::Person, Role::Editor),
    ("eva", "Eva, editor", PersonKind::Person, Role::Editor),
    ("chen", "Chen, fact-checker", PersonKind::Person, Role::Checker),
    ("pia", "Pia, publisher", PersonKind::Person, Role::Publisher),
    ("carl", "Carl, editor-in-chief", PersonKind::Person, Role::Chief),
    ("audra", "Audra, auditor", PersonKind::Person, Role::Auditor),
    ("bot", "Bot, importer", PersonKind::Machine, Role::Reporter),
];

impl Config {
    /// A configuration with the made-up newsroom, and everyone's token, which is kept nowhere else.
    ///
    /// # Errors
    /// Where the operating system has no random numbers.
    pub fn trial() -> Result<(Config, Vec<(String, Token)>), getrandom::Error> {
        let mut config = Config::default();
        config.evidence.made_up = true;
        let mut tokens = Vec::new();
        for (actor, name, kind, role) in PEOPLE {
            let token = Token::draw()?;
            let hash = Some(token.hash());
            let staff = Staff {
                name: (*name).to_owned(),
                kind: *kind,
                roles: vec![*role],
                token: hash,
                ..Staff::default()
            };
            config.people.insert((*actor).to_owned(), staff);
            tokens.push(((*actor).to_owned(), token));
        }
        Ok((config, tokens))
    }
}
