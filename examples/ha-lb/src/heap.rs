//! What is kept of memory that is not used any more.

/// Gives what a start has used and freed back to the kernel: glibc keeps it for what may come, and what comes
/// to a supervisor or a speaker is little.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    trim();
}

#[cfg(target_env = "gnu")]
#[expect(
    unsafe_code,
    reason = "a function of the C library without a safe wrapper"
)]
fn trim() {
    // SAFETY: malloc_trim(3) takes no pointer, touches free memory only and may be called by any thread.
    unsafe { nix::libc::malloc_trim(0) };
}
