//! `tune.h2.*`.

use lb_core::config::Http2Settings;

use super::super::{
    args::{Arg, Context, Parsed},
    value,
};

/// The largest of the numbers that HAProxy reads as signed ones.
const SIGNED: u32 = i32::MAX.unsigned_abs();

/// Reads the value of a keyword into `settings`.
pub(super) fn read(
    name: &str,
    arg: &Arg<'_>,
    settings: &mut Http2Settings,
    context: &mut Context<'_>,
) -> Parsed<()> {
    let number = |low, high| value::number(arg, name, low, high);
    match name {
        "tune.h2.header-table-size" => settings.header_table_size = number(4096, 65_536)?,
        "tune.h2.initial-window-size" => settings.initial_window_size = number(0, SIGNED)?,
        "tune.h2.max-frame-size" => settings.max_frame_size = number(16_384, 16_777_215)?,
        _ => {
            settings.max_concurrent_streams = number(0, SIGNED)?;
            if settings.max_concurrent_streams == 0 {
                context.warn(
                    arg.span.clone(),
                    "no stream at once is none at all",
                    "every request in HTTP/2 is refused",
                );
            }
        }
    }
    Ok(())
}
