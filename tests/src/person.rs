//! A person in front of a browser, with a mouse or with a keyboard only: finds things by what is written on them.

use crate::{
    browser::Browser,
    contract::NetworkFile,
    pages::PASSWORD,
    wait::{wait_for, wait_until},
};
use anyhow::{Context, ensure};
use std::time::Duration;
use thirtyfour::{By, Key, WebElement};

/// Patience for something to be on the page, and for the next page.
const PAGE_DEADLINE: Duration = Duration::from_secs(20);
/// Times a live part of the page may be replaced under the hand before that is a fault.
const REPLACED_MAX: usize = 5;
/// Presses of Tab until somebody would give up.
const TABS_MAX: usize = 250;

/// What the person uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// Clicks, then types.
    Mouse,
    /// Tab, Enter, Space and letters.
    Keyboard,
}

/// A person.
pub struct Person<'b> {
    browser: &'b Browser,
    hand: Hand,
}

impl<'b> Person<'b> {
    /// In front of this browser.
    pub fn new(browser: &'b Browser, hand: Hand) -> Self {
        Self { browser, hand }
    }

    /// The first visible element of this XPath.
    async fn find(&self, what: &str, path: &str) -> WebElement {
        wait_for(what, PAGE_DEADLINE, || async {
            for element in self.browser.tab.find_all(By::XPath(path)).await? {
                if element.is_displayed().await? {
                    return Ok(element);
                }
            }
            anyhow::bail!("nothing visible at {path} on {}", self.browser.tab.current_url().await?)
        })
        .await
    }

    /// The field with this label.
    pub async fn field(&self, label: &str) -> WebElement {
        let path = format!("//*[@id=//label[normalize-space()='{label}']/@for]");
        self.find(&format!("a field {label:?}"), &path).await
    }

    /// Text of the section with this heading.
    pub async fn section(&self, heading: &str) -> anyhow::Result<String> {
        let path = format!("//section[.//h2[normalize-space()='{heading}']]");
        Ok(self.find(&format!("a section {heading:?}"), &path).await.text().await?)
    }

    /// Text of the page's main part.
    pub async fn main(&self) -> anyhow::Result<String> {
        Ok(self.find("the page", "//main").await.text().await?)
    }

    /// Follows a link to the next page.
    pub async fn follow(&self, text: &str) -> anyhow::Result<()> {
        self.leave(&format!("a link {text:?}"), &format!("//a[normalize-space()='{text}']"))
            .await
            .with_context(|| format!("follow {text:?}"))
    }

    /// Presses a button that leads to the next page.
    pub async fn press(&self, text: &str) -> anyhow::Result<()> {
        let path = format!("//button[normalize-space()='{text}']");
        self.leave(&format!("a button {text:?}"), &path).await.with_context(|| format!("press {text:?}"))
    }

    /// Writes into a field what is to stand in it.
    pub async fn fill(&self, label: &str, text: &str) -> anyhow::Result<()> {
        let field = self.field(label).await;
        match self.hand {
            Hand::Mouse => {
                field.click().await?;
                field.clear().await?;
                field.send_keys(text).await?;
            }
            Hand::Keyboard => {
                self.reach(&field).await.with_context(|| format!("reach {label:?}"))?;
                let keys = self.browser.tab.action_chain();
                keys.key_down(Key::Control).send_keys("a").key_up(Key::Control).send_keys(text).perform().await?;
            }
        }
        let value = field.prop("value").await?.unwrap_or_default();
        ensure!(value == text, "{label:?} holds {value:?} instead of {text:?}");
        Ok(())
    }

    /// Picks from a list what begins so.
    pub async fn pick(&self, label: &str, text: &str) -> anyhow::Result<()> {
        let list = self.field(label).await;
        match self.hand {
            Hand::Mouse => list.find(By::XPath(format!("./option[starts-with(normalize-space(), '{text}')]"))).await?.click().await?,
            Hand::Keyboard => {
                self.reach(&list).await.with_context(|| format!("reach {label:?}"))?;
                self.browser.tab.action_chain().send_keys(text).perform().await?;
            }
        }
        let script = "return arguments[0].selectedOptions[0].text.trim()";
        let picked = self.browser.tab.execute(script, vec![list.to_json()?]).await?.json().clone();
        ensure!(picked.as_str().is_some_and(|picked| picked.starts_with(text)), "{label:?} is {picked} instead of {text:?}");
        Ok(())
    }

    /// From the first page of a new network: the one-time password, then one of the person's own.
    pub async fn first_login(&self, network: &NetworkFile) -> anyhow::Result<()> {
        let manager = &network.manager;
        self.browser.tab.goto(manager.url.as_ref().context("a URL")?).await?;
        self.fill("User", "admin").await?;
        self.fill("Password", manager.one_time_password.as_ref().context("a one-time password")?).await?;
        self.press("Sign in").await?;
        self.fill("New password", PASSWORD).await?;
        self.fill("New password again", PASSWORD).await?;
        self.press("Change the password").await
    }

    /// The button of a choice whose label begins so.
    pub async fn choice(&self, label: &str) -> WebElement {
        let path = format!("//label[starts-with(normalize-space(), '{label}')]//input");
        self.find(&format!("a choice {label:?}"), &path).await
    }

    /// Makes a choice.
    pub async fn choose(&self, label: &str) -> anyhow::Result<()> {
        let choice = self.choice(label).await;
        match self.hand {
            Hand::Mouse => choice.click().await?,
            Hand::Keyboard => {
                self.reach(&choice).await.with_context(|| format!("reach {label:?}"))?;
                self.browser.tab.action_chain().send_keys(" ").perform().await?;
            }
        }
        ensure!(choice.prop("checked").await?.as_deref() == Some("true"), "{label:?} is not chosen");
        Ok(())
    }

    /// Takes a file into a field for files, as a file dialogue would.
    pub async fn take_file(&self, label: &str, path: &std::path::Path) -> anyhow::Result<()> {
        let path = path.to_str().context("test directories are UTF-8")?;
        self.field(label).await.send_keys(path).await.with_context(|| format!("take {path}"))
    }

    /// Goes to the next page by way of a link or button. A live part of the page may be replaced before the hand is there:
    /// then it is the new one that is meant, as for any person.
    async fn leave(&self, what: &str, path: &str) -> anyhow::Result<()> {
        self.browser.evaluate("window.left = true;").await?;
        for _ in 1..REPLACED_MAX {
            match self.set_off(&self.find(what, path).await).await {
                Err(error) if format!("{error:#}").contains("stale element") => {}
                other => return self.arrive(what, other).await,
            }
        }
        let last = self.set_off(&self.find(what, path).await).await;
        self.arrive(what, last).await
    }

    async fn set_off(&self, element: &WebElement) -> anyhow::Result<()> {
        match self.hand {
            Hand::Mouse => element.click().await?,
            Hand::Keyboard => {
                self.reach(element).await?;
                self.browser.tab.action_chain().send_keys(Key::Enter).perform().await?;
            }
        }
        Ok(())
    }

    async fn arrive(&self, what: &str, set_off: anyhow::Result<()>) -> anyhow::Result<()> {
        set_off?;
        wait_until(&format!("the page behind {what}"), PAGE_DEADLINE, || async {
            let script = "return window.left === undefined && document.readyState === 'complete'";
            self.browser.evaluate(script).await.is_ok_and(|there| there == true)
        })
        .await;
        Ok(())
    }

    /// Presses Tab until the element has the focus, and sees that it has.
    async fn reach(&self, element: &WebElement) -> anyhow::Result<()> {
        let script = "const ring = getComputedStyle(document.activeElement);
            return [document.activeElement === arguments[0], ring.outlineStyle !== 'none' || ring.boxShadow !== 'none']";
        for _ in 0..TABS_MAX {
            let seen = self.browser.tab.execute(script, vec![element.to_json()?]).await?.json().clone();
            if seen[0] == true {
                ensure!(seen[1] == true, "the focus cannot be seen: {}", element.outer_html().await?);
                return Ok(());
            }
            self.browser.tab.action_chain().send_keys(Key::Tab).perform().await?;
        }
        anyhow::bail!("not reached with {TABS_MAX} tabs: {}", element.outer_html().await?)
    }
}
