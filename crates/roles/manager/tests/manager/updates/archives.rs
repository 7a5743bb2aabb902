//! The device API gives archives and metadata, to devices alone.

use super::Lane;
use crate::harness::{Running, TestDevice};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, body::Bytes};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use std::sync::Arc;
use weir_device_api::paths;
use weir_net::tls::client_config;
use weir_release::MetadataSet;

/// A GET of a device, or of a stranger: status, header and bytes.
async fn get(running: &Running, device: Option<&TestDevice>, path: &str, fields: &[(&str, &str)]) -> (u16, HeaderMap, Bytes) {
    let ca = running.manager.ca_pem();
    let shown = device.map(|device| (device.identity.as_ref().expect("enrolled").certificate.clone(), device.request.key_pem.to_string()));
    let shown = shown.as_ref().map(|(certificate, key)| (certificate.as_str(), key.as_str()));
    let mut tls = client_config(&ca, shown).expect("client");
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(running.device).await.expect("connected");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let stream = connector.connect(ServerName::from(running.device.ip()), stream).await.expect("handshake");
    let tasks = weir_telemetry::Tasks::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tasks.spawn("client", async { drop(connection.await) });
    let mut request = Request::builder().uri(format!("https://{}{path}", running.device));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::<Bytes>::default()).expect("request")).await.expect("an answer");
    let (head, body) = response.into_parts();
    (head.status.as_u16(), head.headers, body.collect().await.expect("a body").to_bytes())
}

fn field<'a>(head: &'a HeaderMap, name: &str) -> &'a str {
    head.get(name).map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_gets_an_archive_whole_and_by_range() {
    let lane = Lane::start_as(&["east-1"], false).await;
    let device = &lane.fleet.member_ref("east-1").device;
    let sha256 = weir_slots::digest_of_bytes(&lane.archive).to_string();
    let path = format!("{}/{sha256}", paths::SOFTWARE);
    let (etag, length) = (format!("\"{sha256}\""), lane.archive.len());
    let (status, head, bytes) = get(&lane.running, Some(device), &path, &[]).await;
    assert_eq!((status, field(&head, "accept-ranges"), field(&head, "etag")), (200, "bytes", etag.as_str()));
    assert_eq!((field(&head, "content-length"), &bytes[..]), (length.to_string().as_str(), &lane.archive[..]));
    let other = "\"another\"";
    for (fields, expected) in [
        (vec![("range", "bytes=10-19")], Some(10..20)),
        (vec![("range", "bytes=100-")], Some(100..length)),
        (vec![("range", "bytes=-7")], Some(length - 7..length)),
        (vec![("range", "bytes=10-19"), ("if-range", etag.as_str())], Some(10..20)),
        (vec![("range", "bytes=10-19"), ("if-range", other)], None),
        (vec![("range", "bytes=1-2,4-5")], None),
    ] {
        let (status, head, bytes) = get(&lane.running, Some(device), &path, &fields).await;
        match expected {
            Some(part) => {
                let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
                assert_eq!((status, field(&head, "content-range"), &bytes[..]), (206, range.as_str(), &lane.archive[part]), "{fields:?}");
            }
            None => assert_eq!((status, bytes.len()), (200, length), "{fields:?}"),
        }
    }
    let past = format!("bytes={length}-");
    let (status, head, bytes) = get(&lane.running, Some(device), &path, &[("range", past.as_str())]).await;
    assert_eq!((status, field(&head, "content-range"), bytes.len()), (416, format!("bytes */{length}").as_str(), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_gets_anything_and_what_is_not_held_is_not_there() {
    let lane = Lane::start_as(&["east-1"], false).await;
    let device = &lane.fleet.member_ref("east-1").device;
    let held = format!("{}/{}", paths::SOFTWARE, weir_slots::digest_of_bytes(&lane.archive));
    for path in [held.as_str(), paths::RELEASE_METADATA] {
        assert_eq!(get(&lane.running, None, path, &[]).await.0, 401, "{path}");
    }
    for name in ["00".repeat(32), "..%2F..%2Fca.key".to_owned(), "1".to_owned()] {
        let (status, _, body) = get(&lane.running, Some(device), &format!("{}/{name}", paths::SOFTWARE), &[]).await;
        assert_eq!(status, 404, "{name}: {body:?}");
    }
    // The publisher withdraws it: it is given to nobody any more.
    lane.publisher
        .directory
        .delist("1.1.0-b1".parse().expect("version"), std::env::consts::ARCH, weir_clock::wall_seconds())
        .expect("delisted");
    let newer = lane.publisher.build("1.1.1-b1");
    lane.running.upload(Some("1.1.1-b1"), newer).await;
    crate::harness::until("it is withdrawn", || async { lane.running.file(lane.file).await["state"] == "withdrawn" }).await;
    assert_eq!(get(&lane.running, Some(device), &held, &[]).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_metadata_is_given() {
    let lane = Lane::start_as(&["east-1"], false).await;
    let device = &lane.fleet.member_ref("east-1").device;
    let (status, _, bytes) = get(&lane.running, Some(device), paths::RELEASE_METADATA, &[]).await;
    assert_eq!(status, 200);
    let set = MetadataSet::parse(&bytes).expect("a set");
    assert_eq!(set.files().next().map(|(name, _)| name).as_deref(), Some("1.root.json"));
    let bare = Running::start().await;
    bare.two_locations().await;
    let device = bare.device("east-1", weir_model::Role::Engine, Some("east")).await;
    assert_eq!(get(&bare, Some(&device), paths::RELEASE_METADATA, &[]).await.0, 404, "no root, no metadata");
}
