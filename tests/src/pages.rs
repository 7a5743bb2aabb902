//! The manager's web pages as a browser without scripts uses them: forms read from the page, sent with what it holds.

use crate::{api::install_provider, contract::NetworkFile};
use anyhow::{Context, ensure};
use reqwest::{Method, header};
use std::{collections::BTreeMap, time::Duration};

/// Patience for a page.
const PATIENCE: Duration = Duration::from_secs(20);
/// The password tests set at the first login.
pub const PASSWORD: &str = "a long enough passphrase";

/// A page.
#[derive(Debug, Clone)]
pub struct Page {
    /// Status code.
    pub status: u16,
    /// Where it sends the browser.
    pub location: Option<String>,
    /// Header fields, names in lower case.
    pub fields: BTreeMap<String, String>,
    /// Its text.
    pub text: String,
}

/// A form of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Where it is sent.
    pub action: String,
    /// Its fields as the page holds them: name, type and value.
    pub inputs: Vec<(String, String, String)>,
}

impl Form {
    /// Names and values, with these changed.
    pub fn filled(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let value = |name: &str| changes.iter().find(|(changed, _)| *changed == name).map(|(_, value)| (*value).to_owned());
        self.inputs.iter().map(|(name, _, held)| (name.clone(), value(name).unwrap_or_else(|| held.clone()))).collect()
    }

    /// Name of the nth field of this type.
    pub fn named(&self, kind: &str, nth: usize) -> anyhow::Result<&str> {
        let found = self.inputs.iter().filter(|(_, k, _)| k == kind).nth(nth);
        found.map(|(name, _, _)| name.as_str()).with_context(|| format!("field {nth} of type {kind} in {self:?}"))
    }
}

/// Value of an attribute in a tag's text.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let at = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = &tag[at..at + tag[at..].find('"')?];
    Some(value.replace("&quot;", "\"").replace("&#34;", "\"").replace("&#39;", "'").replace("&#x2f;", "/").replace("&amp;", "&"))
}

impl Page {
    /// The form that is sent to `action`.
    pub fn form(&self, action: &str) -> anyhow::Result<Form> {
        let mut forms = self.text.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap_or_default());
        let own = |text: &str| {
            let found = attribute(text.split('>').next()?, "action").unwrap_or_default();
            (found == action || found.split('?').next() == Some(action)).then_some(found)
        };
        let (text, action) =
            forms.find_map(|text| own(text).map(|action| (text, action))).with_context(|| format!("no form to {action}: {}", self.text))?;
        let inputs = text.split("<input").skip(1).filter_map(|rest| {
            let tag = rest.split('>').next()?;
            let kind = attribute(tag, "type").unwrap_or_else(|| "text".into());
            Some((attribute(tag, "name")?, kind, attribute(tag, "value").unwrap_or_default()))
        });
        Ok(Form { action, inputs: inputs.collect() })
    }
}

/// A browser without scripts: one cookie jar.
pub struct Pages {
    http: reqwest::Client,
    base: String,
    cookies: BTreeMap<String, String>,
}

impl Pages {
    /// Not logged in.
    pub fn new(network: &NetworkFile) -> anyhow::Result<Self> {
        install_provider();
        let ca = std::fs::read(network.manager.ca.as_ref().context("a CA file")?).context("read the CA")?;
        let ca = reqwest::Certificate::from_pem(&ca).context("the CA is PEM")?;
        let client = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().timeout(PATIENCE);
        let http = client.redirect(reqwest::redirect::Policy::none()).build().context("make a client")?;
        Ok(Self { http, base: network.manager.url.clone().context("a URL")?, cookies: BTreeMap::new() })
    }

    /// Base URL of the pages.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The cookies it holds.
    pub fn cookies(&self) -> &BTreeMap<String, String> {
        &self.cookies
    }

    /// The same browser with these cookies and no others.
    #[must_use]
    pub fn with_cookies(&self, cookies: BTreeMap<String, String>) -> Self {
        Self { http: self.http.clone(), base: self.base.clone(), cookies }
    }

    /// GET; redirects are not followed.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<Page> {
        let request = self.http.request(Method::GET, format!("{}{path}", self.base));
        self.send(request).await.with_context(|| format!("GET {path}"))
    }

    /// GET of what redirects lead to.
    pub async fn follow(&mut self, path: &str) -> anyhow::Result<Page> {
        let mut page = self.get(path).await?;
        for _ in 0..5 {
            let Some(next) = page.location.clone().filter(|_| (300..400).contains(&page.status)) else { break };
            page = self.get(next.strip_prefix(&self.base).unwrap_or(&next)).await?;
        }
        Ok(page)
    }

    /// Sends a form as the page of this origin does.
    pub async fn post(&mut self, path: &str, fields: &[(String, String)]) -> anyhow::Result<Page> {
        let origin = self.base.clone();
        self.post_from(&origin, "same-origin", path, fields).await
    }

    /// Sends a form as a page of `origin` would make this browser do; `site` is what it says of that in `Sec-Fetch-Site`.
    pub async fn post_from(&mut self, origin: &str, site: &str, path: &str, fields: &[(String, String)]) -> anyhow::Result<Page> {
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        let request = self.http.request(Method::POST, format!("{}{path}", self.base));
        let request = request.header("Origin", origin).header("Sec-Fetch-Site", site);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(body.join("&"));
        self.send(request).await.with_context(|| format!("POST {path}"))
    }

    async fn send(&mut self, mut request: reqwest::RequestBuilder) -> anyhow::Result<Page> {
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("Cookie", cookies.join("; "));
        }
        let response = request.send().await?;
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').context("a cookie is a pair")?;
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let text = |value: &header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let fields = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let location = response.headers().get(header::LOCATION).map(text);
        Ok(Page { status: response.status().as_u16(), location, fields, text: response.text().await? })
    }

    /// Sends the login form; what came back.
    pub async fn try_login(&mut self, user: &str, password: &str) -> anyhow::Result<Page> {
        let form = self.follow("/login").await?.form("/login")?;
        let (name, secret) = (form.named("text", 0)?, form.named("password", 0)?);
        self.post(&form.action, &form.filled(&[(name, user), (secret, password)])).await
    }

    /// Logs in as `admin` with the password a test has set.
    pub async fn login(&mut self, password: &str) -> anyhow::Result<()> {
        let page = self.try_login("admin", password).await?;
        ensure!(page.status == 303, "login: {} {}", page.status, page.text);
        Ok(())
    }

    /// The first login: the one-time password, changed to [`PASSWORD`].
    pub async fn first_login(&mut self, network: &NetworkFile) -> anyhow::Result<()> {
        let once = network.manager.one_time_password.as_deref().context("a one-time password")?;
        self.login(once).await?;
        let page = self.follow("/").await?;
        let form = page.form("/password")?;
        // The one in use first when the page asks for it; then the new one, twice.
        let secrets: Vec<&str> = form.inputs.iter().filter(|(_, kind, _)| kind == "password").map(|(name, _, _)| name.as_str()).collect();
        let news = secrets.len().saturating_sub(2);
        let values: Vec<(&str, &str)> =
            secrets.iter().enumerate().map(|(n, name)| (*name, if n < news { once } else { PASSWORD })).collect();
        let page = self.post(&form.action, &form.filled(&values)).await?;
        ensure!(page.status == 303, "change of the password: {} {}", page.status, page.text);
        Ok(())
    }
}

/// Escapes for a form's body.
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_from_pages() {
        let text = r#"<form method="get" action="/find"><input name="q"></form><form method="post" action="/login?next=%2f">
            <input type="hidden" name="csrf" value="a&amp;b"><input name="user"><input type="password" name="password"></form>"#;
        let page = Page { status: 200, location: None, fields: BTreeMap::new(), text: text.into() };
        let form = page.form("/login").unwrap();
        assert_eq!(form.action, "/login?next=%2f");
        assert_eq!(form.named("password", 0).unwrap(), "password");
        let filled = form.filled(&[("user", "admin")]);
        assert_eq!(filled[..2], [("csrf".to_owned(), "a&b".to_owned()), ("user".to_owned(), "admin".to_owned())]);
        assert!(page.form("/logout").is_err());
        assert_eq!(escape("a b&c"), "a%20b%26c");
    }
}
