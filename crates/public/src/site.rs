//! The house, as readers see it.

use std::collections::BTreeMap;

use uuid::Uuid;

/// The house, as readers see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub title: String,
    /// Where readers find it, without a slash at the end: `https://desk.example`.
    pub public_url: String,
    /// Its own site, where it has one: what its name on a page leads to.
    pub home_url: Option<String>,
    /// The language of its own words, as a BCP 47 tag.
    pub language: String,
    /// What stands in the place of the headline of a withdrawn article.
    pub withdrawn_title: String,
    /// Whether proofs of its stories are to be had below their addresses.
    pub proves: bool,
    /// Addresses of its policies by their names in [`POLICIES`].
    pub policies: BTreeMap<String, String>,
}

/// A policy that a house may have a page about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The property of schema.org's `NewsMediaOrganization` that holds its address.
    pub property: &'static str,
    /// What pages call it, in English.
    pub label: &'static str,
}

const fn policy(name: &'static str, property: &'static str, label: &'static str) -> Policy {
    Policy { name, property, label }
}

/// Every policy that pages know what to do with.
pub const POLICIES: &[Policy] = &[
    policy("corrections", "correctionsPolicy", "Corrections"),
    policy("verification", "verificationFactCheckingPolicy", "Fact-checking"),
    policy("ethics", "ethicsPolicy", "Ethics"),
    policy("principles", "publishingPrinciples", "Principles"),
    policy("sources", "unnamedSourcesPolicy", "Unnamed sources"),
    policy("diversity", "diversityPolicy", "Diversity"),
    policy("feedback", "actionableFeedbackPolicy", "Feedback"),
    policy("ownership", "ownershipFundingInfo", "Ownership and funding"),
    policy("masthead", "masthead", "Who we are"),
    policy("mission", "missionCoveragePrioritiesPolicy", "Mission"),
];

impl Site {
    /// Where an article's page is.
    pub fn article_url(&self, article: Uuid) -> String {
        self.url(&format!("/articles/{article}"))
    }

    /// The address of a path of the public side.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.trim_end_matches('/'))
    }

    /// Where readers find the house: its own site, else the front page.
    pub(crate) fn home(&self) -> String {
        self.home_url.clone().unwrap_or_else(|| self.url("/"))
    }

    /// The policies that the house has a page about, with their addresses.
    pub(crate) fn policies(&self) -> impl Iterator<Item = (&'static Policy, &str)> {
        POLICIES.iter().filter_map(|policy| Some((policy, self.policies.get(policy.name)?.as_str())))
    }
}
