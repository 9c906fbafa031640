//! What gateways go by before they look at a request: networks, and rates.

pub mod network;
pub mod rate;

pub use network::Network;
pub use rate::{Meter, Rate};
