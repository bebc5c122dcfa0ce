//! The program, run.

use std::process::Command;

use ha_lb::lab::enclosure;
use serde_json::Value;

/// What `drill` measures with these arguments; `None` where it may not be run.
pub(crate) fn drill(arguments: &[&str]) -> Option<Value> {
    let permitted = enclosure::permitted(false).or_else(|_| enclosure::permitted(true));
    if let Err(error) = permitted {
        assert!(std::env::var_os("CI").is_none(), "{error}");
        println!("skipped: {error}");
        return None;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_drill"))
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    let document = serde_json::from_str(&text);
    Some(document.unwrap_or_else(|error| panic!("{error}: {text}\n{told}")))
}
