//! What line 1.0 does for its viewers and its operators, asked of a whole network from outside: a network of that line passes, and
//! so does one of mixed lines, and one of the next line that is held at this level.

use crate::{
    Api, Network, client,
    client::{Ask, Client},
    dns::{Question, code, kind},
    player,
    playlist::{Playlist, resolve},
    sha256,
};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::json;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

/// Whole recording, by every router, from both zones.
type Recording = BTreeMap<String, String>;

/// Everything of line 1.0.
///
/// # Errors
/// The first thing that is not as it is to be.
pub async fn line_1_0(network: &Network) -> anyhow::Result<()> {
    plays(network).await.context("viewers play")?;
    names_lead_to_engines(network).await.context("names")?;
    operators_work(network).await.context("operators")
}

/// The answer to a write of the sample service that uses a field of the line after.
///
/// # Errors
/// The manager is not there.
pub async fn asks_for_detail(api: &Api) -> anyhow::Result<u16> {
    let services = api.list("/delivery-services").await?;
    let service = services.first().context("the sample service")?;
    let request = json!({ "name": service["name"], "domain": service["domain"], "origin": service["origin"], "detail": "gold" });
    let path = format!("/delivery-services/{}", service["name"].as_str().context("a name")?);
    Ok(api.send(Method::PUT, &path, Some(&request.to_string())).await?.status)
}

async fn plays(network: &Network) -> anyhow::Result<()> {
    let target = network.target("/vod/index.m3u8");
    let mut first: Option<Recording> = None;
    for client in [Client::east(), Client::west()] {
        for router in network.routers() {
            let recording = player::recording(client, router, &target).await.with_context(|| format!("by {router}"))?;
            let known = first.get_or_insert_with(|| recording.clone());
            ensure!(!recording.is_empty() && *known == recording, "{router} leads to other content");
        }
    }
    let known = first.context("there are routers")?;
    for engine in &network.file().engines {
        let address = engine.http.context("engines listen on HTTP")?;
        parts(address, &target, &known).await.with_context(|| engine.name.clone())?;
    }
    Ok(())
}

/// One segment of one engine, or of whom it sends viewers to: all of it, its head, a range.
async fn parts(engine: SocketAddr, target: &str, known: &Recording) -> anyhow::Result<()> {
    let client = Client::east();
    let (from, place, answer) = client.follow(engine, &Ask::get(target)).await?;
    let playlist = Playlist::parse(answer.text())?;
    let segment = playlist.segments.first().context("a segment")?;
    let target = resolve(&place, &segment.uri);
    let (from, target, whole) = client.follow(from, &Ask::get(&target)).await?;
    ensure!(whole.status() == 200 && known.get(&segment.uri) == Some(&sha256(&whole.body)), "{target}: {}", whole.status());
    let length = whole.body.len();
    let head = client.ask(from, &Ask::head(&target)).await?;
    ensure!(head.status() == 200 && head.head.field("Content-Length") == Some(length.to_string()), "{:?}", head.head);
    let part = client.ask(from, &Ask::get(&target).field("Range", "bytes=1-100")).await?;
    ensure!(part.status() == 206 && part.body == whole.body[1..=100], "{:?}", part.head);
    ensure!(part.head.field("Content-Range") == Some(format!("bytes 1-100/{length}")), "{:?}", part.head);
    Ok(())
}

async fn names_lead_to_engines(network: &Network) -> anyhow::Result<()> {
    let engines: Vec<IpAddr> = network.file().engines.iter().filter_map(|engine| engine.http).map(|address| address.ip()).collect();
    let domain = &network.file().services[0].domain;
    for server in network.name_servers() {
        for source in [client::EAST, client::WEST] {
            let answer = Question::new(domain, kind::A).ask(server, source).await?;
            let addresses = answer.addresses();
            ensure!(answer.code == code::NOERROR && !addresses.is_empty(), "{server}: {answer:?}");
            ensure!(addresses.iter().all(|address| engines.contains(address)), "{server}: {addresses:?}");
        }
        let foreign = Question::new("elsewhere.example", kind::A).ask(server, client::EAST).await?;
        ensure!(foreign.code == code::REFUSED, "{server}: {foreign:?}");
    }
    Ok(())
}

async fn operators_work(network: &Network) -> anyhow::Result<()> {
    let api = Api::new(network.file())?;
    let devices = api.list("/devices").await?;
    let known = |name: &str| devices.iter().any(|device| device["name"] == name && device["last_report"].is_object());
    for device in network.file().engines.iter().chain(&network.file().routers) {
        ensure!(known(&device.name), "{} is not heard: {devices:?}", device.name);
        let health = Client::east().get(device.admin.context("an admin listener")?, "/health").await?;
        ensure!(health.status() == 200, "{}: {:?}", device.name, health.head);
    }
    let made = api.send(Method::POST, "/locations", Some(&json!({ "name": "accepted" }).to_string())).await?;
    ensure!(made.status == 201, "{made:?}");
    let again = api.send(Method::POST, "/locations", Some(&json!({ "name": "accepted" }).to_string())).await?;
    ensure!(again.status == 409, "{again:?}");
    let gone = api.send(Method::DELETE, "/locations/accepted", None).await?;
    ensure!((200..300).contains(&gone.status), "{gone:?}");
    let status = asks_for_detail(&api).await?;
    ensure!((400..500).contains(&status), "a field of the next line was answered {status}");
    let features = api.get("/features").await?;
    ensure!(features["level"] == "1.0", "{features}");
    Ok(())
}
