//! Load in HTTP/2: nghttp2's h2load (Debian: nghttp2-client), whose report is verified.

use std::{fs, io, process::Command, time::Duration};

use super::{Edge, Plan, Span, Tally};

/// Runs a plan with `streams` at once on each connection.
pub(super) fn run(
    plan: &Plan<'_>,
    streams: usize,
    edge: &mut dyn FnMut(Edge),
) -> io::Result<Tally> {
    let (warm_up, measured) = match plan.span {
        Span::Answers(count) => {
            let words = [
                "-c",
                &plan.connections.to_string(),
                "-m",
                &streams.to_string(),
                "-n",
                &count.to_string(),
            ];
            return report(plan, &words.map(str::to_owned));
        }
        Span::Time { warm_up, measured } => (warm_up, measured),
    };
    let log = tempfile::NamedTempFile::new()?;
    let load = |time: Duration| {
        let number = |n: usize| n.to_string();
        let time = format!("{}ms", time.as_millis());
        let words = [
            "-c",
            &number(plan.connections),
            "-m",
            &number(streams),
            "-D",
            &time,
        ];
        words.map(str::to_owned).to_vec()
    };
    report(plan, &load(warm_up))?;
    edge(Edge::Begin);
    let began = std::time::Instant::now();
    let mut words = load(measured);
    words.push(format!("--log-file={}", log.path().display()));
    let mut tally = report(plan, &words)?;
    edge(Edge::End);
    tally.elapsed = began.elapsed();
    // Start, status and microseconds of each request.
    for line in fs::read_to_string(log.path())?.lines() {
        let micros = line.split_ascii_whitespace().nth(2);
        if let Some(micros) = micros.and_then(|text| text.parse().ok()) {
            tally.latency.add(Duration::from_micros(micros));
        }
    }
    Ok(tally)
}

/// One run.
fn report(plan: &Plan<'_>, words: &[String]) -> io::Result<Tally> {
    let path = String::from_utf8_lossy(plan.request);
    let path = path.split(' ').nth(1).unwrap_or("/");
    let output = Command::new("h2load")
        .args(words)
        .arg(format!("http://{}{path}", plan.target))
        .output()
        .map_err(|e| io::Error::other(format!("h2load (Debian: nghttp2-client): {e}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(tally(&text, plan.body))
}

fn tally(text: &str, body: usize) -> Tally {
    let count = |line: &str, word: &str| -> Option<u64> {
        let line = text.lines().find(|l| l.starts_with(line))?;
        let before = line.split(word).next()?;
        before
            .rsplit([' ', '('])
            .find(|part| !part.is_empty())?
            .trim_end_matches(')')
            .parse()
            .ok()
    };
    let requests = |word| count("requests:", word);
    let mut tally = Tally {
        answers: requests(" succeeded").unwrap_or(0),
        ..Tally::default()
    };
    for (what, wrong) in [
        ("failed", requests(" failed")),
        ("errored", requests(" errored")),
        ("timed out", requests(" timeout")),
    ] {
        match wrong {
            Some(0) => {}
            Some(number) => {
                tally.errors += number;
                tally.first_error.get_or_insert(format!("{number} {what}"));
            }
            None => tally.failed("h2load reported nothing"),
        }
    }
    if count("status codes:", " 2xx") != Some(tally.answers) {
        tally.failed("not a 200");
    }
    // What was still on the way at the end of the time comes on top.
    let data = count("traffic:", " data").unwrap_or(0);
    if data < tally.answers * body as u64 {
        tally.failed("another length than asked for");
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "finished in 1.66s, 24044.76 req/s, 4.79MB/s\n\
        requests: 40000 total, 40000 started, 40000 done, 40000 succeeded, 0 failed, 0 errored, 0 timeout\n\
        status codes: 40000 2xx, 0 3xx, 0 4xx, 0 5xx\n\
        traffic: 7.97MB (8361136) total, 2.37MB (2481136) headers (space savings 56.50%), 4.88MB (5120000) data\n";

    #[test]
    fn a_report_is_read_and_what_is_wrong_in_it_is_an_error() {
        let good = tally(REPORT, 128);
        assert_eq!((good.answers, good.errors), (40_000, 0));
        for wrong in [
            REPORT.replace("0 failed", "2 failed"),
            REPORT.replace("40000 2xx, 0 3xx", "39999 2xx, 1 3xx"),
            REPORT.replace("(5120000)", "(5119999)"),
            String::new(),
        ] {
            assert!(tally(&wrong, 128).errors > 0, "{wrong}");
        }
    }
}
