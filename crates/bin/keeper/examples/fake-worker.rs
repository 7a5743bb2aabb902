//! A worker for the keeper's tests: answers every connection and datagram with who it is, says to the keeper what
//! `<data>/say` says, notes what it hears in `<data>/heard-<version>`, and misbehaves as `<data>/behaviour` and
//! `<data>/behaviour-<version>` say.

use std::{
    collections::BTreeSet,
    env, fs,
    io::Write,
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::exit,
    time::Duration,
};
use weir_keeper_api::{EXIT_SELF_TEST, ListenerSpec, Parked, Proto, Reason, Switch, Text, Verb};
use weir_sockets::{Adopted, AdoptedSockets, ControlSender, Event, WorkerControl};

/// How often the fake looks at its listeners and at the control socket in turn.
const TURN: Duration = Duration::from_millis(5);

fn main() {
    let data = PathBuf::from(env::args().nth(3).expect("worker --data DIR"));
    let program = env::current_exe().expect("own path");
    let slot = program.parent().and_then(Path::file_name).expect("a slot").to_string_lossy().into_owned();
    let version = slot.rsplit_once('-').expect("<version>-<digits>").0.to_owned();
    let words = |name: &str| fs::read_to_string(data.join(name)).unwrap_or_default();
    let behaviour = format!("{} {}", words("behaviour"), words(&format!("behaviour-{version}")));
    let behaviour: BTreeSet<String> = behaviour.split_whitespace().map(str::to_owned).collect();
    if behaviour.contains("misconfigured") {
        exit(78);
    }
    let (control, adopted) = WorkerControl::from_stdin().expect("control socket");
    let mut fake =
        Fake { data, version, behaviour, sender: control.sender(), tcp: Vec::new(), udp: Vec::new(), accepting: false, parked: false };
    for adopted in adopted {
        fake.adopt(adopted);
    }
    fake.run(control);
}

struct Fake {
    data: PathBuf,
    version: String,
    behaviour: BTreeSet<String>,
    sender: ControlSender,
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
    accepting: bool,
    /// Told to park, and has not said so.
    parked: bool,
}

impl Fake {
    fn run(&mut self, mut control: WorkerControl) {
        let env = |name: &str| env::var(name).unwrap_or_else(|_| "unset".to_owned());
        self.heard(&format!("keeper {} {}", env("WEIR_KEEPER_VERSION"), env("WEIR_KEEPER_CURRENT")));
        if self.is("self-test-fails") {
            exit(EXIT_SELF_TEST.into());
        }
        if self.is("never-ready") {
            while !matches!(control.next(None), Ok(Some(Event::Closed | Event::Exit))) {}
            exit(0);
        }
        while self.is("ready-late") && !self.data.join("ready").exists() {
            std::thread::park_timeout(TURN);
        }
        self.sender.ready(&self.version).expect("ready");
        if self.is("asks") {
            self.ask();
        }
        loop {
            if let Some(event) = control.next(Some(TURN)).expect("control socket") {
                self.follow(event);
            }
            if self.parked && (!self.is("parks-late") || self.data.join("park").exists()) {
                self.parked = false;
                if self.is("and-cannot") {
                    self.sender.refuse(Verb::Park, Reason::NotBuilt, "this fake does not").expect("refuse");
                    continue;
                }
                self.sender.parked(Parked { contact: true, requests: 7, ..Parked::default() }).expect("parked");
            }
            if self.accepting {
                self.serve();
                self.say();
            }
        }
    }

    fn is(&self, word: &str) -> bool {
        self.behaviour.contains(word)
    }

    fn follow(&mut self, event: Event) {
        match event {
            Event::Accept => self.accept("accept"),
            Event::Stop => self.accepting = false,
            Event::Drain { .. } if self.is("never-drains") => self.sender.draining(1).expect("draining"),
            Event::Drain { deadline } => {
                note(&self.data, "drained", &deadline.as_millis().to_string());
                self.heard(&format!("drain {}", deadline.as_millis()));
                self.sender.draining(0).expect("draining");
                exit(0);
            }
            Event::Exit => exit(0),
            Event::Closed => {
                note(&self.data, "closed", "the keeper is gone");
                exit(0);
            }
            Event::Bound(bound) => self.adopt(bound),
            Event::Refused { verb, reason, detail } => {
                note(&self.data, "refused", &format!("{verb} {reason} {detail}"));
                self.heard(&format!("refused {verb} {reason}"));
            }
            Event::Park if self.is("cannot-park") => {
                self.sender.refuse(Verb::Park, Reason::NotBuilt, "this fake does not").expect("refuse");
            }
            Event::Park => {
                (self.accepting, self.parked) = (false, true);
                self.heard("park");
            }
            Event::Unpark if self.is("never-unparks") => {}
            Event::Unpark => {
                self.sender.ready(&self.version).expect("ready");
                self.accept("unpark");
            }
            Event::Slots { seq, parked } => self.heard(&format!("slots {seq} {parked}")),
            Event::Parked(parked) => self.heard(&format!("parked {} {}", parked.contact, parked.requests)),
            Event::Unbound(_) => {}
        }
    }

    fn accept(&mut self, word: &str) {
        self.accepting = true;
        self.heard(word);
        if self.is("crashes-when-accepting") {
            exit(7);
        }
    }

    fn adopt(&mut self, adopted: Adopted) {
        match adopted.sockets {
            AdoptedSockets::Tcp(listeners) => self.tcp.extend(listeners),
            AdoptedSockets::Udp(sockets) => self.udp.extend(sockets),
        }
    }

    /// Asks for the listener `<data>/ask` names.
    fn ask(&self) {
        let address = fs::read_to_string(self.data.join("ask")).expect("ask").trim().parse().expect("an address");
        let listener = ListenerSpec { name: "later".parse().expect("name"), proto: Proto::Tcp, address, count: 1 };
        self.sender.bind(&listener).expect("ask");
    }

    fn serve(&self) {
        if self.data.join("crash").exists() {
            fs::remove_file(self.data.join("crash")).expect("crash once");
            exit(7);
        }
        let crashes = env::var("WEIR_WORKER_CRASHES").unwrap_or_default();
        let last = env::var("WEIR_LAST_EXIT").unwrap_or_else(|_| "none".to_owned());
        let answer = format!("{} {} {crashes} {last}\n", std::process::id(), self.version);
        for listener in &self.tcp {
            if let Ok((mut connection, _)) = listener.accept() {
                connection.write_all(answer.as_bytes()).expect("answer");
            }
        }
        for socket in &self.udp {
            if let Ok((_, from)) = socket.recv_from(&mut [0; 64]) {
                socket.send_to(answer.as_bytes(), from).expect("answer");
            }
        }
    }

    /// Says the line in `<data>/say`, once.
    fn say(&self) {
        let path = self.data.join("say");
        let Ok(line) = fs::read_to_string(&path) else { return };
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| -> u64 { words[at].parse().expect("a number") };
        let said = match words[0] {
            "switch" => self.sender.switch(Switch {
                version: Text::new(words[1]),
                manifest: Text::new(words[2]),
                term: number(3),
                generation: number(4),
                ready_ms: number(5),
                trial_ms: number(6),
            }),
            "back" => self.sender.back(words[1], words[2] == "burn"),
            "commit" => self.sender.commit(),
            "retire" => self.sender.retire(Duration::from_millis(number(1))),
            "unburn" => self.sender.unburn(words[1]),
            "restart" => self.sender.restart(),
            other => panic!("no word: {other}"),
        };
        said.expect("say");
        fs::remove_file(&path).expect("say once");
    }

    fn heard(&self, line: &str) {
        let path = self.data.join(format!("heard-{}", self.version));
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).expect("heard");
        file.write_all(format!("{line}\n").as_bytes()).expect("heard");
    }
}

fn note(data: &Path, name: &str, text: &str) {
    fs::write(data.join(name), text).expect("note");
}
