//! `userlist` sections (configuration manual §12.1).

use lb_core::{
    expr::Hashed,
    rules::{Password, User},
};

use super::{
    args::{Admitted, Args, Context, Parsed, admit, arity},
    document::Section,
    draft::RuleLine,
    keywords::USERLIST,
};
use crate::config::diagnostic::{Diagnostic, Span};

const HASHES: &str = "$5$... or $6$... (SHA-crypt, as `mkpasswd -m sha-512` writes it), $1$... (MD5), or insecure-password <text>";

/// Users by list name.
pub(super) struct Userlist {
    /// The section's name.
    pub(super) name: String,
    /// Its users.
    pub(super) users: Vec<User>,
    /// Where passwords stand whose hashes are not read: nobody can log in as one of these users.
    unread: Vec<Span>,
}

impl Userlist {
    /// Refuses unread passwords of a list that rules ask for; elsewhere nobody needs them.
    pub(super) fn check<'r>(
        &self,
        mut rules: impl Iterator<Item = &'r RuleLine>,
        context: &mut Context<'_>,
    ) {
        if self.unread.is_empty() {
            return;
        }
        let calls = ["http_auth", "http_auth_group"].map(|call| format!("{call}({})", self.name));
        let asked = rules.any(|rule| {
            let mut words = rule.line.words.iter();
            words.any(|word| calls.iter().any(|call| word.text.contains(call)))
        });
        for span in &self.unread {
            let message = "passwords of this kind of hash are not supported";
            context.diagnostics.push(match asked {
                true => Diagnostic::error(span.clone(), message).expected(HASHES),
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
        unread: Vec::new(),
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
    let mut password = None;
    let mut unread = None;
    let mut member_of = Vec::new();
    while let Some(word) = args.take() {
        let arg = args.need(word.text, "its value")?;
        match word.text {
            "insecure-password" => {
                password = Some(Password::Clear(arg.text.to_owned()));
            }
            "password" => match Hashed::parse(arg.text) {
                Some(hashed) => password = Some(Password::Hashed(hashed)),
                None => unread = Some(word.span),
            },
            "groups" => member_of.extend(arg.text.split(',').map(str::to_owned)),
            _ => {
                return Err(word.refuse(
                    "unknown word behind 'user'",
                    "password, insecure-password or groups",
                ));
            }
        }
    }
    if let Some(span) = unread {
        list.unread.push(span);
        return Ok(());
    }
    match password {
        Some(password) => list.users.push(User {
            name,
            password,
            groups: member_of,
        }),
        None => context.warn(
            word.span,
            format!("user '{name}' has no password"),
            "nobody can log in as this user",
        ),
    }
    Ok(())
}
