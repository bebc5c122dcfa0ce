//! `enable_script_security` (keepalived.conf(5)): a script that root runs must not be one that others can change.
//!
//! Looked at once, before anything starts. keepalived drops such a script and runs on without the check that it
//! was; here the start is refused, and the sentence says what to change.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::command::Command;

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;
const EXECUTABLE: u32 = 0o111;

/// Why a command is not to be run; `None` if it may be: everything on the way to its program belongs to root and
/// only root can write there, or it is not root who runs it.
pub fn objection(command: &Command) -> Option<String> {
    let runs_as_root = match command.uid {
        Some(uid) => uid == 0,
        None => rustix::process::geteuid().is_root(),
    };
    if !runs_as_root {
        return None;
    }
    let program = find(command.words.first()?)?;
    // As written, and where links lead.
    let target = fs::canonicalize(&program).ok()?;
    let weak = [&program, &target]
        .into_iter()
        .flat_map(|path| path.ancestors())
        .filter(|path| !path.as_os_str().is_empty())
        .find_map(|path| weakness(path).ok().flatten())?;
    Some(format!(
        "root would run {}, but {weak}: enable_script_security refuses that; let root own it and no one else \
         write to it, or name another `user` for the script",
        program.display()
    ))
}

/// `</dev/tcp/127.0.0.1/80` and its kind, which keepalived leaves to the shell: whether something can be opened.
pub fn is_for_the_shell(words: &[String]) -> bool {
    words.first().is_some_and(|word| word.starts_with("</"))
}

/// Why the program of these words cannot be executed on this host, by anyone.
pub fn obstacle(words: &[String]) -> Option<&'static str> {
    if is_for_the_shell(words) {
        return None;
    }
    let program = words.first().and_then(|program| find(program));
    let found = program.and_then(|program| fs::metadata(program).ok());
    match found.filter(fs::Metadata::is_file) {
        None => Some("no such program on this host"),
        Some(found) if found.mode() & EXECUTABLE == 0 => Some("nobody may execute this program"),
        Some(_) => None,
    }
}

/// The program as execvp(3) finds it.
fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file())
}

/// Who besides root can change what lies at `path`.
fn weakness(path: &Path) -> io::Result<Option<String>> {
    let found = fs::symlink_metadata(path)?;
    let shown = path.display();
    let mode = found.mode();
    Ok(if found.uid() != 0 {
        Some(format!("{shown} belongs to user {}", found.uid()))
    } else if found.is_symlink() || (found.is_dir() && mode & STICKY != 0) {
        // A link's own mode means nothing; in a sticky directory only root changes what is root's.
        None
    } else if mode & OTHERS_WRITE != 0 {
        Some(format!("everybody can write to {shown}"))
    } else if mode & GROUP_WRITES != 0 && found.gid() != 0 {
        Some(format!("group {} can write to {shown}", found.gid()))
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn run_by(path: &Path, uid: Option<u32>) -> Option<String> {
        objection(&Command {
            words: vec![path.display().to_string()],
            uid,
            ..Command::default()
        })
    }

    #[test]
    fn what_only_opens_something_needs_no_program() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(obstacle(&words("</dev/tcp/127.0.0.1/80")), None);
        assert!(obstacle(&words("/no/such/program </dev/null")).is_some());
    }

    #[test]
    fn what_others_can_change_is_refused_to_root_and_to_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("check.sh");
        fs::write(&script, "").unwrap();
        fs::set_permissions(&script, PermissionsExt::from_mode(0o777)).unwrap();
        let said = run_by(&script, Some(0)).unwrap();
        let by_root = rustix::process::geteuid().is_root();
        let expected = if by_root {
            "everybody can write to"
        } else {
            "belongs to user"
        };
        assert!(said.contains(expected), "{said}");
        assert_eq!(run_by(&script, Some(65_534)), None);
    }

    #[test]
    fn what_only_root_can_change_is_accepted_and_links_are_followed() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("check.sh");
        fs::write(&script, "").unwrap();
        fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(run_by(&script, Some(0)), None);

        let other = tempfile::tempdir().unwrap();
        let link = other.path().join("link");
        symlink(&script, &link).unwrap();
        assert_eq!(run_by(&link, Some(0)), None);
        chown(folder.path(), Some(65_534), None).unwrap();
        assert!(run_by(&link, Some(0)).unwrap().contains("belongs to user"));
    }
}
