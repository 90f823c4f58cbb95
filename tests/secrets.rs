//! Credentials don't show in `Debug`, on their own or inside the enum of all methods.

use amqp091::protocol::{AnyMethod, connection};
use amqp091::types::LongStr;

#[test]
fn credentials_are_hidden() {
    let response = LongStr::from("\0user\0open sesame");
    let start_ok = connection::StartOk { response: response.clone(), ..Default::default() };
    let secure_ok = connection::SecureOk { response: response.clone() };
    let update = connection::UpdateSecret { new_secret: response, ..Default::default() };
    for method in [AnyMethod::from(start_ok), secure_ok.into(), update.into()] {
        let shown = format!("{method:?}");
        assert!(shown.contains("(hidden)") && !shown.contains("sesame"), "{shown}");
    }
}
