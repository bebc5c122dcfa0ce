//! The `stats socket` of a proxy: what it says of itself.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::Fatal;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The rows of `show stat` by proxy and server, each with its numbers by column.
pub(crate) type Rows = BTreeMap<(String, String), BTreeMap<String, u64>>;

/// The socket.
pub(crate) struct Admin(PathBuf);

impl Admin {
    /// Of a proxy that may write into `scratch`.
    pub(crate) fn beside(scratch: &Path) -> Self {
        Self(scratch.join("stats"))
    }

    /// For the file of the proxy.
    pub(crate) fn path(&self) -> String {
        self.0.display().to_string()
    }

    /// The proxy listens on this socket a little later than for its clients.
    pub(crate) fn wait_until_it_answers(&self, patience: Duration) -> Result<(), Fatal> {
        let deadline = Instant::now() + patience;
        while let Err(why) = self.ask("show info") {
            if Instant::now() > deadline {
                return Err(format!("no answer on {}: {why}", self.path()).into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn ask(&self, command: &str) -> Result<String, Fatal> {
        let mut stream = UnixStream::connect(&self.0)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Connections of clients now.
    pub(crate) fn connections(&self) -> Result<usize, Fatal> {
        let info = self.ask("show info")?;
        let line = info.lines().find_map(|l| l.strip_prefix("CurrConns: "));
        Ok(line.ok_or("no CurrConns in `show info`")?.trim().parse()?)
    }

    /// `show stat` now.
    pub(crate) fn stat(&self) -> Result<Rows, Fatal> {
        let table = self.ask("show stat")?;
        let mut lines = table.lines().filter(|line| !line.is_empty());
        let header = lines.next().unwrap_or_default().trim_start_matches("# ");
        let columns: Vec<&str> = header.split(',').collect();
        let mut rows = BTreeMap::new();
        for line in lines {
            let mut fields = line.split(',');
            let (Some(proxy), Some(server)) = (fields.next(), fields.next()) else {
                continue;
            };
            let named = columns.iter().skip(2).zip(fields);
            let numbers = named.filter_map(|(name, f)| Some(((*name).to_owned(), f.parse().ok()?)));
            rows.insert((proxy.to_owned(), server.to_owned()), numbers.collect());
        }
        Ok(rows)
    }
}
