//! What is kept of memory that is not used any more: what a start, a reload or a peak of connections has freed, and pages
//! of the program and its libraries that only a start went through.
//!
//! For a supervisor or a speaker that is most of what they have: they read files for some milliseconds and then do
//! little for months.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

/// When a start or a reload is over: routers have taken over, and announced their addresses twice.
const CALM: Duration = Duration::from_secs(8);

/// Routers that tell of themselves in so many pages that they are worth giving back.
const MANY: usize = 32;

/// Of several starts and reloads the last one counts.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Gives what has been freed back to the kernel, at once and again when what begins now is over; then the pages of
/// code and constants as well. Those that are needed come back by themselves, from the page cache. Must be called within
/// a tokio runtime.
pub(crate) fn give_back() {
    trim();
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    tokio::spawn(async move {
        tokio::time::sleep(CALM).await;
        if LAST.load(Ordering::Relaxed) == number {
            trim();
            forget_code();
        }
    });
}

/// What that many routers said of themselves has been told: what it took on its way is given back after a while,
/// together with what follows until then. Must be called within a tokio runtime.
pub(crate) fn give_back_talk(routers: usize) {
    /// It will be.
    static PLANNED: AtomicBool = AtomicBool::new(false);
    if routers < MANY || PLANNED.swap(true, Ordering::Relaxed) {
        return;
    }
    tokio::spawn(async {
        tokio::time::sleep(CALM).await;
        PLANNED.store(false, Ordering::Relaxed);
        trim();
    });
}

/// glibc keeps what is freed for what may come.
fn trim() {
    #[cfg(target_env = "gnu")]
    #[expect(
        unsafe_code,
        reason = "a function of the C library without a safe wrapper"
    )]
    // SAFETY: malloc_trim(3) takes no pointer, touches free memory only and may be called by any thread.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// Gives what a peak of connections has left back to the kernel, once it is over. `connections` says how many there are,
/// and `None` when there will be no more.
pub(crate) async fn after_peaks(connections: impl Fn() -> Option<u32>) {
    let mut peak = Peak::default();
    while let Some(now) = connections() {
        if peak.is_over(now) {
            trim();
        }
        tokio::time::sleep(GLANCE).await;
    }
}

/// How often connections are counted.
const GLANCE: Duration = Duration::from_secs(1);
/// Glances after which a peak is over. Giving back takes milliseconds (24 for 190 MB), for which a worker may wait: not within a wave.
const GLANCES: u32 = 5;
/// Fewer connections are no peak.
const HIGH: u32 = 500;

/// The most connections since memory was last given back.
#[derive(Debug, Default)]
struct Peak {
    most: u32,
    /// Glances since there are a quarter of them at most.
    low: u32,
}

impl Peak {
    /// Whether it has just ended, with `now` connections.
    fn is_over(&mut self, now: u32) -> bool {
        self.most = self.most.max(now);
        if self.most < HIGH || now > self.most / 4 {
            self.low = 0;
            return false;
        }
        self.low += 1;
        let over = self.low >= GLANCES;
        if over {
            *self = Self { most: now, low: 0 };
        }
        over
    }
}

/// Unmaps pages of the program and of its libraries that nobody has written to.
#[expect(
    unsafe_code,
    reason = "where a program's parts are is known to the dynamic linker alone once /proc cannot be seen"
)]
fn forget_code() {
    // SAFETY: `forget` has the type that is asked for, does not unwind and needs no data.
    unsafe { nix::libc::dl_iterate_phdr(Some(forget), std::ptr::null_mut()) };
}

/// Those of one program or library (dl_iterate_phdr(3)).
#[expect(
    unsafe_code,
    reason = "it is called by the C library, with pointers of its own"
)]
unsafe extern "C" fn forget(
    found: *mut nix::libc::dl_phdr_info,
    _size: usize,
    _data: *mut nix::libc::c_void,
) -> nix::libc::c_int {
    use nix::libc::{MADV_DONTNEED, PF_W, PT_LOAD, madvise};
    // SAFETY: the C library gives a valid structure, and as many headers as it says.
    let (base, headers) = unsafe {
        let found = &*found;
        let count = usize::from(found.dlpi_phnum);
        (
            found.dlpi_addr,
            std::slice::from_raw_parts(found.dlpi_phdr, count),
        )
    };
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    for header in headers {
        if header.p_type != PT_LOAD || header.p_flags & PF_W != 0 {
            continue;
        }
        let begin = (base + header.p_vaddr) / page * page;
        let end = (base + header.p_vaddr + header.p_memsz).next_multiple_of(page);
        let (Ok(begin), Ok(length)) = (usize::try_from(begin), usize::try_from(end - begin)) else {
            continue;
        };
        // SAFETY: the segment is mapped from its file and was never writable: what is unmapped is read again as it was.
        // What refuses keeps its pages.
        unsafe {
            madvise(
                std::ptr::without_provenance_mut(begin),
                length,
                MADV_DONTNEED,
            )
        };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident_code() -> u64 {
        let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut code = false;
        let mut sum = 0;
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match (words.next(), words.next()) {
                (Some("Rss:"), Some(size)) if code => sum += size.parse::<u64>().unwrap(),
                (Some(range), Some(rights)) if range.contains('-') => code = rights == "r-xp",
                _ => {}
            }
        }
        sum
    }

    #[test]
    fn a_peak_is_over_once_after_five_calm_seconds() {
        let mut peak = Peak::default();
        let mut over =
            |counts: &[u32]| -> Vec<bool> { counts.iter().map(|now| peak.is_over(*now)).collect() };
        // A few come and go.
        assert!(!over(&[0, 400, 0, 0, 0, 0, 0, 0, 0]).contains(&true));
        // Many, with a lull.
        assert!(!over(&[4000, 900, 1000, 900, 900, 1001]).contains(&true));
        assert_eq!(
            over(&[1000, 900, 500, 0, 0]),
            [false, false, false, false, true]
        );
        assert!(!over(&[0, 0, 0, 0, 0, 0, 0]).contains(&true));
    }

    #[test]
    fn code_that_is_not_used_is_not_resident_and_what_is_used_comes_back() {
        const ALONE: &str = "HA_LB_TEST_HEAP_ALONE";
        // In a process of its own: other tests would use their code meanwhile.
        if std::env::var_os(ALONE).is_none() {
            let name =
                "heap::tests::code_that_is_not_used_is_not_resident_and_what_is_used_comes_back";
            let again = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(ALONE, "1")
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&again.stdout).into_owned();
            assert!(told.contains("1 passed"), "{told}");
            return;
        }
        // Some of what a start goes through.
        let found = regex::Regex::new("(a|b)+[0-9]{2,3}").unwrap();
        assert!(found.is_match("abab12"));
        let before = resident_code();
        forget_code();
        let after = resident_code();
        assert!(after < before, "{after} kB after {before} kB");
        assert!(found.is_match("abab12"));
    }
}
