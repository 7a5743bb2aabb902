//! `weir cms database schedule`: shown, or changed where an option says so.

use crate::{
    api_client::ApiClient,
    cli::{Format, ScheduleArgs},
    output,
};
use anyhow::Context;
use weir_operator_api::{BackupSchedule, paths};

/// What an option says for no URL and no engines.
const NONE: &str = "none";

pub(super) async fn run(api: &ApiClient, format: Format, arguments: &ScheduleArgs) -> anyhow::Result<()> {
    let now: BackupSchedule = api.get(paths::BACKUP_SCHEDULE).await?;
    let wanted = changed(now.clone(), arguments)?;
    let shown = if wanted == now && arguments.header_value_file.is_none() { now } else { api.put(paths::BACKUP_SCHEDULE, &wanted).await? };
    output::print(format, &shown, text)
}

fn changed(now: BackupSchedule, arguments: &ScheduleArgs) -> anyhow::Result<BackupSchedule> {
    let ScheduleArgs { every, never, keep, engines, url, header, header_value_file } = arguments;
    let mut wanted = now;
    if *never {
        wanted.every_hours = None;
    }
    wanted.every_hours = every.or(wanted.every_hours);
    wanted.keep = keep.unwrap_or(wanted.keep);
    if let Some(engines) = engines {
        wanted.engines = engines.iter().filter(|name| *name != NONE).cloned().collect();
    }
    if let Some(url) = url {
        wanted.url = Some(url.clone()).filter(|url| url != NONE);
        if wanted.url.is_none() {
            wanted.header = None;
        }
    }
    if let Some(header) = header {
        wanted.header = Some(header.clone()).filter(|header| header != NONE);
    }
    if let Some(file) = header_value_file {
        let text = std::fs::read_to_string(file).with_context(|| format!("read the header's value from {}", file.display()))?;
        wanted.header_value = Some(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    Ok(wanted)
}

fn text(schedule: &BackupSchedule) -> String {
    let BackupSchedule { every_hours, keep, engines, url, header, .. } = schedule;
    let every = every_hours.map_or_else(|| "none are made by themselves".to_owned(), |hours| format!("one every {hours} h"));
    let engines = if engines.is_empty() { "-".to_owned() } else { engines.join(", ") };
    format!(
        "{every}; {keep} are kept on the box\nengines: {engines}\nURL: {}\nheader: {}",
        output::or_dash(url.as_ref()),
        output::or_dash(header.as_ref())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> BackupSchedule {
        BackupSchedule {
            every_hours: Some(24),
            keep: 7,
            engines: vec!["core-1".into()],
            url: Some("https://b.example.com/a".into()),
            header: Some("X-Key".into()),
            header_value: None,
        }
    }

    fn nothing() -> ScheduleArgs {
        ScheduleArgs { every: None, never: false, keep: None, engines: None, url: None, header: None, header_value_file: None }
    }

    #[test]
    fn what_is_not_typed_stays() {
        let changed = |arguments: ScheduleArgs| changed(now(), &arguments).expect("read");
        assert_eq!(changed(nothing()), now());
        assert_eq!(changed(ScheduleArgs { never: true, ..nothing() }), BackupSchedule { every_hours: None, ..now() });
        assert_eq!(changed(ScheduleArgs { every: Some(6), ..nothing() }), BackupSchedule { every_hours: Some(6), ..now() });
        let none = ScheduleArgs { engines: Some(vec!["none".into()]), url: Some("none".into()), ..nothing() };
        assert_eq!(changed(none), BackupSchedule { engines: vec![], url: None, header: None, ..now() });
    }
}
