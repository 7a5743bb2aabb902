//! `weir cms software switch` and `weir cms take-over`: the managers' steps of a downgrade, at their command lines.

use super::{ThisBox, info, path, role::ROLE_PATIENCE};
use crate::{
    cli::{Format, Why},
    commands::rollout,
    output,
};
use serde_json::json;
use weir_model::Version;
use weir_operator_api::CmsInfo;

/// Has this box's keeper hand over to another version.
pub(super) async fn switch(this: &ThisBox, format: Format, version: Version) -> anyhow::Result<()> {
    let asked = json!({ "version": version.to_string() });
    let switched = this.api.post_kept_back(&path("/software/switch"), &asked, ROLE_PATIENCE).await;
    let info: CmsInfo = switched.map_err(|error| info::of_silence(this, error))?;
    output::print(format, &info, |info| begun(info, version))
}

/// Has operators take the managers' steps from here; this box's manager is the primary.
pub(super) async fn take_over(this: &ThisBox, format: Format, why: Why) -> anyhow::Result<()> {
    rollout::take_over(&this.api, format, why).await.map_err(|error| info::of_silence(this, error))
}

/// What happens next.
fn begun(info: &CmsInfo, version: Version) -> String {
    let mut text = format!(
        "{} switches from {} to {version}: its keeper hands over, and nobody answers here for a moment\n\
         `weir cms info` on this box says when it runs. Next, on a box that is yet to switch: the same; when both run {version}, on each,\n\
         the primary first: `weir cms database downgrade`, then `weir cms enable`",
        info.name, info.version
    );
    for next in &info.next {
        text += &format!("\nnext: {next}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api_client::{
            ApiClient,
            tests::{answer, place, read_head},
        },
        commands::{cms::info::tests::info, rollout::show::tests::rollout},
    };
    use serde::Serialize;
    use tokio::{io::AsyncReadExt, net::UnixListener};

    /// A manager that answers one request: what was asked, and its body.
    async fn asked(listener: &UnixListener, body: &impl Serialize) -> (String, String) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap();
        let mut sent = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut sent).await.unwrap();
        answer(&mut stream, "200 OK", body).await;
        (head.split(" http/").next().unwrap().to_owned(), String::from_utf8(sent).unwrap())
    }

    #[tokio::test]
    async fn each_is_one_request_to_the_box() {
        let (data, listener) = place();
        let this = ThisBox { data: data.path().to_owned(), api: ApiClient::local(data.path()).unwrap() };
        let version = "1.0.0-b1".parse().unwrap();
        let (answers, rollout) = (info(), rollout("running"));
        let (switched, sent) = tokio::join!(switch(&this, Format::Table, version), asked(&listener, &answers));
        switched.unwrap();
        assert_eq!(sent, ("post /cms/v1/software/switch".to_owned(), r#"{"version":"1.0.0-b1"}"#.to_owned()));
        let (taken, sent) = tokio::join!(take_over(&this, Format::Table, Why { why: "it is dead".into() }), asked(&listener, &rollout));
        taken.unwrap();
        assert_eq!(sent, ("post /api/v1/rollout/take-over".to_owned(), r#"{"why":"it is dead"}"#.to_owned()));
    }

    #[test]
    fn a_switch_says_what_happens_and_what_to_do_next() {
        let text = begun(&CmsInfo { next: vec!["weir cms database downgrade".into()], ..info() }, "0.9.0-b1".parse().unwrap());
        assert!(text.starts_with("manager-2 switches from 1.0.0-b1 to 0.9.0-b1: its keeper hands over"), "{text}");
        assert!(text.ends_with("\nnext: weir cms database downgrade"), "{text}");
    }
}
