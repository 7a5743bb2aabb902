//! The secrets of a source reach the device that fetches from it, and nothing that an operator reads.

use super::{Lane, handed_over};
use crate::software::source::SourceServer;
use hyper::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_goes_to_the_device_alone() {
    let mut lane = Lane::start_as(&["core-1", "east-1", "router-1"], false).await;
    let source = SourceServer::of_file(&lane.archive).await;
    lane.running.call(Method::DELETE, &format!("/api/v1/software-files/{}?override=true", lane.file), None).await.expect(204);
    let url = format!("{}?X-Signature=hush-1", source.url());
    for (method, given) in [("default", true), ("direct_download_only", true), ("prepositioned_only", false)] {
        let body = json!({"url": url, "version": "1.1.0-b1", "username": "ann", "password": "hush-2", "method": method});
        let file = lane.running.register(body).await;
        lane.running.checked(file).await;
        if method == "prepositioned_only" {
            lane = lane.rewrite(&format!("UPDATE software_file SET state = 'ready', reason = NULL, detail = NULL WHERE id = {file}")).await;
        }
        let assigned = lane.assign("east-1", json!({"file": file, "hand_over": true})).await;
        let place = lane.fleet.member("east-1").word.clone().expect("word").order.expect("order").archive.expect("place");
        assert_eq!(place.direct.is_some(), given, "{method}");
        assert_eq!(place.allow.len(), 1);
        if let Some(direct) = place.direct {
            assert_eq!((direct.url.as_str(), direct.basic), (url.as_str(), Some(("ann".to_owned(), "hush-2".to_owned()))));
        }
        let mut read = assigned.to_string();
        for path in ["/api/v1/updates", "/api/v1/devices/east-1/update", "/api/v1/audit", "/api/v1/alarms", "/api/v1/devices"] {
            read += &lane.running.get(path).await.to_string();
        }
        read += &lane.running.get(&format!("/api/v1/devices/east-1/update/preview?file={file}")).await.to_string();
        assert!(read.contains("1.1.0-b1") && !read.contains("hush"), "{read}");
        lane.verb("east-1", "cancel").await.expect(200);
        lane.running.call(Method::DELETE, &format!("/api/v1/software-files/{file}?override=true"), None).await.expect(204);
    }
    assert_eq!(lane.try_assign("east-1", handed_over()).await.refusal().0, "no_such_release");
}
