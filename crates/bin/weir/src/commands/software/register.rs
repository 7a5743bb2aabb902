//! `weir software register`: names a URL, or sends an archive.

use super::{begun, path, secret::Place, show};
use crate::{
    api_client::ApiClient,
    cli::{Format, RegisterArgs},
    output,
};
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{io::IsTerminal, path::Path};
use weir_model::{DownloadMethod, SoftwareState};
use weir_operator_api::{Problem, SoftwareFile, SoftwareFileRequest, paths};

pub(super) async fn register(api: &ApiClient, format: Format, arguments: RegisterArgs) -> anyhow::Result<()> {
    let file = arguments.file.clone();
    if let Some(file) = &file {
        // Before anything is registered: a draft whose file cannot be read helps nobody.
        std::fs::File::open(file).with_context(|| format!("open {}", file.display()))?;
    }
    let wait = arguments.wait;
    let mut registered: SoftwareFile = api.post(paths::SOFTWARE_FILES, &request(arguments)?).await?;
    if let Some(file) = &file {
        registered = send(api, format, registered.id, file).await?;
    }
    begun(api, format, registered, wait).await
}

fn request(arguments: RegisterArgs) -> anyhow::Result<SoftwareFileRequest> {
    let RegisterArgs { url, file, version, bytes, secrets, no_auto_reload, method, comment, wait: _ } = arguments;
    let password = secrets.username.is_some().then(|| {
        let (option, variable) = ("--password-file", "WEIR_SOURCE_PASSWORD");
        Place { what: "password", option, variable, file: secrets.password_file.as_ref() }.read()
    });
    let header_value = secrets.header.is_some().then(|| {
        let (option, variable) = ("--header-value-file", "WEIR_SOURCE_HEADER_VALUE");
        Place { what: "header's value", option, variable, file: secrets.header_value_file.as_ref() }.read()
    });
    Ok(SoftwareFileRequest {
        url,
        file_name: file.as_deref().map(file_name).transpose()?,
        username: secrets.username,
        password: password.transpose()?,
        header: secrets.header,
        header_value: header_value.transpose()?,
        version: version.map(|v| v.to_string()),
        bytes,
        auto_reload: Some(!no_auto_reload),
        method: Some(DownloadMethod::from(method).as_str().to_owned()),
        comment: Some(comment),
    })
}

fn file_name(file: &Path) -> anyhow::Result<String> {
    let name = file.file_name().with_context(|| format!("{} is not a file", file.display()))?;
    Ok(name.to_str().with_context(|| format!("the name of {} is not text", file.display()))?.to_owned())
}

/// Sends the archive of a registered upload; cut short by Ctrl-C or a fault it says what is left and how to go on.
pub(super) async fn send(api: &ApiClient, format: Format, id: i64, file: &Path) -> anyhow::Result<SoftwareFile> {
    let bar = bar(format, file)?;
    let shown = bar.clone();
    let archive = format!("{}/archive", path(id));
    let sending = api.upload(&archive, file, move |sent| shown.set_position(sent));
    let outcome = tokio::select! {
        outcome = sending => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    bar.finish_and_clear();
    match outcome {
        Ok(sent) => Ok(sent),
        // The manager says itself what to do next.
        Err(error) if error.is::<Problem>() => Err(error.context(format!("send {} as software file {id}", file.display()))),
        Err(error) => bail!("{error:#}; {}", left_behind(api, id, file).await),
    }
}

/// What an upload without an answer left: a refusal can be lost when the manager closes while bytes are on their way.
async fn left_behind(api: &ApiClient, id: i64, file: &Path) -> String {
    match api.get::<SoftwareFile>(&path(id)).await {
        // What was sent to these is gone; the others have taken their file, or take none.
        Ok(found) if !matches!(found.state, SoftwareState::Draft | SoftwareState::Invalid) => show::settled(&found),
        _ => go_on(id, file),
    }
}

fn go_on(id: i64, file: &Path) -> String {
    format!(
        "nothing of it was kept for software file {id}: `weir software upload {id} --file {}` sends it again, `weir software delete {id}` removes it",
        file.display()
    )
}

/// On a terminal, for people; on standard error, so that standard output stays the answer.
fn bar(format: Format, file: &Path) -> anyhow::Result<ProgressBar> {
    if format == Format::Json || !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let length = std::fs::metadata(file).with_context(|| format!("look at {}", file.display()))?.len();
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    let template = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
    bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
    bar.set_message(format!("sending {}", output::bytes(length)));
    Ok(bar)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command, SoftwareVerb};
    use clap::Parser;

    fn asked(line: &str) -> SoftwareFileRequest {
        let cli = Cli::try_parse_from(["weir", "software", "register"].into_iter().chain(line.split_whitespace())).unwrap();
        let Command::Software { verb: SoftwareVerb::Register(arguments) } = cli.command else { panic!("{line}") };
        request(arguments).unwrap()
    }

    #[test]
    fn what_is_typed_is_what_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "s\n").unwrap();
        let secret = secret.display();
        let text = |t: &str| Some(t.to_owned());
        let plain = SoftwareFileRequest {
            url: text("https://a/b.weir"),
            version: text("1.1.0-b1"),
            auto_reload: Some(true),
            method: text("default"),
            comment: text(""),
            ..Default::default()
        };
        for (line, wanted) in [
            ("https://a/b.weir --version 1.1.0.b.1".to_owned(), plain.clone()),
            (
                format!("https://a/b.weir --version 1.1.0-b1 --username u --password-file {secret} --no-auto-reload --bytes 7"),
                SoftwareFileRequest { username: text("u"), password: text("s"), auto_reload: Some(false), bytes: Some(7), ..plain.clone() },
            ),
            (
                format!("https://a/b.weir --version 1.1.0-b1 --header X-Key --header-value-file {secret} --method prepositioned-only"),
                SoftwareFileRequest { header: text("X-Key"), header_value: text("s"), method: text("prepositioned_only"), ..plain.clone() },
            ),
            (
                "--file /somewhere/weir-1.1.0-b1-x86_64.weir --method direct-download-only --comment mine".to_owned(),
                SoftwareFileRequest {
                    url: None,
                    version: None,
                    file_name: text("weir-1.1.0-b1-x86_64.weir"),
                    method: text("direct_download_only"),
                    comment: text("mine"),
                    ..plain
                },
            ),
        ] {
            assert_eq!(asked(&line), wanted, "{line}");
        }
    }

    #[test]
    fn an_upload_cut_short_says_how_to_go_on_and_how_to_give_up() {
        let text = go_on(3, Path::new("/tmp/a.weir"));
        assert!(text.contains("weir software upload 3 --file /tmp/a.weir") && text.contains("weir software delete 3"), "{text}");
    }
}
