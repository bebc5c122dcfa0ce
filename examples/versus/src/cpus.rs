//! Which CPUs the proxy has and which the two ends of the race share.

use std::{io, thread::available_parallelism};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs of this machine, divided.
#[derive(Debug, Clone)]
pub(crate) struct Cpus {
    all: Vec<usize>,
}

impl Cpus {
    /// Those this program may use.
    pub(crate) fn usable() -> io::Result<Self> {
        let set = sched_getaffinity(None)?;
        let all = (0..CpuSet::MAX_CPU)
            .filter(|cpu| set.is_set(*cpu))
            .collect();
        Ok(Self { all })
    }

    /// The proxy's: one for each worker, as far as there are so many.
    pub(crate) fn of_proxy(&self, workers: usize) -> &[usize] {
        self.all
            .get(..workers.min(self.all.len()))
            .unwrap_or_default()
    }

    /// The load's and the origin's: what the proxy leaves, or the last one if it leaves none.
    pub(crate) fn of_load(&self, workers: usize) -> &[usize] {
        let first = workers.min(self.all.len().saturating_sub(1));
        self.all.get(first..).unwrap_or_default()
    }

    /// Whether `workers` proxy threads and the load have different CPUs.
    pub(crate) fn suffice(&self, workers: usize) -> bool {
        self.all.len() > workers && available_parallelism().is_ok_and(|n| n.get() > workers)
    }
}

/// Pins the calling thread, and whatever it starts from now on.
pub(crate) fn pin(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_and_load_share_only_where_they_must() {
        let cpus = Cpus { all: vec![0, 1] };
        assert_eq!((cpus.of_proxy(1), cpus.of_load(1)), (&[0][..], &[1][..]));
        assert_eq!((cpus.of_proxy(2), cpus.of_load(2)), (&[0, 1][..], &[1][..]));
        let alone = Cpus { all: vec![5] };
        assert_eq!((alone.of_proxy(1), alone.of_load(1)), (&[5][..], &[5][..]));
    }
}
