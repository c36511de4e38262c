//! A headless Chromium for tests of a page in a real browser. The tests control it by the DevTools
//! protocol over a pair of pipes.
#![allow(dead_code, reason = "each test program uses a part")]

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// An expression that is true when nothing on the page is wider than the window.
pub const FITS: &str = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";

/// Longer than any step here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one page.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    events: Vec<Value>,
    session: Option<String>,
    sent: u64,
    _profile: TempDir,
}

/// `$CHROMIUM`, or the first of the usual names that is in the path.
fn find() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

impl Browser {
    /// Starts a browser. If none is installed, the test reports this and passes, unless
    /// `OCCLUDE_REQUIRE_BROWSER=1` is set.
    pub fn start() -> Option<Browser> {
        let Some(program) = find() else {
            let required = env::var("OCCLUDE_REQUIRE_BROWSER").is_ok_and(|value| value == "1");
            assert!(!required, "Chromium is required here but was not found: set $CHROMIUM or install it");
            // The test harness hides the output of `eprintln!` while tests pass.
            let _ = writeln!(io::stderr(), "SKIPPED: this test needs Chromium, which is not in the path");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        // The browser reads the protocol from descriptor 3 and writes it to descriptor 4.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#])
            .arg(program)
            .args(["--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-quic", "--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"])
            .args(["--force-color-profile=srgb", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        thread::spawn(move || {
            for message in output.split(0) {
                let Ok(message) = message else { return };
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        let mut browser =
            Browser { child, input, messages, events: vec![], session: None, sent: 0, _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = Some(session["sessionId"].as_str().unwrap().to_string());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.resize(1280, 1000, 1.0);
        Some(browser)
    }

    /// Sends a command and waits for its result. Keeps the events that arrive in the meantime.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let answer = self.try_call(method, params);
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The same as `call`, but returns the whole answer, which contains `result` or `error`.
    pub fn try_call(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let id = self.sent;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(message.to_string().as_bytes()).unwrap();
        self.input.write_all(b"\0").unwrap();
        self.input.flush().unwrap();
        loop {
            let message = self.messages.recv_timeout(PATIENCE).expect(method);
            if message["id"] == id {
                return message;
            }
            self.events.push(message);
        }
    }

    /// Opens a file and waits until the expression `ready` is true.
    pub fn open(&mut self, file: &Path, ready: &str) {
        let url = address(file);
        let answer = self.call("Page.navigate", json!({"url": url}));
        assert!(answer["errorText"].is_null(), "{answer}");
        self.wait_for(ready);
    }

    /// Waits until an expression is true.
    pub fn wait_for(&mut self, expression: &str) {
        let start = Instant::now();
        while self.evaluate(expression) != true {
            assert!(start.elapsed() < PATIENCE, "still not true: {expression}; events: {:#?}", self.events);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The value of an expression in the page.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Moves the mouse to a point of the window.
    pub fn hover(&mut self, x: f64, y: f64) {
        self.mouse("mouseMoved", x, y, "none");
    }

    /// Presses and releases the left button at a point of the window.
    pub fn click(&mut self, x: f64, y: f64) {
        self.mouse("mousePressed", x, y, "left");
        self.mouse("mouseReleased", x, y, "left");
    }

    /// Presses the left button at a point of the window, moves the mouse to another one, and releases
    /// the button.
    pub fn drag(&mut self, from: [f64; 2], to: [f64; 2]) {
        self.mouse("mousePressed", from[0], from[1], "left");
        for step in 1..=5 {
            let at = [0, 1].map(|axis| from[axis] + (to[axis] - from[axis]) * f64::from(step) / 5.0);
            let moved = json!({"type": "mouseMoved", "x": at[0], "y": at[1], "button": "left", "buttons": 1});
            self.call("Input.dispatchMouseEvent", moved);
        }
        self.mouse("mouseReleased", to[0], to[1], "left");
    }

    fn mouse(&mut self, kind: &str, x: f64, y: f64, button: &str) {
        let params = json!({"type": kind, "x": x, "y": y, "button": button, "clickCount": 1});
        self.call("Input.dispatchMouseEvent", params);
    }

    /// Touches a point of the window and releases it.
    pub fn touch(&mut self, x: f64, y: f64) {
        let start = json!({"type": "touchStart", "touchPoints": [{"x": x, "y": y}]});
        self.call("Input.dispatchTouchEvent", start);
        self.call("Input.dispatchTouchEvent", json!({"type": "touchEnd", "touchPoints": []}));
    }

    /// Presses and releases a key, by its name in `KeyboardEvent.key`.
    pub fn key(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Escape" => 27,
            "PageUp" => 33,
            "PageDown" => 34,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => panic!("no code for {key}"),
        };
        for kind in ["rawKeyDown", "keyUp"] {
            let params = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// Sets the size of the window in CSS pixels, with `scale` device pixels per CSS pixel. The page changes
    /// its own sizes some time later.
    pub fn resize(&mut self, width: u32, height: u32, scale: f64) {
        let params =
            json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", params);
    }

    /// Sets a media feature, for example "prefers-color-scheme" to "dark".
    pub fn media(&mut self, feature: &str, value: &str) {
        let params = json!({"features": [{"name": feature, "value": value}]});
        self.call("Emulation.setEmulatedMedia", params);
    }

    /// All messages in the console's log and all exceptions so far, and every requested address
    /// except `page` and `data:` addresses.
    pub fn complaints(&mut self, page: &Path) -> Vec<Value> {
        self.evaluate("1");
        let page = address(page);
        let complaint = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded") => true,
            Some("Network.requestWillBeSent") => {
                let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
                url != page && !url.starts_with("data:")
            }
            _ => false,
        };
        self.events.iter().filter(complaint).cloned().collect()
    }

    /// True if the page's own address is among the requested addresses. If it is, the browser
    /// reports requests.
    pub fn has_asked_for(&self, page: &Path) -> bool {
        self.events.iter().any(|event| {
            event["method"] == "Network.requestWillBeSent"
                && event["params"]["request"]["url"] == address(page)
        })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser with all its processes. After that, no process writes to the profile.
        let close = json!({"id": 0, "method": "Browser.close"}).to_string() + "\0";
        let asked = self.input.write_all(close.as_bytes()).is_ok();
        let start = Instant::now();
        while asked && start.elapsed() < Duration::from_secs(10) && matches!(self.child.try_wait(), Ok(None))
        {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The `file:` address of a path; an address of a server stays as it is.
fn address(path: &Path) -> String {
    if path.starts_with("http:") {
        return path.to_str().unwrap().to_string();
    }
    let path = path.canonicalize().unwrap();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte);
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    format!("file://{}", path.to_str().unwrap().bytes().map(encode).collect::<String>())
}
