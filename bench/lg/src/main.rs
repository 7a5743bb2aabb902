//! Load generator: one thread, epoll, a fixed number of keep-alive connections, each asking again as soon as it has its
//! answer. Bodies are dropped inside the kernel, so that the client's core is not the limit. Prints one JSON object.

#![allow(clippy::disallowed_methods, reason = "the product's clock crate is not linked here")]

mod connection;
mod histogram;
mod load;
mod machine;
mod system;

use std::net::SocketAddrV4;
use std::process::ExitCode;
use std::time::Duration;

use load::Plan;

const HELP: &str = "\
Usage: lg --to ADDRESS:PORT [--host NAME] [-c CONNECTIONS] [-t SECONDS] [--warm SECONDS] [--srv PID] PATH...";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = parse(&arguments).and_then(|plan| load::run(&plan).map_err(|error| error.to_string()));
    match result {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("lg: {error}\n{HELP}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Result<Plan, String> {
    let (mut to, mut host, mut paths) = (None, None, Vec::new());
    let (mut connections, mut seconds, mut warm, mut server) = (64, 5.0, 0.5, None);
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        if word.starts_with('/') {
            paths.push(word.clone());
            continue;
        }
        let value = rest.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--to" => to = Some(number::<SocketAddrV4>(word, value)?),
            "--host" => host = Some(value.clone()),
            "-c" => connections = number(word, value)?,
            "-t" => seconds = number(word, value)?,
            "--warm" => warm = number(word, value)?,
            "--srv" => server = Some(number(word, value)?),
            _ => return Err(format!("unknown option {word}")),
        }
    }
    if paths.is_empty() {
        return Err("no path to ask for".to_owned());
    }
    let to = to.ok_or("--to is missing")?;
    let host = host.unwrap_or_else(|| to.to_string());
    let request = |path: &String| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: lg/1\r\nAccept: */*\r\n\r\n").into_bytes();
    Ok(Plan {
        to,
        requests: paths.iter().map(request).collect(),
        connections,
        measure: Duration::from_secs_f64(seconds),
        warm: Duration::from_secs_f64(warm),
        server,
    })
}

fn number<T: std::str::FromStr>(word: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{word}: cannot read {value:?}"))
}
