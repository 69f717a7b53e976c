//! A model hub on the loopback: small files are served directly, weights through a redirect, as the real one does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sha2::{Digest, Sha256};

/// A commit's name and files.
pub(super) type Commit = (String, BTreeMap<String, Vec<u8>>);

/// What the hub holds and how it misbehaves.
#[derive(Default)]
pub(super) struct Contents {
    /// `(repo, revision)` → commit and files.
    pub revisions: BTreeMap<(String, String), Commit>,
    /// The token without which access is refused.
    pub token: Option<String>,
    /// Answers every request with this status.
    pub status: Option<u16>,
    /// How many of the next weight downloads break off half-way.
    pub cut_off: usize,
    /// Serves weights with a flipped byte under the right name.
    pub corrupt: bool,
    /// Answers with this entity tag instead of the right one.
    pub etag: Option<String>,
    /// Every request line, in order.
    pub requests: Vec<String>,
}

/// A running server; it ends with the test process.
#[derive(Clone)]
pub(super) struct Server {
    pub endpoint: String,
    pub contents: Arc<Mutex<Contents>>,
}

pub(super) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Server {
    pub(super) fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = Server { endpoint, contents: Arc::default() };
        let shared = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = shared.clone();
                thread::spawn(move || server.answer(&stream));
            }
        });
        server
    }

    pub(super) fn add(&self, repo: &str, revision: &str, commit: &str, files: &[(&str, &[u8])]) {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        let key = (repo.to_owned(), revision.to_owned());
        self.contents.lock().unwrap().revisions.insert(key, (commit.to_owned(), files));
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.contents.lock().unwrap().requests.clone()
    }

    fn answer(&self, mut stream: &TcpStream) {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let Some(request) = lines.next() else { return };
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
            .collect();
        // The client may hang up early; that is not this server's worry.
        let _ = stream.write_all(&self.response(&request, &headers));
    }

    fn response(&self, request: &str, headers: &BTreeMap<String, String>) -> Vec<u8> {
        let mut contents = self.contents.lock().unwrap();
        contents.requests.push(request.to_owned());
        let path = request.split(' ').nth(1).unwrap_or_default();
        let range = headers.get("range").map(String::as_str);
        let authorized = contents
            .token
            .as_ref()
            .is_none_or(|token| headers.get("authorization") == Some(&format!("Bearer {token}")));
        if let Some(status) = contents.status.or((!authorized).then_some(401)) {
            return head(&format!("{status} No"), &[("Content-Length", "0")]);
        }
        if let Some(cdn) = path.strip_prefix("/cdn/") {
            let Some(mut bytes) = contents.find(cdn).map(|(_, bytes)| bytes) else { return not_found() };
            if contents.corrupt {
                *bytes.last_mut().unwrap() ^= 1;
            }
            let whole = range != Some("bytes=0-0");
            let cut = whole && contents.cut_off > 0;
            contents.cut_off -= usize::from(cut);
            let mut response = partial(&bytes, range, &[]);
            if cut {
                response.truncate(response.len() - bytes.len() / 4);
            }
            return response;
        }
        let Some((commit, bytes)) = contents.find(path) else { return not_found() };
        let etag = format!("\"{}\"", contents.etag.clone().unwrap_or(hex(&bytes)));
        if ["safetensors", "bin"].contains(&path.rsplit('.').next().unwrap_or_default()) {
            let location = format!("{}/cdn{path}", self.endpoint);
            let fields = [
                ("x-repo-commit", &*commit),
                ("x-linked-etag", &etag),
                ("Location", &location),
                ("Content-Length", "0"),
            ];
            return head("302 Found", &fields);
        }
        // The real hub names a small file by its git object, which is no SHA-256.
        let etag = contents.etag.clone().unwrap_or(hex(&bytes)[..40].to_owned());
        partial(&bytes, range, &[("x-repo-commit", &commit), ("ETag", &format!("\"{etag}\""))])
    }
}

impl Contents {
    /// `/org/name/resolve/REVISION/FILE` → commit and bytes.
    fn find(&self, path: &str) -> Option<(String, Vec<u8>)> {
        let (repo, rest) = path.trim_start_matches('/').split_once("/resolve/")?;
        let (revision, file) = rest.split_once('/')?;
        let (commit, files) = self.revisions.get(&(repo.to_owned(), revision.replace("%2F", "/")))?;
        Some((commit.clone(), files.get(file)?.clone()))
    }
}

fn head(status: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut response = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for (name, value) in fields {
        let _ = write!(response, "{name}: {value}\r\n");
    }
    (response + "\r\n").into_bytes()
}

fn not_found() -> Vec<u8> {
    head("404 Not Found", &[("Content-Length", "0")])
}

fn partial(bytes: &[u8], range: Option<&str>, fields: &[(&str, &str)]) -> Vec<u8> {
    let (start, end) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')).unwrap_or(("0", ""));
    let start: usize = start.parse().unwrap();
    let end = end.parse::<usize>().map_or(bytes.len(), |last| (last + 1).min(bytes.len()));
    if start >= bytes.len() {
        return head("416 Range Not Satisfiable", &[("Content-Length", "0")]);
    }
    let length = (end - start).to_string();
    let place = format!("bytes {start}-{}/{}", end - 1, bytes.len());
    let mut all = vec![("Content-Length", &*length), ("Content-Range", &*place), ("Accept-Ranges", "bytes")];
    all.extend_from_slice(fields);
    let mut response = head("206 Partial Content", &all);
    response.extend_from_slice(&bytes[start..end]);
    response
}
