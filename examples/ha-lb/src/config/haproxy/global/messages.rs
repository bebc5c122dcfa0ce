//! `tune.bufsize`, `tune.maxrewrite` and `tune.http.maxhdr`.

use lb_core::config::MessageSizes;

use super::super::{
    args::{Arg, Context, Parsed},
    value,
};

/// The largest of the numbers that HAProxy reads as signed ones.
const SIGNED: u32 = i32::MAX.unsigned_abs();
/// HAProxy has buffers of multiples of this.
const STEP: u32 = 16;

/// Reads the value of one of [`super::MESSAGES`] into `sizes`.
pub(super) fn read(
    name: &str,
    arg: &Arg<'_>,
    sizes: &mut MessageSizes,
    context: &mut Context<'_>,
) -> Parsed<()> {
    match name {
        "tune.bufsize" => {
            let bytes: u32 = value::number(arg, name, 1, SIGNED)?;
            if bytes > MessageSizes::MOST {
                context.warn(
                    arg.span.clone(),
                    format!("buffers have {} bytes at most", MessageSizes::MOST),
                    "longer heads are refused, and no more content is waited for",
                );
            }
            sizes.buffer = bytes.next_multiple_of(STEP).min(MessageSizes::MOST);
        }
        "tune.maxrewrite" => sizes.rewrite = value::number(arg, name, 0, SIGNED)?,
        _ => sizes.lines = value::number(arg, name, 1, 32_767)?,
    }
    Ok(())
}
