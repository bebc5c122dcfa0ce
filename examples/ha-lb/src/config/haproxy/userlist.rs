//! `userlist` sections (configuration manual §12.1).

use lb_core::rules::User;

use super::{
    args::{Admitted, Args, Context, Parsed, admit, arity},
    document::Section,
    draft::RuleLine,
    keywords::USERLIST,
};
use crate::config::diagnostic::{Diagnostic, Span};

/// Users by list name.
pub(super) struct Userlist {
    /// The section's name.
    pub(super) name: String,
    /// Its users.
    pub(super) users: Vec<User>,
    /// Where users with hashed passwords stand: nobody can log in as one of them.
    hashed: Vec<Span>,
}

impl Userlist {
    /// Refuses hashed passwords of a list that rules ask for; elsewhere nobody needs them.
    pub(super) fn check<'r>(
        &self,
        mut rules: impl Iterator<Item = &'r RuleLine>,
        context: &mut Context<'_>,
    ) {
        if self.hashed.is_empty() {
            return;
        }
        let calls = ["http_auth", "http_auth_group"].map(|call| format!("{call}({})", self.name));
        let asked = rules.any(|rule| {
            let mut words = rule.line.words.iter();
            words.any(|word| calls.iter().any(|call| word.text.contains(call)))
        });
        for span in &self.hashed {
            let message = "hashed passwords are not supported";
            context.diagnostics.push(match asked {
                true => {
                    Diagnostic::error(span.clone(), message).expected("insecure-password <text>")
                }
                false => Diagnostic::warning(span.clone(), message)
                    .action("no rule asks for this list; nobody can log in as this user"),
            });
        }
    }
}

/// Reads one section.
pub(super) fn read(section: &Section, context: &mut Context<'_>) -> Userlist {
    let mut list = Userlist {
        name: section.header.text(1).to_owned(),
        users: Vec::new(),
        hashed: Vec::new(),
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
    let mut hashed = None;
    while let Some(word) = args.take() {
        let arg = args.need(word.text, "its value")?;
        match word.text {
            "insecure-password" => {
                secret = true;
                arg.text.clone_into(&mut user.password);
            }
            "password" => hashed = Some(word.span),
            "groups" => user.groups.extend(arg.text.split(',').map(str::to_owned)),
            _ => {
                return Err(
                    word.refuse("unknown word behind 'user'", "insecure-password or groups")
                );
            }
        }
    }
    if let Some(span) = hashed {
        list.hashed.push(span);
        return Ok(());
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
