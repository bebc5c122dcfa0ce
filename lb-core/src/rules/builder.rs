//! From the words of configuration lines to compiled rules.

mod affinity;
mod captures;
mod maps;
mod whole;

pub use whole::Remark;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    path::Path,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
};

use super::{
    ProxyRules, Rule, RuleError, RuleWarning, Rules, User,
    action::{self, Action, Context, Place},
    choose::{Choice, Name},
    words::{Words, inspect_delay},
};
use crate::{
    acl::{AclSet, Condition, Site},
    cache::Caches,
    config::ErrorFiles,
    expr::{Definitions, ProxyFacts, Stage, Userlist},
    log::{LogFormat, looks_dynamic},
    request::Origin,
};

/// Which half of a proxy the lines stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxySide {
    /// `frontend`.
    Frontend,
    /// `backend`.
    Backend,
    /// `listen`: both.
    Listen,
    /// A named `defaults` section.
    Defaults,
}

/// Reads a file that a line names.
pub type Loader<'l> = &'l dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// What parsing a line gives: warnings, or the error.
pub type Parsed = Result<Vec<RuleWarning>, RuleError>;

/// Collects the lines of one proxy. Each method takes the words after its keyword (`acl` takes the words after
/// `acl`, `http_request` those after `http-request`), unquoted; a [`RuleError::word`] counts from there.
///
/// ```
/// use lb_core::rules::{ProxySide, RulesBuilder};
/// let loader = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
/// let mut builder = RulesBuilder::new(ProxySide::Frontend, &loader);
/// builder.acl(&["rancher", "hdr_dom(host)", "-i", "rancher.example"])?;
/// builder.use_backend(&["backend_rancher", "if", "rancher"])?;
/// let error = builder.http_request(&["set-haeder", "x-a", "b"]).unwrap_err();
/// assert_eq!(error.word, 0);
/// assert_eq!(error.expected.as_deref(), Some("an action; did you mean 'set-header'?"));
/// let rules = builder.build()?;
/// assert_eq!(rules.backend_names().len(), 1);
/// # Ok::<(), lb_core::rules::RuleError>(())
/// ```
pub struct RulesBuilder<'l> {
    side: ProxySide,
    loader: Loader<'l>,
    definitions: Definitions,
    acls: AclSet,
    /// `block` lines: before `http-request`.
    blocks: Vec<Rule>,
    rules: Rules,
    /// Lengths of declared slots of requests and responses.
    lengths: (Vec<usize>, Vec<usize>),
}

impl fmt::Debug for RulesBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulesBuilder")
            .field("side", &self.side)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// The stage at which the rules of a place are evaluated.
fn stage(place: Place) -> Stage {
    match place {
        Place::TcpConnection | Place::TcpSession => Stage::Connection,
        Place::TcpContent => Stage::Content,
        Place::TcpResponse => Stage::Answer,
        Place::HttpRequest => Stage::Request,
        Place::HttpResponse | Place::HttpAfterResponse => Stage::Response,
    }
}

impl<'l> RulesBuilder<'l> {
    /// No rules yet. `loader` reads the files of `-f` and `file`.
    pub fn new(side: ProxySide, loader: Loader<'l>) -> Self {
        Self {
            side,
            loader,
            definitions: Definitions::default(),
            acls: AclSet::default(),
            blocks: Vec::new(),
            rules: Rules::default(),
            lengths: <(Vec<usize>, Vec<usize>)>::default(),
        }
    }

    /// `userlist` of that name: users with their passwords and groups, for `http_auth`. Before the lines
    /// that refer to it.
    pub fn userlist(&mut self, name: &str, users: Vec<User>) {
        let list = Arc::new(Userlist { users });
        self.definitions.userlists.insert(name.to_string(), list);
    }

    /// The name of the proxy that the lines belong to, and every proxy there is: then what does not exist cannot
    /// be named. Before the lines.
    pub fn proxies(&mut self, own: Arc<str>, all: Arc<BTreeMap<Arc<str>, ProxyFacts>>) {
        self.definitions.proxy = Some(own);
        self.definitions.proxies = Some(all);
    }

    /// Whether the next line stands in a `defaults` section: what belongs to a proxy must be named with it.
    pub fn in_defaults(&mut self, it_does: bool) {
        self.definitions.in_defaults = it_does;
    }

    /// Where the next line stands: `last_rule_file` and `last_rule_line` tell it of the rule that ended an evaluation.
    pub fn origin(&mut self, file: Arc<str>, line: u32) {
        self.definitions.origin = Some(Arc::new(Origin { file, line }));
    }

    /// The `http-errors` sections by name, for replies with `errorfiles`. Before the lines that refer to them.
    pub fn error_files(&mut self, sections: Arc<BTreeMap<String, ErrorFiles>>) {
        self.definitions.error_files = sections;
    }

    /// The `cache` sections by name. Before the lines that refer to them.
    pub fn caches(&mut self, caches: Arc<Caches>) {
        self.definitions.caches = caches;
    }

    /// The names of all `resolvers` sections: then others cannot be named. Before the lines that refer to them.
    pub fn resolvers(&mut self, names: Arc<BTreeSet<Arc<str>>>) {
        self.definitions.resolvers = Some(names);
    }

    /// `http-error status N ...`: the answer that is sent in place of the error page.
    pub fn http_error(&mut self, words: &[&str]) -> Parsed {
        self.read_maps(words)?;
        let mut warnings = Vec::new();
        let mut context = Context {
            place: Place::HttpRequest,
            site: self.site(Stage::Any),
            slots: &mut (0, 0),
            side: self.side,
            warnings: &mut warnings,
        };
        let (status, template) = action::error(&mut Words::new(words), &mut context)?;
        self.rules.errors.insert(status, template);
        Ok(warnings)
    }

    /// `monitor fail if|unless CONDITION`.
    pub fn monitor_fail(&mut self, words: &[&str]) -> Parsed {
        let (condition, warnings) = self.condition_alone(words)?;
        self.rules.monitor_fail.push(condition);
        Ok(warnings)
    }

    /// `acl NAME EXPRESSION ...`.
    pub fn acl(&mut self, words: &[&str]) -> Parsed {
        self.read_maps(words)?;
        let site = Site {
            definitions: &self.definitions,
            loader: self.loader,
            stage: Stage::Any,
        };
        self.acls.declare(words, site)
    }

    /// `tcp-request connection|session|content|inspect-delay ...`.
    pub fn tcp_request(&mut self, words: &[&str]) -> Parsed {
        self.read_maps(words)?;
        let place = match words.first().copied() {
            Some("connection" | "session") if self.side == ProxySide::Backend => {
                return Err(
                    RuleError::new(0, "a backend accepts no connections").expecting("content")
                );
            }
            Some("connection") => Place::TcpConnection,
            Some("session") => Place::TcpSession,
            Some("content") => Place::TcpContent,
            Some("inspect-delay") => {
                self.rules.inspect_delay = Some(inspect_delay(words)?);
                return Ok(Vec::new());
            }
            other => {
                let found = other.unwrap_or_default();
                return Err(
                    RuleError::new(0, format!("unexpected '{found}' after 'tcp-request'"))
                        .expecting("connection, session, content or inspect-delay"),
                );
            }
        };
        let (rule, warnings) = self.rule(place, words, 1)?;
        match place {
            Place::TcpConnection => self.rules.connection.push(rule),
            Place::TcpSession => self.rules.session.push(rule),
            _ => self.rules.content.push(rule),
        }
        Ok(warnings)
    }

    /// `tcp-response content|inspect-delay ...`.
    pub fn tcp_response(&mut self, words: &[&str]) -> Parsed {
        self.read_maps(words)?;
        match words.first().copied() {
            Some("content") => {
                let (rule, warnings) = self.rule(Place::TcpResponse, words, 1)?;
                self.rules.answers.push(rule);
                Ok(warnings)
            }
            Some("inspect-delay") => {
                self.rules.answer_delay = Some(inspect_delay(words)?);
                Ok(Vec::new())
            }
            other => {
                let found = other.unwrap_or_default();
                let message = format!("unexpected '{found}' after 'tcp-response'");
                Err(RuleError::new(0, message).expecting("content or inspect-delay"))
            }
        }
    }

    /// `http-request ACTION ... [if|unless CONDITION]`.
    pub fn http_request(&mut self, words: &[&str]) -> Parsed {
        self.read_maps(words)?;
        let (rule, warnings) = self.rule(Place::HttpRequest, words, 0)?;
        self.rules.http_request.push(rule);
        Ok(warnings)
    }

    /// `http-response ACTION ...`.
    pub fn http_response(&mut self, words: &[&str]) -> Parsed {
        self.read_maps(words)?;
        let (rule, warnings) = self.rule(Place::HttpResponse, words, 0)?;
        self.rules.http_response.push(rule);
        Ok(warnings)
    }

    /// `http-after-response ACTION ...`.
    pub fn http_after_response(&mut self, words: &[&str]) -> Parsed {
        self.read_maps(words)?;
        let (rule, warnings) = self.rule(Place::HttpAfterResponse, words, 0)?;
        self.rules.http_after_response.push(rule);
        Ok(warnings)
    }

    /// `use_backend NAME [if|unless CONDITION]`.
    pub fn use_backend(&mut self, words: &[&str]) -> Parsed {
        self.read_maps(words)?;
        if self.side == ProxySide::Backend {
            return Err(RuleError::new(0, "a backend cannot choose another backend")
                .expecting("'use_backend' in a frontend"));
        }
        let (choice, warnings) = self.choice(words, "a backend")?;
        self.rules.backends.push(choice);
        Ok(warnings)
    }

    /// `use-server NAME if|unless CONDITION`.
    pub fn use_server(&mut self, words: &[&str]) -> Parsed {
        self.read_maps(words)?;
        if self.side == ProxySide::Frontend {
            return Err(RuleError::new(0, "a frontend has no servers")
                .expecting("'use-server' in a backend"));
        }
        let (choice, warnings) = self.choice(words, "a server")?;
        self.rules.servers.push(choice);
        Ok(warnings)
    }

    /// The old `redirect ...` line; like `http-request redirect ...` after all of those.
    pub fn redirect(&mut self, words: &[&str]) -> Parsed {
        self.read_maps(words)?;
        let mut warnings = Vec::new();
        let mut cursor = Words::new(words);
        let mut context = Context {
            place: Place::HttpRequest,
            site: self.site(Stage::Request),
            slots: &mut (0, 0),
            side: self.side,
            warnings: &mut warnings,
        };
        let action = action::redirect(&mut cursor, &mut context)?;
        let condition = self.condition_after(&cursor, Stage::Request, &mut warnings)?;
        self.rules.redirects.push(Rule {
            action,
            condition,
            origin: None,
        });
        Ok(warnings)
    }

    /// The old `block if ...` line (removed in 2.1): `http-request deny if ...` before all of those.
    pub fn block(&mut self, words: &[&str]) -> Parsed {
        self.read_maps(words)?;
        let mut warnings = Vec::new();
        let cursor = Words::new(words);
        let condition = self.condition_after(&cursor, Stage::Request, &mut warnings)?;
        self.blocks.push(Rule {
            action: Action::Deny(403, None),
            condition,
            origin: None,
        });
        Ok(warnings)
    }

    /// A condition that stands elsewhere (`stats admin if ...`): the words from `if` or `unless` on. ACLs must
    /// have been declared before.
    pub fn condition(&self, words: &[&str]) -> Result<Condition, RuleError> {
        self.acls
            .condition(words, self.site(Stage::Request), &mut Vec::new())
    }

    /// The rules of all lines so far.
    pub fn build(self) -> Result<ProxyRules, RuleError> {
        let Self {
            acls,
            blocks,
            mut rules,
            lengths,
            definitions,
            ..
        } = self;
        rules.lengths = lengths;
        rules.http_request.splice(0..0, blocks);
        let asked = definitions.asked.lock();
        rules
            .asked
            .clone_from(&asked.unwrap_or_else(PoisonError::into_inner));
        rules.reads_bodies = definitions.reads_bodies.load(Relaxed);
        // ACLs may have got further lines after their first use.
        for list in [
            &mut rules.connection,
            &mut rules.session,
            &mut rules.content,
            &mut rules.answers,
            &mut rules.http_request,
            &mut rules.redirects,
            &mut rules.http_response,
            &mut rules.http_after_response,
        ] {
            list.iter_mut()
                .for_each(|rule| rule.condition.complete(&acls));
        }
        rules
            .sticks
            .iter_mut()
            .chain(&mut rules.learned)
            .map(|stick| &mut stick.condition)
            .chain(&mut rules.monitor_fail)
            .chain(rules.persist.iter_mut().map(|(_, condition)| condition))
            .for_each(|condition| condition.complete(&acls));
        for list in [&mut rules.backends, &mut rules.servers] {
            list.iter_mut()
                .for_each(|choice| choice.condition.complete(&acls));
        }
        Ok(ProxyRules {
            rules: Arc::new(rules),
        })
    }

    fn site(&self, stage: Stage) -> Site<'_> {
        Site {
            definitions: &self.definitions,
            loader: self.loader,
            stage,
        }
    }

    /// The rule whose action is the word at `start`.
    fn rule(
        &mut self,
        place: Place,
        words: &[&str],
        start: usize,
    ) -> Result<(Rule, Vec<RuleWarning>), RuleError> {
        let mut warnings = Vec::new();
        let mut cursor = Words::new(words.get(start..).unwrap_or_default());
        let stage = stage(place);
        let mut slots = self.rules.slots;
        let mut read = |cursor: &mut Words<'_>, warnings: &mut Vec<RuleWarning>| {
            let spec = action::find(cursor.required("an action")?, place)?;
            let mut context = Context {
                place,
                site: self.site(stage),
                slots: &mut slots,
                side: self.side,
                warnings,
            };
            let action = (spec.read)(cursor, &mut context)?;
            let condition = self.condition_after(cursor, stage, warnings)?;
            let origin = (stage != Stage::Connection).then(|| self.definitions.origin.clone());
            Ok(Rule {
                action,
                condition,
                origin: origin.flatten(),
            })
        };
        let rule = read(&mut cursor, &mut warnings).map_err(|e: RuleError| e.shifted(start))?;
        warnings.iter_mut().for_each(|w| w.word += start);
        self.rules.slots = slots;
        Ok((rule, warnings))
    }

    fn choice(&self, words: &[&str], what: &str) -> Result<(Choice, Vec<RuleWarning>), RuleError> {
        let mut warnings = Vec::new();
        let mut cursor = Words::new(words);
        let text = cursor.required(&format!("the name of {what}"))?;
        let name = if looks_dynamic(text) {
            let format = LogFormat::value(text, &self.definitions)?;
            match format
                .constant()
                .and_then(|bytes| String::from_utf8(bytes).ok())
            {
                Some(name) => Name::Static(name.into()),
                None => Name::Dynamic(format),
            }
        } else {
            Name::Static(Arc::from(text))
        };
        let condition = self.condition_after(&cursor, Stage::Content, &mut warnings)?;
        Ok((Choice { name, condition }, warnings))
    }

    /// The condition of a line that is nothing else.
    fn condition_alone(
        &mut self,
        words: &[&str],
    ) -> Result<(Condition, Vec<RuleWarning>), RuleError> {
        self.read_maps(words)?;
        let mut warnings = Vec::new();
        let cursor = Words::new(words);
        if cursor.peek().is_none() {
            return Err(RuleError::new(0, "missing condition").expecting("if or unless"));
        }
        let condition = self.condition_after(&cursor, Stage::Request, &mut warnings)?;
        Ok((condition, warnings))
    }

    /// The condition in the words not read yet; none if there are no more words.
    fn condition_after(
        &self,
        cursor: &Words<'_>,
        stage: Stage,
        warnings: &mut Vec<RuleWarning>,
    ) -> Result<Condition, RuleError> {
        if cursor.peek().is_none() {
            return Ok(Condition::default());
        }
        let at = cursor.at();
        let first = warnings.len();
        let condition = self
            .acls
            .condition(cursor.rest(), self.site(stage), warnings)
            .map_err(|e| e.shifted(at))?;
        warnings.iter_mut().skip(first).for_each(|w| w.word += at);
        Ok(condition)
    }
}
