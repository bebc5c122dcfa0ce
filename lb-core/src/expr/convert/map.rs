//! Converters that look values up in the file of a map. Manual 7.3.1 (`map`).

use super::Converter;
use crate::expr::{
    Type, Value,
    args::{ArgKind, ArgSpec, Argument, may, need},
    map::MapMatch,
};
use crate::request::RequestView;

/// One row for each form of the name: the kind of comparison, and the type of the result.
macro_rules! rows {
    ($($name:literal, $input:expr, $by:expr, $output:expr;)*) => {
        &[$(Converter::row(
            $name,
            &[need("file", ArgKind::Map($by)), DEFAULT],
            $input,
            $output,
            "The value of the key that fits in the file of a map, else the default.",
            |value, args, view| look_up(value, args, view)?.cast($output),
        )),*]
    };
}

const DEFAULT: ArgSpec = may("default", ArgKind::Text);

/// The entries.
pub(super) const TABLE: &[Converter] = rows! {
    "map", Type::String, MapMatch::Exact, Type::String;
    "map_str", Type::String, MapMatch::Exact, Type::String;
    "map_beg", Type::String, MapMatch::Beginning, Type::String;
    "map_end", Type::String, MapMatch::End, Type::String;
    "map_sub", Type::String, MapMatch::Within, Type::String;
    "map_dir", Type::String, MapMatch::Directory, Type::String;
    "map_dom", Type::String, MapMatch::Domain, Type::String;
    "map_reg", Type::String, MapMatch::Regex, Type::String;
    "map_ip", Type::Address, MapMatch::Network, Type::String;
    "map_int", Type::Int, MapMatch::Number, Type::String;
    "map_str_str", Type::String, MapMatch::Exact, Type::String;
    "map_str_int", Type::String, MapMatch::Exact, Type::Int;
    "map_str_ip", Type::String, MapMatch::Exact, Type::Address;
    "map_beg_int", Type::String, MapMatch::Beginning, Type::Int;
    "map_beg_ip", Type::String, MapMatch::Beginning, Type::Address;
    "map_end_int", Type::String, MapMatch::End, Type::Int;
    "map_end_ip", Type::String, MapMatch::End, Type::Address;
    "map_sub_int", Type::String, MapMatch::Within, Type::Int;
    "map_sub_ip", Type::String, MapMatch::Within, Type::Address;
    "map_dir_int", Type::String, MapMatch::Directory, Type::Int;
    "map_dir_ip", Type::String, MapMatch::Directory, Type::Address;
    "map_dom_int", Type::String, MapMatch::Domain, Type::Int;
    "map_dom_ip", Type::String, MapMatch::Domain, Type::Address;
    "map_reg_int", Type::String, MapMatch::Regex, Type::Int;
    "map_reg_ip", Type::String, MapMatch::Regex, Type::Address;
    "map_ip_str", Type::Address, MapMatch::Network, Type::String;
    "map_ip_int", Type::Address, MapMatch::Network, Type::Int;
    "map_ip_ip", Type::Address, MapMatch::Network, Type::Address;
    "map_int_str", Type::Int, MapMatch::Number, Type::String;
    "map_int_int", Type::Int, MapMatch::Number, Type::Int;
    "map_int_ip", Type::Int, MapMatch::Number, Type::Address;
};

/// The converter whose values may refer to groups of the key.
pub(super) const GROUPS: &[Converter] = &[Converter::row(
    "map_regm",
    &[need("file", ArgKind::Map(MapMatch::Regex)), DEFAULT],
    Type::String,
    Type::String,
    "The value of the expression that matches in the file of a map, \\1 to \\9 in it being its groups, else the default.",
    |value, args, _| {
        let [Argument::Map(map), default] = args else {
            return None;
        };
        let found = map
            .expanded(value.bytes()?)
            .map(|text| Value::String(text.into()));
        found.or_else(|| default.text().map(Value::text))
    },
)];

fn look_up<'a>(value: Value<'a>, args: &'a [Argument], _: &RequestView<'a>) -> Option<Value<'a>> {
    let [Argument::Map(map), default] = args else {
        return None;
    };
    let found = match &value {
        Value::Address(address) => map.of_address(*address),
        Value::Int(number) => map.of_number(*number),
        text => map.of_text(text.bytes()?),
    };
    let found = found.map(Value::String);
    found.or_else(|| default.text().map(Value::text))
}
