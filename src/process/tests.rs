//! Behaviour of whole programs under this room.
