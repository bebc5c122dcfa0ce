//! `userlist` sections (configuration manual §12.1).

use lb_core::rules::User;

use super::{
    args::{Admitted, Args, Context, Parsed, admit, arity},
    document::Section,
    keywords::USERLIST,
};

/// Users by list name.
pub(super) struct Userlist {
    /// The section's name.
    pub(super) name: String,
    /// Its users.
    pub(super) users: Vec<User>,
}

/// Reads one section.
pub(super) fn read(section: &Section, context: &mut Context<'_>) -> Userlist {
    let mut list = Userlist {
        name: section.header.text(1).to_owned(),
        users: Vec::new(),
    };
    let mut groups: Vec<(String, String)> = Vec::new();
    for line in &section.lines {
        let mut args = Args::new(line, 0);
        let result = entry(&mut args, &mut list, &mut groups, context);
        context.collect(result);
    }
    for (group, user) in groups {
        if let Some(user) = list.users.iter_mut().find(|known| known.name == user) {
            user.groups.push(group);
        }
    }
    list
}

fn entry(
    args: &mut Args<'_>,
    list: &mut Userlist,
    groups: &mut Vec<(String, String)>,
    context: &mut Context<'_>,
) -> Parsed<()> {
    let word = args.need("userlist", "user or group")?;
    match admit(
        context,
        USERLIST,
        &word,
        "keyword '{}' in 'userlist' section",
    )? {
        Admitted::Use(known) => arity(args, word.text, known)?,
        Admitted::Skip(_) => return Ok(()),
    }
    let name = args.need(word.text, "a name")?.text.to_owned();
    if word.text == "group" {
        if args.skip("users") {
            let users = args.need("users", "user names")?;
            groups.extend(
                users
                    .text
                    .split(',')
                    .map(|user| (name.clone(), user.to_owned())),
            );
        }
        return args.end("group");
    }
    let mut user = User {
        name,
        password: String::new(),
        groups: Vec::new(),
    };
    let mut secret = false;
    while let Some(word) = args.take() {
        let arg = args.need(word.text, "its value")?;
        match word.text {
            "insecure-password" => {
                secret = true;
                arg.text.clone_into(&mut user.password);
            }
            // The word is not repeated in the message: it is a password's hash.
            "password" => {
                let message = "hashed passwords are not supported";
                let mut finding = word.refuse(message, "insecure-password <text>");
                finding.found = None;
                return Err(finding);
            }
            "groups" => user.groups.extend(arg.text.split(',').map(str::to_owned)),
            _ => {
                return Err(
                    word.refuse("unknown word behind 'user'", "insecure-password or groups")
                );
            }
        }
    }
    if !secret {
        context.warn(
            word.span,
            format!("user '{}' has no password", user.name),
            "nobody can log in as this user",
        );
        return Ok(());
    }
    list.users.push(user);
    Ok(())
}
