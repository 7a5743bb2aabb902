//! Downloads from real servers on loopback, most of them hostile.

mod content;
mod https;
mod part;
mod run;
mod server;
mod upload;
mod way;
