//! Owns a device's listening sockets and slots; starts, stops and restarts its worker.
