//! The HTTP/1.1 server through real sockets: what it accepts, refuses, limits, and how it drains.

mod answers;
mod cores;
mod drain;
mod limits;
mod parse;
mod server;
mod strict;
