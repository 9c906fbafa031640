//! What instances say on stderr: no newsroom text, and no panic.

use super::House;

/// In paths of the sources of sled, which panics on what is damaged, as it is meant to be; and of the standard library,
/// where it may do so too.
const MAY_PANIC: [&str; 2] = ["/sled-", "/rustc/"];

impl House {
    /// What instances said is outside.
    pub(super) fn read_stderr(&self) {
        let mut journal = self.shared.journal();
        for (number, instance) in self.instances.iter().enumerate() {
            let said = std::fs::read_to_string(instance.stderr()).unwrap_or_default();
            journal.saw_late(&format!("instance {number}'s log"), &said, chrono::Utc::now());
            for line in panics(&said) {
                let what = format!("instance {number}: {line}");
                if !journal.conduct.contains(&what) {
                    journal.conduct.push(what);
                }
            }
        }
    }
}

/// The lines that tell of panics which nothing that is done to an instance excuses.
fn panics(said: &str) -> impl Iterator<Item = &str> {
    said.lines().filter(|line| {
        let place = line.split_once(crate::OWN_FAULT).map(|(_, place)| place);
        place.is_some_and(|place| !MAY_PANIC.iter().any(|path| place.contains(path)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_found_as_the_program_tells_it_and_one_of_sleds_is_not() {
        let ours = crate::own_fault("src/desk/mod.rs:12:5");
        let sleds = crate::own_fault("/home/x/.cargo/registry/src/i/sled-0.34.7/src/pagecache/mod.rs:1:2");
        let said = format!("copydesk: listening\n{sleds}\n{ours}\ncopydesk: fold_stopped\n");
        assert_eq!(panics(&said).collect::<Vec<_>>(), [ours]);
    }
}
