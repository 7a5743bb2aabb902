//! The network, wrapped once: our HTTP/1.1 server loop, TLS, and device identity.
//!
//! - [`http1`]: the strict server loop engines, routers and admin listeners share.
//! - [`cores`]: one runtime per core, each with its own listening socket.
//! - [`silence`]: the end of connections whose other end has fallen silent.
//! - [`identity`]: the network's certificate authority and device certificates.
//! - [`tls`]: rustls configurations; one provider, installed once.
//! - [`udp`]: datagrams in batches, on blocking threads.

pub mod cores;
pub mod http1;
pub mod identity;
pub mod silence;
pub mod tls;
pub mod udp;
