//! HTTP authentication against user lists. Manual 7.3.6.

use super::{Eval, Fetch};
use crate::{
    expr::{
        Needs, Type, Value,
        args::{ArgKind, Argument, may, need},
        userlist::basic_credentials,
    },
    request::RequestView,
};

/// The entries.
pub(super) const TABLE: &[Fetch] = &[
    Fetch::row(
        "http_auth",
        &[],
        &[need("userlist", ArgKind::Userlist)],
        Type::Bool,
        Needs::Request,
        "Whether user and password of the request are in the list.",
        Eval::One(|args, view| Some(Value::Bool(groups(args, view).is_some()))),
    ),
    Fetch::row(
        "http_auth_group",
        &[],
        &[need("userlist", ArgKind::Userlist)],
        Type::String,
        Needs::Request,
        "Groups of the user of the request, if user and password are in the list.",
        Eval::Many(|args, view, _, sink| {
            groups(args, view)
                .unwrap_or_default()
                .iter()
                .all(|group| sink(Value::text(group.as_bytes())));
        }),
    ),
    Fetch::row(
        "http_auth_bearer",
        &[],
        &[may("header", ArgKind::Text)],
        Type::String,
        Needs::Request,
        "Token of the Authorization header, or of another, whose scheme is Bearer.",
        Eval::One(|args, view| {
            let value = match args.first().and_then(Argument::text) {
                Some(name) => view.request?.value(name)?,
                None => authorization(view)?,
            };
            let (scheme, token) = value.split_at_checked(b"bearer ".len())?;
            let bearer = scheme.eq_ignore_ascii_case(b"bearer ");
            bearer.then(|| Value::text(token.trim_ascii()))
        }),
    ),
    Fetch::row(
        "http_auth_type",
        &[],
        &[],
        Type::String,
        Needs::Request,
        "Scheme of the Authorization header.",
        Eval::One(|_, view| {
            let value = authorization(view)?;
            value.split(|b| *b == b' ').next().map(Value::text)
        }),
    ),
    Fetch::row(
        "http_auth_user",
        &[],
        &[],
        Type::String,
        Needs::Request,
        "User of basic authentication, unchecked.",
        Eval::One(|_, view| {
            Some(Value::String(
                basic_credentials(authorization(view)?)?.0.into(),
            ))
        }),
    ),
    Fetch::row(
        "http_auth_pass",
        &[],
        &[],
        Type::String,
        Needs::Request,
        "Password of basic authentication, unchecked.",
        Eval::One(|_, view| {
            Some(Value::String(
                basic_credentials(authorization(view)?)?.1.into(),
            ))
        }),
    ),
];

fn authorization<'a>(view: &RequestView<'a>) -> Option<&'a [u8]> {
    view.request?.value(b"authorization")
}

fn groups<'a>(args: &'a [Argument], view: &RequestView<'a>) -> Option<&'a [String]> {
    let Some(Argument::Userlist(list)) = args.first() else {
        return None;
    };
    list.authenticate(authorization(view)?)
}
