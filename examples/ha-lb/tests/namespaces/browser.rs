//! A real browser on a lab host, driven over the DevTools protocol through a pair of pipes: no port, no driver.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ha_lb::lab::Host;
use serde_json::{Value, json};

use crate::support::wait_for;

/// A browser that starts on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Headless Chromium with one tab.
pub(crate) struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: Receiver<Value>,
    session: Option<String>,
    number: u64,
    events: VecDeque<Value>,
}

impl Browser {
    /// Starts it on `host`; it keeps its files below `folder`.
    pub(crate) fn start(host: &Host, folder: &Path) -> Self {
        let profile = folder.join("browser");
        fs::create_dir_all(&profile).unwrap();
        // It reads commands from descriptor 3 and answers on 4. In an enclosure there is nothing left to sandbox from.
        let script = "exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
                      --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars \
                      --user-data-dir=\"$HOME\" --remote-debugging-pipe about:blank 3<&0 4>&1 0</dev/null 1>&2";
        let log = fs::File::create(folder.join("browser.log")).unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .env("HOME", &profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = host.run(|| Ok(command.spawn().unwrap())).unwrap();
        let commands = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (tell, answers) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while matches!(output.read_until(0, &mut message), Ok(length) if length > 0) {
                message.pop();
                if tell
                    .send(serde_json::from_slice(&message).unwrap())
                    .is_err()
                {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            child,
            commands,
            answers,
            session: None,
            number: 0,
            events: VecDeque::new(),
        };
        let tab = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let tab = json!({"targetId": tab["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", tab);
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.commands
            .write_all(format!("{message}\0").as_bytes())
            .unwrap();
        loop {
            let answer = self.answers.recv_timeout(PATIENCE);
            assert!(
                answer.is_ok(),
                "chromium does not answer {method}: {answer:?}"
            );
            let answer = answer.unwrap();
            if answer["id"] == self.number {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push_back(answer);
        }
    }

    /// The size of the window in pixels of the page, and the user's wish for dark colours.
    pub(crate) fn look(&mut self, width: u32, height: u32, dark: bool) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// Whether pages may run their scripts; what the test evaluates always runs.
    pub(crate) fn scripts(&mut self, on: bool) {
        self.call(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": !on}),
        );
    }

    /// Goes to an address and waits until it is loaded.
    pub(crate) fn open(&mut self, address: &str) {
        let answer = self.call("Page.navigate", json!({"url": address}));
        assert_eq!(answer.get("errorText"), None, "{address}: {answer}");
        self.loaded(address);
    }

    fn loaded(&mut self, what: &str) {
        wait_for(&format!("{what} is loaded"), PATIENCE, || {
            let state = self.evaluate("document.readyState + location.protocol");
            (state == "completehttp:" || state == "completedata:").then_some(())
        });
    }

    /// What an expression of the page's language gives.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", parameters);
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// What a person reads.
    pub(crate) fn text(&mut self) -> String {
        let text = self.evaluate("document.body.innerText");
        text.as_str().unwrap().to_owned()
    }

    /// Presses the mouse in the middle of the element, which has to be there and not covered by anything.
    pub(crate) fn click(&mut self, selector: &str) {
        let quoted = json!(selector);
        let place = self.evaluate(&format!(
            "(() => {{ const e = document.querySelector({quoted}); if (!e) return 'nothing';
               e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();
               const [x, y] = [r.x + r.width / 2, r.y + r.height / 2];
               return e.contains(document.elementFromPoint(x, y)) ? [x, y] : 'covered'; }})()"
        ));
        assert!(place.is_array(), "{selector}: {place}");
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Clicks something that leads to another page, and waits for it.
    pub(crate) fn follow(&mut self, selector: &str) {
        self.evaluate("window.before = true");
        self.click(selector);
        wait_for(&format!("{selector} leads on"), PATIENCE, || {
            (self.evaluate("window.before === undefined") == true).then_some(())
        });
        self.loaded(selector);
    }

    /// Everything that the browser complained about so far: errors, exceptions, violated policies.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.evaluate("0");
        let complaint = |event: &Value| {
            let parameters = &event["params"];
            match event["method"].as_str() {
                Some("Log.entryAdded") => Some(parameters["entry"].to_string()),
                Some("Runtime.exceptionThrown") => Some(parameters.to_string()),
                Some("Runtime.consoleAPICalled") => Some(parameters["args"].to_string()),
                Some("Network.loadingFailed") if parameters["canceled"] != true => {
                    Some(parameters.to_string())
                }
                _ => None,
            }
        };
        self.events
            .drain(..)
            .filter_map(|e| complaint(&e))
            .collect()
    }

    /// Where the browser asked for anything since it was started.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self
            .events
            .iter()
            .filter(|event| event["method"] == "Network.requestWillBeSent");
        let address = |event: &Value| {
            event["params"]["request"]["url"]
                .as_str()
                .map(str::to_owned)
        };
        requests.filter_map(address).collect()
    }

    /// A picture of the page from top to bottom.
    pub(crate) fn picture(&mut self, path: &Path) {
        let picture = json!({"captureBeyondViewport": true});
        let picture = self.call("Page.captureScreenshot", picture);
        let data = BASE64_STANDARD.decode(picture["data"].as_str().unwrap());
        fs::write(path, data.unwrap()).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
