//! keepalived's file language beside Debian's keepalived: small files read with `-t` by both. Both name the words that
//! are no keywords, line by line: that shows what each has made of a line.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
};

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
const KEEPALIVED: &str = "/usr/sbin/keepalived";

/// Words, quotes and comments.
const WORDS: &[&str] = &[
    "a b c\n d\n",
    "\"two words\" c",
    "'a b' c",
    "a'b c' d",
    "\"a 'b' c\"",
    "a\"b c\"",
    "\"a\"b",
    "\"a\"\"b\"",
    "\"a#b!c\" d",
    "\"a\\#b\"",
    "\"a\\tb\\x41\" c",
    "a\\ b",
    "x\\\\y",
    "a#b",
    "a!b",
    "a\\#b c",
    "a\\!b c",
    "a\\\\#b",
    "a\\\\\\#b",
    "a # b\n # c\n!d\n!\n#\ne",
    "\tx\r\ny",
    "a\\\nb",
];

/// Definitions.
const DEFINITIONS: &[&str] = &[
    "$A=1\nx$A\nx${A}y\n$A\n${A}\n${A}${A}\nx$A.y\nx$A/24\n\"$A\"\n\"$A c\"\n$B\ny$B",
    "$A=1 # comment\nx$A \nx${A}",
    "$A=1 2 3\nx$A\nx${A}y\n$A",
    " $A=\"q r\"\n$A x",
    "$ A=1\nx",
    "$A =1\nx",
    "$A= 1\nx${A}y",
    "$1A=1",
    "$_A=1\nx${_A}y",
    "$A=1\n$A=2\n${A}y",
    "$A=1\n$A=\nx${A}y\n$A z",
    "$A=1\n$B=x$A\n$A=2\n$B",
    "$BASE=10.2.${SUB}\n$SUB=0\n${BASE}.100/32\n$SUB=10\n${BASE}.100/32",
    "$A=\\\none \\\ntwo\n$A",
    "$A= one \\\ntwo\n$A",
    "$A=\\\none a\\\ntwo b\n\n$A",
    "$A=\\\none a\\\n  \\\ntwo b\n$A z",
    "$A=\\\none a # comm \\\ntwo b\n$A\nx",
    "$A=\\\na\\\nb\nx ${A}\n${A}\n ${A}\n$A",
    "$I= \\\n  foo$N \\\n  bar${N} \\\n  $M=7 \\\n  baz${M} \\\n  @h1 yes \\\n  @^h1 no\n$N=5\n$I\npost${M}\n$N=6\n$I",
    "$RS=\\\nrs${V}.${R}\n$VS=\\\nvs$V \\\n$R=1 \\\n$RS \\\n$R=2 \\\n$RS\n$V=0\n$VS\n$V=1\n$VS",
    "\"$A=1\" b\n$A",
    "a $A=1\nb$A",
    "$A=\"#foo\"\n$A",
    "$A=x\\#y\n$A\n\"$A \"",
    "$A=x${_HASH}y\n$A\n\"${A}\"",
    "x${_HASH}y\nx${_BANG}y\n\"x${_HASH}y\"\n\"x${_BANG}y\"",
    "${_PWD}\n\"${_PWD} a\"\n$_PWD z\n${_INSTANCE}\n${_RANDOM 5 5}",
];

/// Lines for one configuration id.
const CONDITIONS: &[&str] = &[
    "@h1 a\n@h2 b\n@^h1 c\n@^h2 d\n@ e\n@^ f\n @h1 g\nx @h1 h\n@h1\ti",
    "@h1 $A=1\n@h2 $A=2\nx${A}",
    "$IF=@h1\n$IF a\n$IG=@h2\n$IG b\nx",
    "$IF=@h1\n${IF} a\n@${NONE} b",
    "@h1 @h1 a\n@h1 @h2 b",
    "@h1 $M=\\\na\\\nb\n$M",
    "@h1 ~SEQ(N,1,2) c$N\n~SEQ(N,1,2) @h1 d$N\n@h2 ~SEQ(N,1,2) e$N",
];

/// `~SEQ` and `~LST`.
const GENERATORS: &[&str] = &[
    "~SEQ(N,1,3) a${N}@b c$N d",
    "~SEQ(N,3) x$N\n~SEQ(N,-3) y$N\n~SEQ(N,5,2) z$N\n~SEQ(N,1,2,6) w$N\n~SEQ(N,6,-2,1) v$N\n~SEQ(N,0) u$N",
    "~SEQ(N,-2,2) x$N\n~SEQ(N,,2) y$N\n~SEQ(N,010) z$N\n~SEQ(N,3000000000,3000000001) w$N",
    "~SEQx(N,8,12) h$N\n~SEQx(N,0x8,0x1,0xb) i$N",
    "~SEQ( N , 1 , 2 ) j$N\n~SEQ(N,1,2)k$N\n  ~SEQ(N,1,2) m$N\n~SEQ (N,1,2) r$N\n~SEQ(N,1,2);a",
    "~SEQ(N) n$N",
    "~SEQ(N,1,2 o$N",
    "~SEQ(N,a,2) p$N",
    "~SEQ(N,1,-1,2) s$N",
    "~SEQ(N,1,0,2) t$N",
    "~SEQ(N,1,2,3,4) u$N",
    "~SEQ(N,1,2,) x$N",
    "~SEQ(,1,2) x",
    "~SEQ(N, 1 3,2) x",
    "~SEQx(N,-2,2) x$N",
    "~SEQX(N,1,2) x",
    "~SEQ(N,1,2)\nx",
    "~SEQ(N,1,2) $M=$N\nx${M}",
    "~SEQ(N,1,2) ~SEQ(N,3,4) x$N",
    "$N=7\n~SEQ(N,1,2) x$N\ny$N",
    "~SEQ(N,1,2) $N",
    "~SEQ(N,1,3) \"a${N} b\" c\n\"~SEQ(N,1,3)\" d",
    "$S=~SEQ(N,1,2)\n$S f$N\n${S} g$N",
    "$M=\\\n~SEQ(N,1,2) a$N\\\nb$N\n$M",
    "$M=\\\na$N\\\nb$N\n~SEQ(N,1,2) $M\n~SEQ(N,3,4) ${M}",
    "~LST(N,a,b,c) x$N",
    "~LST( N , a , b ) u$N\n~LST(N,a,,c) s${N}.\n~LST(N,a ,b) x${N}y\n~LST(N,) z${N}.\n~LST(N,a\\,b,c) w${N}",
    "~LST({A,B},{1,2},{3,4}) y${A}.${B}\n~LST({A, B}, {10,1},{20,4}) p.${A}.${B}",
    "~LST({A,B},{1,2},3) x${A}.${B}\n~LST({N},{a},{b}) x$N\n~LST(N,{a}) y$N\n~LST(N,{}) z${N}.",
    "~LST(N,a,b) ~SEQ(M,1,2) r${N}${M}\n~SEQ(M,1,2) ~LST(N,a,b) q${N}${M}",
    "~LST(N,a,b) ~LST(M,c,d) x$N$M\n~LST(N,\"a\",\"b\") y$N",
    "~LST(N) v$N",
    "~LST(N,a,b m$N",
    "~LST(N,\"a b\",c) t$N",
    "~LST(N,{a,b},c) x$N",
    "~LST({N,M},{a,b,c}) x$N",
    "~LST({N,M},{a b,c d}) x${N}y${M}",
    "~LST({A,B}, {1,2} {3,4}) x${A}${B}",
    "~LST({A,B,{1,2}) x",
    "~LSTx(N,1,2) x",
    "~FOO(A,1,2) n$A\n~ x",
];

/// Includes of the files of [`FILES`].
const INCLUDES: &[&str] = &[
    "include a.conf\nz",
    "include  a.conf # c",
    "include n*pe\nincluder n*pe\nincludem n*pe\nincludeb n*pe\nx",
    "includew n*pe",
    "includea n*pe",
    "include {a,nope}.conf",
    "includeb {empty,nope}.conf",
    "includem {a,nope}.conf\nincludem {a,b}.conf",
    "includea {empty,nope}.conf",
    "include d{1,2}.conf",
    "include d?.conf\ninclude d[12].conf\ninclude d[!1].conf",
    "include sub/b.conf\nx",
    "include s*/b.conf",
    "include def.conf\nx${Z}",
    "$F=a.conf\ninclude $F",
    "global_defs {\ninclude a.conf\n}",
    "global_defs {\ninclude_check\n}\ninclude n*pe",
    "global_defs {\ninclude_check wildcard_match\n}\ninclude n*pe",
    "global_defs {\ninclude_check\ninclude_check -wildcard_match\n}\ninclude n*pe\nx",
    "global_defs {\ninclude_check match\n}\ninclude n*pe\nx",
    "global_defs {\ninclude_check foo\n}\n",
    "include a.conf",
];

const FILES: &[(&str, &str)] = &[
    ("a.conf", "ina\n"),
    ("empty.conf", ""),
    ("sub/b.conf", "inb\ninclude c.conf\n"),
    ("sub/c.conf", "inc\n"),
    ("d1.conf", "d1\n"),
    ("d2.conf", "d2\n"),
    ("def.conf", "$Z=9\n"),
];

/// What a program has found: the words that are no keywords, with file and line, each once; and whether it has
/// accepted the file.
type Found = (Vec<(String, String)>, bool);

fn run(program: &Path, folder: &Path, options: &str) -> Output {
    let mut arguments = vec!["-t", "-P", "-i", "h1"];
    arguments.extend(options.split_whitespace());
    Command::new(program)
        .args(&arguments)
        .arg("-f")
        .arg(folder.join("k.conf"))
        .current_dir(folder)
        .output()
        .unwrap()
}

fn found(program: &Path, folder: &Path, options: &str) -> Found {
    let output = run(program, folder, options);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut words: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        // The parent of keepalived's processes reads first, and names no file unless one is included.
        let Some((place, rest)) = line.strip_prefix('(').and_then(|l| l.split_once(") ")) else {
            continue;
        };
        let Some((file, number)) = place.split_once(": Line ") else {
            continue;
        };
        let file = file.rsplit('/').next().unwrap_or(file);
        let theirs = rest
            .strip_prefix("Unknown keyword '")
            .and_then(|r| r.strip_suffix('\''));
        let ours = rest
            .strip_prefix("unknown keyword: found `")
            .and_then(|r| r.split_once("`, expected"))
            .map(|(word, _)| word);
        if let Some(word) = theirs.or(ours) {
            let entry = (format!("{file}:{number}"), word.to_owned());
            if !words.contains(&entry) {
                words.push(entry);
            }
        }
    }
    // Ours come file by file.
    words.sort();
    (words, output.status.success())
}

fn compare(name: &str, table: &[&str], options: &str) {
    if !Path::new(KEEPALIVED).exists() {
        assert!(std::env::var_os("CI").is_none(), "keepalived is missing");
        eprintln!("skipped: {KEEPALIVED} is missing");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let own = scratch.path().join("keepalived");
    symlink(HA_LB, &own).unwrap();
    for (path, text) in FILES {
        let path = scratch.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut differences = BTreeMap::new();
    for text in table {
        fs::write(scratch.path().join("k.conf"), text).unwrap();
        let theirs = found(Path::new(KEEPALIVED), scratch.path(), options);
        let ours = found(&own, scratch.path(), options);
        if ours != theirs {
            let said = run(&own, scratch.path(), options).stderr;
            let said = String::from_utf8_lossy(&said).into_owned();
            differences.insert(text, format!("{ours:?}\nkeepalived {theirs:?}\n{said}"));
        }
    }
    for (text, difference) in &differences {
        eprintln!("--- {text}\n{difference}");
    }
    assert!(
        differences.is_empty(),
        "{name}: {} of {}",
        differences.len(),
        table.len()
    );
}

#[test]
fn words_quotes_and_comments() {
    compare("words", WORDS, "");
}

#[test]
fn definitions() {
    compare("definitions", DEFINITIONS, "");
}

#[test]
fn lines_for_a_configuration_id() {
    compare("conditions", CONDITIONS, "");
}

#[test]
fn generated_lines() {
    compare("generators", GENERATORS, "");
}

#[test]
fn includes() {
    compare("includes", INCLUDES, "");
    compare(
        "includes, -e",
        &[
            "include n*pe",
            "include {empty,nope}.conf",
            "include a*.conf",
        ],
        "-e",
    );
}
