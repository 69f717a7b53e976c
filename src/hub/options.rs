//! How the hub is reached: cache, address, token, offline; with the variables every Hugging Face tool reads.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Settings of [`Hub`](super::Hub); the default has no cache and goes to huggingface.co.
#[derive(Clone, Default)]
pub struct HubOptions {
    /// The folder that holds `models--org--name` folders.
    pub cache: Option<PathBuf>,
    /// The hub's address; `None` for `https://huggingface.co`.
    pub endpoint: Option<String>,
    /// The access token, for models behind a gate.
    pub token: Option<String>,
    /// Whether the network must not be touched.
    pub offline: bool,
    /// Told about downloads as they go on.
    pub progress: Option<OnProgress>,
}

/// What is told about downloads.
pub type OnProgress = Arc<dyn Fn(Progress<'_>) + Send + Sync>;

/// How far the download of one file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file's name in the repo.
    pub file: &'a str,
    /// Bytes on disk.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

impl HubOptions {
    /// Reads `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`, `HOME`; `HF_ENDPOINT`; `HF_TOKEN`,
    /// `HUGGING_FACE_HUB_TOKEN`, the file `HF_TOKEN_PATH` or `$HF_HOME/token`; `HF_HUB_OFFLINE`,
    /// `TRANSFORMERS_OFFLINE`: the same ones, in the same order, as the `huggingface_hub` package.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// The same with variables looked up elsewhere.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // An empty variable counts as unset, as it does for the other tools.
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let path = |name: &str| set(name).map(PathBuf::from);
        let home = path("HF_HOME").or_else(|| {
            let caches = path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")))?;
            Some(caches.join("huggingface"))
        });
        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| home.as_ref().map(|home| home.join("hub")));
        let token_file = path("HF_TOKEN_PATH").or_else(|| home.as_ref().map(|home| home.join("token")));
        let token = text("HF_TOKEN")
            .or_else(|| text("HUGGING_FACE_HUB_TOKEN"))
            .or_else(|| std::fs::read_to_string(token_file?).ok())
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty());
        let endpoint = text("HF_ENDPOINT").map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        let offline =
            ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].iter().any(|name| text(name).is_some_and(|v| is_true(&v)));
        HubOptions { cache, endpoint, token, offline, progress: None }
    }

    /// Adds a listener for downloads.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }
}

fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

impl fmt::Debug for HubOptions {
    /// The token is a secret: it is shown as being there, no more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> HubOptions {
        HubOptions::from_variables(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_cache_follows_the_usual_variables_in_the_usual_order() {
        for (variables, cache) in [
            (&[("HOME", "/h")][..], Some("/h/.cache/huggingface/hub")),
            (&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")], Some("/x/huggingface/hub")),
            (&[("HOME", "/h"), ("HF_HOME", "/f")], Some("/f/hub")),
            (&[("HF_HOME", "/f"), ("HUGGINGFACE_HUB_CACHE", "/old")], Some("/old")),
            (&[("HF_HOME", "/f"), ("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "/c")], Some("/c")),
            (&[("HF_HOME", ""), ("HOME", "/h")], Some("/h/.cache/huggingface/hub")),
            (&[], None),
        ] {
            assert_eq!(options(variables).cache, cache.map(PathBuf::from), "{variables:?}");
        }
    }

    #[test]
    fn offline_takes_the_words_other_tools_take() {
        for value in ["1", "ON", "Yes", "true"] {
            assert!(options(&[("HF_HUB_OFFLINE", value)]).offline, "{value}");
            assert!(options(&[("TRANSFORMERS_OFFLINE", value)]).offline, "{value}");
        }
        for value in ["", "0", "off", "no"] {
            assert!(!options(&[("HF_HUB_OFFLINE", value)]).offline, "{value}");
        }
    }

    #[test]
    fn the_token_comes_from_the_variable_or_the_file_and_is_never_shown() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "from-file\n").unwrap();
        let hf_home = home.path().to_str().unwrap();
        assert_eq!(options(&[("HF_HOME", hf_home)]).token.as_deref(), Some("from-file"));
        let both = options(&[("HF_HOME", hf_home), ("HF_TOKEN", "from-variable")]);
        assert_eq!(both.token.as_deref(), Some("from-variable"));
        assert!(!format!("{both:?}").contains("from-variable"));
        assert_eq!(options(&[("HF_ENDPOINT", "http://127.0.0.1:9/")]).endpoint.as_deref(), Some("http://127.0.0.1:9"));
    }
}
