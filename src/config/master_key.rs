//! Files of master keys, with which the keys of confidential evidence are wrapped: 32 bytes, in hex or base64.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A master key's bytes.
pub type Secret = [u8; 32];

/// The made-up key's name in the data folder.
const NAME: &str = "master.key";

/// The mode of a key that is made up.
const OWNER_ALONE: u32 = 0o600;
/// The bits of a mode that a key's file may not have. The owner's group may read: so systemd's credentials and
/// containers' secrets come.
const OPEN_TO_OTHERS: u32 = 0o037;

/// Reads a file's key.
///
/// # Errors
/// What is wrong with the file, without anything of what is in it.
pub fn read(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    let read = |error: io::Error| format!("{shown} can't be read: {error}");
    let mode = std::fs::metadata(path).map_err(read)?.permissions().mode();
    if mode & OPEN_TO_OTHERS != 0 {
        return Err(format!("{shown} is open to others (mode {:o}): chmod 600 {shown}", mode & 0o777));
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    let wrong = || {
        format!(
            "{shown} holds no key: expected 32 random bytes in hex or base64, as `openssl rand -hex 32` makes"
        )
    };
    decode(text.trim()).ok_or_else(wrong)
}

fn decode(text: &str) -> Option<Secret> {
    let bytes = hex::decode(text).or_else(|_| STANDARD.decode(text)).ok()?;
    bytes.try_into().ok()
}

/// The key of a data folder, made up where there is none. Only its owner may read it, and it is on the disk before
/// anything is sealed with it.
///
/// # Errors
/// What went wrong.
pub fn read_or_make(data: &Path) -> Result<Secret, String> {
    let path: PathBuf = data.join(NAME);
    if path.exists() {
        return read(&path);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| format!("no random bytes are to be had: {error}"))?;
    match make(data, &path, &secret) {
        Ok(()) => Ok(secret),
        // Another process made one meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(&path),
        Err(error) => Err(format!("{} can't be written: {error}", path.display())),
    }
}

/// Written whole under another name first: who reads it meanwhile finds all of it or nothing.
fn make(data: &Path, path: &Path, secret: &Secret) -> io::Result<()> {
    std::fs::create_dir_all(data)?;
    let written = data.join(format!("{NAME}.{}", uuid::Uuid::new_v4()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ALONE).open(&written)?;
    file.write_all(format!("{}\n", hex::encode(secret)).as_bytes())?;
    file.sync_all()?;
    let placed = std::fs::hard_link(&written, path);
    std::fs::remove_file(&written)?;
    placed?;
    File::open(data)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_is_read_in_hex_and_in_base64_from_a_file_that_others_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for text in [format!("{}\n", "07".repeat(32)), STANDARD.encode([7; 32])] {
            std::fs::write(&path, text).unwrap();
            with_mode(&path, 0o600);
            assert_eq!(read(&path).unwrap(), [7; 32]);
        }
        for mode in [0o644, 0o604, 0o660, 0o666] {
            with_mode(&path, mode);
            assert!(read(&path).unwrap_err().contains("chmod 600"), "{mode:o}");
        }
        with_mode(&path, 0o600);
        for wrong in ["", "secret words", &"07".repeat(31), &STANDARD.encode([7; 33])] {
            std::fs::write(&path, wrong).unwrap();
            let said = read(&path).unwrap_err();
            assert!(said.contains("32 random bytes") && !said.contains("secret words"), "{said}");
        }
        assert!(read(&folder.path().join("none")).unwrap_err().contains("can't be read"));
    }

    #[test]
    fn a_made_up_key_stays_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let made = read_or_make(&data).unwrap();
        assert_eq!(read_or_make(&data).unwrap(), made);
        let mode = std::fs::metadata(data.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1);
    }
}
