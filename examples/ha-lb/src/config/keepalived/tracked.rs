//! Scripts, files, processes and neighbours by name: defined at the file's top level, tracked by instances and sync groups.

use super::{
    config::{Bfd, Script, Tracked, TrackedFile, TrackedProcess},
    document::Node,
    keyword::{Context, closest, inside},
    lexer::Word,
};
use crate::config::diagnostic::{Diagnostic, Span};

/// What can be tracked.
#[derive(Default)]
pub(super) struct Definitions {
    pub(super) scripts: Vec<Script>,
    pub(super) files: Vec<TrackedFile>,
    pub(super) processes: Vec<TrackedProcess>,
    pub(super) bfds: Vec<Bfd>,
}

/// How much of it there was at some place of the file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    scripts: usize,
    files: usize,
    processes: usize,
    bfds: usize,
}

/// `NAME [weight N] [reverse]`.
pub(super) struct TrackLine {
    pub(super) name: Word,
    pub(super) weight: Option<i16>,
    pub(super) reverse: Option<bool>,
}

/// Lines of `track_script`, `track_file`, `track_process` and `track_bfd`.
#[derive(Default)]
pub(super) struct TrackLines {
    pub(super) scripts: Vec<TrackLine>,
    pub(super) files: Vec<TrackLine>,
    pub(super) processes: Vec<TrackLine>,
    pub(super) bfds: Vec<TrackLine>,
}

/// What they come to.
#[derive(Default)]
pub(super) struct AllTracked {
    pub(super) scripts: Vec<Tracked>,
    pub(super) files: Vec<Tracked>,
    pub(super) processes: Vec<Tracked>,
    pub(super) bfds: Vec<Tracked>,
}

/// All definitions of one kind: names, weights and `reverse` in their order.
struct Kind<'a> {
    keyword: &'static str,
    what: &'static str,
    defined: Vec<(&'a str, i16, bool)>,
    before: usize,
}

impl Definitions {
    /// How much there is by now.
    pub(super) fn counts(&self) -> Counts {
        Counts {
            scripts: self.scripts.len(),
            files: self.files.len(),
            processes: self.processes.len(),
            bfds: self.bfds.len(),
        }
    }

    /// The names of scripts, files, processes and neighbours by position.
    pub(super) fn names(&self) -> [Vec<&str>; 4] {
        let scripts = self.scripts.iter().map(|one| &*one.name);
        let files = self.files.iter().map(|one| &*one.name);
        let processes = self.processes.iter().map(|one| &*one.name);
        let bfds = self.bfds.iter().map(|one| &*one.name);
        [
            scripts.collect(),
            files.collect(),
            processes.collect(),
            bfds.collect(),
        ]
    }

    /// What the lines name, wherever it is defined: keepalived ignores what is defined later, after `before`.
    pub(super) fn find(
        &self,
        lines: &TrackLines,
        before: Counts,
        preempt: bool,
        context: &mut Context<'_>,
    ) -> AllTracked {
        let scripts = self.scripts.iter();
        let scripts = scripts.map(|one| (&*one.name, one.weight, one.reverse));
        let files = self.files.iter();
        let files = files.map(|one| (&*one.name, one.weight, one.reverse));
        let processes = self.processes.iter();
        let processes = processes.map(|one| (&*one.name, one.weight, one.reverse));
        let bfds = self.bfds.iter();
        let bfds = bfds.map(|one| (&*one.name, one.weight, one.reverse));
        let scripts = Kind {
            keyword: "vrrp_script",
            what: "script",
            defined: scripts.collect(),
            before: before.scripts,
        };
        let files = Kind {
            keyword: "track_file",
            what: "file",
            defined: files.collect(),
            before: before.files,
        };
        let processes = Kind {
            keyword: "vrrp_track_process",
            what: "process",
            defined: processes.collect(),
            before: before.processes,
        };
        let bfds = Kind {
            keyword: "bfd_instance",
            what: "neighbour",
            defined: bfds.collect(),
            before: before.bfds,
        };
        AllTracked {
            scripts: scripts.find(&lines.scripts, preempt, context),
            files: files.find(&lines.files, preempt, context),
            processes: processes.find(&lines.processes, preempt, context),
            bfds: bfds.find(&lines.bfds, preempt, context),
        }
    }
}

impl Kind<'_> {
    fn find(&self, lines: &[TrackLine], preempt: bool, context: &mut Context<'_>) -> Vec<Tracked> {
        let found = lines
            .iter()
            .filter_map(|line| self.one(line, preempt, context));
        found.collect()
    }

    fn one(&self, line: &TrackLine, preempt: bool, context: &mut Context<'_>) -> Option<Tracked> {
        let name = line.name.text.as_str();
        let (keyword, what) = (self.keyword, self.what);
        let mut defined = self.defined.iter().enumerate();
        let Some((position, (_, weight, reverse))) = defined.find(|(_, known)| known.0 == name)
        else {
            let near = closest(name, self.defined.iter().map(|known| known.0));
            context.diagnostics.push(
                Diagnostic::error(
                    line.name.span.clone(),
                    format!("no `{keyword}` of this name"),
                )
                .found(name)
                .expected(format!("the name of a `{keyword}`"))
                .suggestion(near),
            );
            return None;
        };
        if position >= self.before {
            context.diagnostics.push_once(
                &format!("{what}s defined later"),
                Diagnostic::warning(
                    line.name.span.clone(),
                    format!("a {what} that is defined later"),
                )
                .found(name)
                .action("it is tracked; keepalived would ignore this line, and lines like it")
                .counted(),
            );
        }
        let tracked = Tracked {
            position,
            weight: line.weight.unwrap_or(*weight),
            // Another weight does not undo the definition's `reverse`: `noreverse` does.
            reverse: line.reverse.unwrap_or(*reverse),
        };
        if tracked.weight != 0 && !preempt {
            context.diagnostics.push(
                Diagnostic::warning(
                    line.name.span.clone(),
                    "a weight with `nopreempt`: a failing master keeps the addresses, because \
                         no backup preempts it",
                )
                .found(name)
                .action("with weight 0 a failure is a fault, which gives the addresses up"),
            );
        }
        Some(tracked)
    }
}

/// Something with a name and a place where it is defined.
pub(super) trait Definition {
    /// The keyword that defines it.
    const KEYWORD: &'static str;
    fn identity(&self) -> (&str, &Span);
}

impl Definition for Script {
    const KEYWORD: &'static str = "vrrp_script";
    fn identity(&self) -> (&str, &Span) {
        (&self.name, &self.span)
    }
}

impl Definition for TrackedFile {
    const KEYWORD: &'static str = "track_file";
    fn identity(&self) -> (&str, &Span) {
        (&self.name, &self.span)
    }
}

impl Definition for TrackedProcess {
    const KEYWORD: &'static str = "vrrp_track_process";
    fn identity(&self) -> (&str, &Span) {
        (&self.name, &self.span)
    }
}

impl Definition for Bfd {
    const KEYWORD: &'static str = "bfd_instance";
    fn identity(&self) -> (&str, &Span) {
        (&self.name, &self.span)
    }
}

/// Takes a definition in, unless there is one of its name.
pub(super) fn add<T: Definition>(all: &mut Vec<T>, read: Option<T>, context: &mut Context<'_>) {
    let Some(new) = read else {
        return;
    };
    let (name, span) = new.identity();
    match all.iter().map(T::identity).find(|known| known.0 == name) {
        Some((_, known)) => context.twice(span, T::KEYWORD, name, known),
        None => all.push(new),
    }
}

/// Lines `NAME [weight N [reverse|noreverse]]`.
pub(super) fn track(lines: &mut Vec<TrackLine>, node: &Node, context: &mut Context<'_>, max: i16) {
    for line in inside(node) {
        let first = line.arguments.first();
        if let Some(word) = first.filter(|word| is_about_direction(&word.text)) {
            context.diagnostics.push(
                Diagnostic::warning(word.span.clone(), "this word needs `weight N` before it")
                    .found(&word.text)
                    .action(format!(
                        "the line is ignored, as by keepalived: `{}` is not tracked",
                        line.keyword.text
                    ))
                    .counted(),
            );
            continue;
        }
        let mut read = TrackLine {
            name: line.keyword.clone(),
            weight: None,
            reverse: None,
        };
        let mut words = line.arguments.iter();
        while let Some(word) = words.next() {
            match word.text.as_str() {
                "weight" => match words.next() {
                    Some(number) => read.weight = context.number(number, -max..=max),
                    None => context.refuse(word, "complete weight", "a number after it"),
                },
                text if is_about_direction(text) => read.reverse = Some(text == "reverse"),
                _ => context.refuse(
                    word,
                    "option of what is tracked",
                    "`weight N`, `reverse`, `noreverse`, or the end of the line",
                ),
            }
        }
        if lines.iter().any(|known| known.name.text == read.name.text) {
            context.diagnostics.push(
                Diagnostic::warning(read.name.span.clone(), "tracked twice")
                    .found(&read.name.text)
                    .action("the first line counts")
                    .counted(),
            );
            continue;
        }
        lines.push(read);
    }
}

/// Whether a word tells what of a weight counts, the success or the failure.
fn is_about_direction(word: &str) -> bool {
    matches!(word, "reverse" | "noreverse" | "no_reverse")
}
