//! `weir upgrade`, `weir downgrade`: a device becomes another version; of the network, see [`super::rollout`].

mod direction;
pub(super) mod show;
mod watch;

pub(super) use show::stands;

use crate::{
    api_client::{ApiClient, escape},
    cli::{AssignArgs, DowngradeVerb, Format, UpdateWait, UpgradeVerb},
    commands::rollout,
    output,
};
use direction::Way;
use watch::Wish;
use weir_operator_api::{DeviceUpdate, DeviceUpdateRequest, DeviceUpdateVerb, UpdatePreview, paths};

fn path(device: &str) -> String {
    format!("{}/{}/update", paths::DEVICES, escape(device))
}

pub(super) async fn run(api: &ApiClient, format: Format, verb: UpgradeVerb) -> anyhow::Result<()> {
    match verb {
        UpgradeVerb::Plan(arguments) => rollout::plan(api, format, arguments).await,
        UpgradeVerb::Start(arguments) => rollout::start(api, format, arguments).await,
        UpgradeVerb::Rollout(verb) => rollout::run(api, format, verb).await,
        UpgradeVerb::Device(arguments) => assign(api, format, arguments, Way::Up).await,
        UpgradeVerb::Status { device: Some(device) } => {
            let now: DeviceUpdate = api.get(&path(&device)).await?;
            output::print(format, &now, show::one)
        }
        UpgradeVerb::Status { device: None } => status(api, format).await,
        UpgradeVerb::Reload { device, wait } => {
            let now = say(api, &device, "reload").await?;
            let wish = Wish::Become(number(&now));
            follow(api, format, now, wait, wish).await
        }
        UpgradeVerb::Cancel { device, wait } => {
            let now = say(api, &device, "cancel").await?;
            let wish = Wish::LetGo(number(&now));
            follow(api, format, now, wait, wish).await
        }
        UpgradeVerb::ClearBurned { device, wait } => {
            let now = say(api, &device, "clear-burned").await?;
            follow(api, format, now, wait, Wish::NothingBurned).await
        }
    }
}

pub(super) async fn downgrade(api: &ApiClient, format: Format, verb: DowngradeVerb) -> anyhow::Result<()> {
    match verb {
        DowngradeVerb::Plan(arguments) => rollout::plan_down(api, format, arguments).await,
        DowngradeVerb::Start(arguments) => rollout::start(api, format, arguments).await,
        DowngradeVerb::Device(arguments) => assign(api, format, arguments, Way::Down).await,
    }
}

/// The rollout while there is one, else every device that was ever assigned a version. As JSON it is always the devices:
/// `weir upgrade show` is the rollout.
async fn status(api: &ApiClient, format: Format) -> anyhow::Result<()> {
    let rollout = if format == Format::Table { rollout::last(api).await? } else { None };
    let last = match &rollout {
        Some(now) if !now.over => return output::line(&rollout::show::whole(now)),
        Some(now) => format!("{}\n", rollout::show::last(now)),
        None => String::new(),
    };
    let all: Vec<DeviceUpdate> = api.list(paths::UPDATES).await?;
    output::print(format, &all, |all| last + &show::list(all))
}

async fn say(api: &ApiClient, device: &str, verb: &str) -> anyhow::Result<DeviceUpdate> {
    api.post(&format!("{}/{verb}", path(device)), &DeviceUpdateVerb {}).await
}

/// Which assignment an answer is about; 0: none.
fn number(now: &DeviceUpdate) -> u64 {
    now.assigned.as_ref().map_or(0, |assigned| assigned.number)
}

async fn assign(api: &ApiClient, format: Format, arguments: AssignArgs, way: Way) -> anyhow::Result<()> {
    direction::admit(api, &arguments, way).await?;
    let request = DeviceUpdateRequest {
        version: arguments.to.map(|version| version.to_string()),
        file: arguments.file,
        auto_reload: arguments.auto_reload(),
        hand_over: arguments.hand_over,
        overrides: arguments.overrides,
    };
    if arguments.preview {
        let preview: UpdatePreview = api.get(&format!("{}/preview?{}", path(&arguments.device), query(&request))).await?;
        return output::print(format, &preview, show::preview);
    }
    let now: DeviceUpdate = api.post(&path(&arguments.device), &request).await?;
    let wish = Wish::Become(number(&now));
    follow(api, format, now, arguments.wait, wish).await
}

/// A request as parameters.
fn query(request: &DeviceUpdateRequest) -> String {
    let DeviceUpdateRequest { version, file, auto_reload, hand_over, overrides } = request;
    let mut query = format!("hand_over={hand_over}&override={overrides}");
    let mut add = |name: &str, value: Option<String>| query.extend(value.map(|value| format!("&{name}={}", escape(&value))));
    add("version", version.clone());
    add("file", file.map(|file| file.to_string()));
    add("auto_reload", auto_reload.map(|reload| reload.to_string()));
    query
}

/// After a word to the device: shows how it stands, or stays until it rests.
async fn follow(api: &ApiClient, format: Format, now: DeviceUpdate, wait: UpdateWait, wish: Wish) -> anyhow::Result<()> {
    if wait.wait {
        return watch::to_the_end(api, format, now, wait.wait_for, wish).await;
    }
    match wish {
        Wish::NothingBurned => output::print(format, &now, show::cleared),
        Wish::Become(_) | Wish::LetGo(_) => output::print(format, &now, show::begun),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_asks_for_the_same() {
        let request =
            DeviceUpdateRequest { version: Some("1.1.0-b1".into()), auto_reload: Some(false), hand_over: true, ..Default::default() };
        assert_eq!(query(&request), "hand_over=true&override=false&version=1.1.0-b1&auto_reload=false");
        let request = DeviceUpdateRequest { file: Some(3), overrides: true, ..Default::default() };
        assert_eq!(query(&request), "hand_over=false&override=true&file=3");
    }
}
