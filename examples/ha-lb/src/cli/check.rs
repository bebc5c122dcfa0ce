//! `ha-lb check`: reads the files, prints what is wrong, exits 0 or 1.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use serde::Serialize;

use crate::{
    config::{
        diagnostic::{Diagnostics, Severity},
        load::{self, Misfit},
        predefined::Predefined,
    },
    ipc::message::Sources,
};

#[derive(Serialize)]
struct Report<'a> {
    valid: bool,
    strict: bool,
    errors: usize,
    warnings: usize,
    diagnostics: &'a Diagnostics,
}

/// Checks `sources`; `strict` takes warnings for errors.
pub(super) fn run(sources: &Sources, json: bool, strict: bool) -> ExitCode {
    let mut diagnostics = Diagnostics::new();
    let loaded = load::load(sources, &Predefined::of(sources), &mut diagnostics);
    if let Some(loaded) = &loaded {
        let misfits = loaded.misfits().into_iter();
        diagnostics.extend(misfits.map(|misfit| misfit.finding));
        diagnostics.extend(loaded.refused());
        let interfaces = loaded.missing_interfaces().into_iter();
        diagnostics.extend(interfaces.map(Misfit::into_note));
    }
    diagnostics.sort();
    if strict {
        diagnostics.promote();
    }
    let report = Report {
        valid: loaded.is_some() && !diagnostics.has_errors(),
        errors: diagnostics.count(Severity::Error),
        strict,
        warnings: diagnostics.count(Severity::Warning),
        diagnostics: &diagnostics,
    };
    let text = if json {
        serde_json::to_string_pretty(&report).unwrap_or_default()
    } else {
        summary(&report)
    };
    let printed = writeln!(io::stdout(), "{text}");
    match (report.valid, printed) {
        (true, Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn summary(report: &Report<'_>) -> String {
    let mut text = report.diagnostics.to_string();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let verdict = match (report.valid, report.warnings) {
        (true, 0) => "Configuration is valid.".to_owned(),
        (true, 1) => "Configuration is valid, with 1 warning.".to_owned(),
        (true, warnings) => format!("Configuration is valid, with {warnings} warnings."),
        (false, _) if report.errors == 1 => "Configuration is refused: 1 error.".to_owned(),
        (false, _) => format!("Configuration is refused: {} errors.", report.errors),
    };
    text + &verdict
}
