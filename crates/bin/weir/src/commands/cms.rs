//! `weir cms`: verbs of one manager's box. Its control socket answers in every CMS state.

mod database;
mod downgrade;
mod enable;
mod info;
mod key;
mod role;
mod software;
mod unreplicated;

use crate::{
    api_client::ApiClient,
    cli::{BoxArgs, BoxSoftwareVerb, CmsArgs, CmsVerb, DatabaseVerb, Target, WhichBox},
    commands::Misconfigured,
    up::network::NetworkFile,
};
use std::path::PathBuf;
use weir_operator_api::paths;

/// The box a verb is for.
pub(crate) struct ThisBox {
    /// Its data directory.
    pub(crate) data: PathBuf,
    /// Its control socket; nobody may listen there.
    pub(crate) api: ApiClient,
}

impl ThisBox {
    fn of(target: &Target, arguments: &BoxArgs) -> anyhow::Result<Self> {
        let data = directory(target, arguments)?;
        Ok(Self { api: ApiClient::local(&data)?, data })
    }

    /// The manager's state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.data.join("state/manager")
    }

    /// Whether a worker answers at the control socket.
    pub(crate) async fn answers(&self) -> bool {
        tokio::net::UnixStream::connect(self.data.join(paths::LOCAL_SOCKET)).await.is_ok()
    }
}

/// A path of the control socket below `/cms/v1`.
pub(crate) fn path(rest: &str) -> String {
    format!("{}{rest}", paths::CMS)
}

fn directory(target: &Target, arguments: &BoxArgs) -> anyhow::Result<PathBuf> {
    // What is typed comes before what the environment says: `--box` can only mean a network's.
    let typed_box = arguments.which.is_some();
    if typed_box && arguments.data_was_typed() {
        let why = "give either --data DIR, which is one box, or --network DIR --box manager|standby";
        return Err(Misconfigured(why.into()).into());
    }
    if let Some(data) = arguments.data.as_ref().or(target.local.as_ref()).filter(|_| !typed_box) {
        return Ok(data.clone());
    }
    if let Some(dir) = &target.network {
        let network = NetworkFile::read(dir)?;
        return Ok(match arguments.which.unwrap_or(WhichBox::Manager) {
            WhichBox::Manager => network.manager.dir,
            WhichBox::Standby => network.standby.dir,
        });
    }
    let why =
        "which box? give --data DIR (the manager's data directory on this box), or --network DIR --box manager|standby (of `weir up`)";
    Err(Misconfigured(why.into()).into())
}

/// Runs one verb.
pub(super) async fn run(target: &Target, arguments: CmsArgs) -> anyhow::Result<()> {
    let this = ThisBox::of(target, &arguments.of)?;
    let format = target.output;
    match arguments.verb {
        CmsVerb::Info => info::show(&this, format).await,
        CmsVerb::Enable => enable::enable(&this, format).await,
        CmsVerb::Disable { why } => enable::disable(&this, format, why).await,
        CmsVerb::Role { verb } => role::run(&this, format, verb).await,
        CmsVerb::Resync => enable::resync(&this, format).await,
        CmsVerb::Unreplicated { verb } => unreplicated::run(&this, format, verb).await,
        CmsVerb::Key { verb } => key::run(&this, format, verb).await,
        CmsVerb::Database { verb: DatabaseVerb::Downgrade(arguments) } => downgrade::run(&this, format, &arguments).await,
        CmsVerb::Software { verb: BoxSoftwareVerb::Switch { to } } => software::switch(&this, format, to).await,
        CmsVerb::TakeOver { why } => software::take_over(&this, format, why).await,
        CmsVerb::Database { verb } => database::run(&this, format, verb).await.map_err(|error| info::of_call(&this, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(network: Option<&str>, local: Option<&str>) -> Target {
        let path = |text: Option<&str>| text.map(PathBuf::from);
        Target { network: path(network), manager: None, local: path(local), ca: None, token: None, output: crate::cli::Format::Json }
    }

    #[test]
    fn a_box_has_one_directory() {
        let arguments = |data: Option<&str>, which| BoxArgs { data: data.map(PathBuf::from), which };
        assert_eq!(directory(&target(None, None), &arguments(Some("/d"), None)).expect("named"), PathBuf::from("/d"));
        assert_eq!(directory(&target(Some("/n"), Some("/l")), &arguments(None, None)).expect("named"), PathBuf::from("/l"));
        directory(&target(None, None), &arguments(None, Some(WhichBox::Standby))).expect_err("whose standby?");
        let both = directory(&target(Some("/n"), None), &arguments(Some("/d"), Some(WhichBox::Standby))).expect_err("one or the other");
        assert!(both.to_string().contains("--data"), "{both}");
        let refused = directory(&target(None, None), &arguments(None, None)).expect_err("which?").to_string();
        assert!(refused.contains("--data") && refused.contains("--network"), "{refused}");
    }
}
