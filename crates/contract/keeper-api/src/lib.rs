//! Keeper to worker control socket, version 1: verbs and their codec.
