//! UNIX sockets: the words of `bind` and `stats socket` lines about them, and `unix-bind`, which says the same for all
//! `bind` lines that do not.

use std::{ffi::OsString, path::PathBuf};

use lb_core::config::{Bind, BindAddress, SocketRights};

use super::{
    args::{Arg, Args, Parsed},
    value,
};

/// Takes `mode`, `user`, `uid`, `group` and `gid`; false for another word.
pub(super) fn right(name: &str, arg: &Arg<'_>, rights: &mut SocketRights) -> Parsed<bool> {
    let text = || Some(arg.text.to_owned());
    match name {
        "mode" => rights.mode = Some(value::mode(arg)?),
        "user" => rights.user = text(),
        "group" => rights.group = text(),
        "uid" => rights.user = value::number(arg, name, 0, u32::MAX).map(|_| text())?,
        "gid" => rights.group = value::number(arg, name, 0, u32::MAX).map(|_| text())?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// What `unix-bind` says.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    /// What every path begins with.
    prefix: Option<String>,
    rights: SocketRights,
}

impl Defaults {
    /// Reads what stands behind the keyword.
    pub(super) fn read(&mut self, args: &mut Args<'_>) -> Parsed<()> {
        while let Some(word) = args.take() {
            let arg = args.need(word.text, "its value")?;
            match word.text {
                "prefix" => self.prefix = Some(arg.text.to_owned()),
                name if right(name, &arg, &mut self.rights)? => {}
                _ => {
                    let expected = "prefix, mode, uid, gid, user or group";
                    return Err(word.refuse("unknown word behind 'unix-bind'", expected));
                }
            }
        }
        Ok(())
    }

    /// Adds what a line does not say itself.
    pub(super) fn complete(&self, bind: &mut Bind) {
        let BindAddress::Unix(path) = &mut bind.address else {
            return;
        };
        if let Some(prefix) = &self.prefix {
            let mut whole = OsString::from(prefix);
            whole.push(path.as_os_str());
            *path = PathBuf::from(whole);
        }
        let (own, common) = (&mut bind.rights, &self.rights);
        own.mode = own.mode.or(common.mode);
        own.user = own.user.take().or_else(|| common.user.clone());
        own.group = own.group.take().or_else(|| common.group.clone());
    }
}
