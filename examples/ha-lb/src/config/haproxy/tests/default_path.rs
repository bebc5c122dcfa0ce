//! `default-path`.

use super::*;

/// What reading these files as the daemon's gives.
fn load_files(paths: &[&str], files: &[(&str, &str)]) -> Result<Config, String> {
    let bundle = files
        .iter()
        .fold(Bundle::default(), |bundle, (path, text)| {
            bundle.with_file(*path, *text)
        });
    let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let mut diagnostics = Diagnostics::new();
    let config = load(&paths, &World(bundle), &mut diagnostics);
    config.ok_or_else(|| diagnostics.to_string())
}

/// A file that names others: one that is read at once, one that rules read.
fn file(mode: &str, name: &str) -> String {
    format!(
        "global\n {mode}\nfrontend {name}\n mode http\n timeout client 5s\n bind :80\n errorfile 503 pages/503.http\n \
         http-request deny if {{ src -f nets }}\n"
    )
}

const PAGE: &str = "HTTP/1.0 503 Gone\r\n\r\nx";

#[test]
fn relative_names_begin_where_the_file_says() {
    for (path, mode, base) in [
        ("conf/h.cfg", "daemon", ""),
        ("conf/h.cfg", "default-path current", ""),
        ("conf/h.cfg", "default-path config", "conf/"),
        ("/etc/h/h.cfg", "default-path config", "/etc/h/"),
        ("h.cfg", "default-path config", ""),
        ("conf/h.cfg", "default-path parent", "conf/../"),
        ("h.cfg", "default-path parent", "../"),
        (
            "conf/h.cfg",
            "default-path origin /etc/ssl/all",
            "/etc/ssl/all/",
        ),
        (
            "conf/h.cfg",
            "default-path config\n default-path origin conf.d",
            "conf.d/",
        ),
        // It may not be listed.
        ("h.cfg", "default-path origin /etc/closed", "/etc/closed/"),
        (
            "conf/h.cfg",
            "default-path parent\n default-path config",
            "conf/",
        ),
    ] {
        let (page, nets) = (format!("{base}pages/503.http"), format!("{base}nets"));
        let text = file(mode, "f");
        let read = load_files(
            &[path],
            &[(path, &text), (&page, PAGE), (&nets, "10.0.0.0/8\n")],
        );
        assert!(read.is_ok(), "{mode}: {read:?}");
    }
}

#[test]
fn every_file_has_its_own_beginning() {
    let (first, second) = (file("default-path config", "f"), file("daemon", "g"));
    let files = [
        ("a/h.cfg", &*first),
        ("a/pages/503.http", PAGE),
        ("a/nets", "10.0.0.0/8\n"),
        ("b/h.cfg", &*second),
        ("b/pages/503.http", PAGE),
        ("b/nets", "10.0.0.0/8\n"),
    ];
    let paths = ["a/h.cfg", "b/h.cfg"];
    assert!(load_files(&paths, &files).is_ok());
    // Patterns of the same name are the same, as with HAProxy: those of the first file.
    let told = load_files(&paths, &files[..4]).unwrap_err();
    assert!(told.contains("b/h.cfg:7:"), "{told}");
}

#[test]
fn certificates_of_a_directory_are_named_as_it_is() {
    let text = "global\n default-path config\nfrontend f\n mode http\n timeout client 5s\n bind :443 ssl crt all\n";
    let pem = ["/etc/ssl/all/a.pem", "/etc/ssl/all/b.pem"].map(|path| (path, PEM));
    let read = load_files(
        &["/etc/ssl/h.cfg"],
        &[("/etc/ssl/h.cfg", text), pem[0], pem[1]],
    )
    .unwrap();
    let tls = frontend(&read, 0).binds[0].tls.as_ref().unwrap();
    let names = tls
        .certificates
        .iter()
        .map(|one| one.path.display().to_string());
    assert_eq!(names.collect::<Vec<_>>(), ["all/a.pem", "all/b.pem"]);
}

#[test]
fn a_beginning_that_is_none_is_refused() {
    for (line, words) in [
        (
            "default-path",
            "h.cfg:2:14: error: 'default-path' lacks an argument",
        ),
        (
            "default-path there",
            "unsupported default-path mode 'there' for 'default-path'",
        ),
        (
            "default-path origin",
            "h.cfg:2:21: error: 'default-path origin' lacks an argument",
        ),
        (
            "default-path config junk",
            "h.cfg:2:22: error: 'default-path config' takes no further argument",
        ),
        (
            "default-path origin /no/such",
            "h.cfg:2:22: error: cannot be used as 'default-path'",
        ),
    ] {
        let told = findings(&format!("global\n {line}\n")).join("\n");
        assert!(told.contains(words), "{told}");
    }
}
