//! What an operator does to a broker: by `rabbitmqctl`, or by the embedded broker's own face.

use std::env;
use std::process::Command;

use amqp091_client::Value;

use crate::place::{Place, unique};

impl Place {
    /// A virtual host of one test's own.
    pub(crate) async fn virtual_host(&self) -> String {
        let name = unique("vhost");
        match &self.broker {
            Some(broker) => broker.add_virtual_host(&name),
            None => {
                ctl(&["add_vhost", &name]).await;
                ctl(&["set_permissions", "-p", &name, "guest", ".*", ".*", ".*"]).await;
            }
        }
        name
    }

    pub(crate) async fn delete_virtual_host(&self, name: &str) {
        match &self.broker {
            Some(broker) => broker.delete_virtual_host(name),
            None => drop(ctl(&["delete_vhost", name]).await),
        }
    }

    /// Closes all connections to a virtual host.
    pub(crate) async fn close_connections(&self, virtual_host: &str, why: &str) {
        let Some(broker) = &self.broker else {
            ctl(&["close_all_connections", "--vhost", virtual_host, why]).await;
            return;
        };
        for connection in broker.connections() {
            if connection.virtual_host == virtual_host {
                let text = format!("CONNECTION_FORCED - {why}");
                let rule =
                    broker.at_once().connection(connection.number).close_connection(320, text);
                assert_eq!(rule.hits(), 1);
            }
        }
    }

    /// Whether the client of the connection of this name has told this of itself, or that it is able to.
    pub(crate) async fn knows_of_client(&self, name: &str, property: &str, value: &Value) -> bool {
        let Some(broker) = &self.broker else {
            let shown = match value {
                Value::LongStr(text) => format!("\"{}\"", text.to_str().unwrap()),
                other => other.to_string(),
            };
            let connections = ctl(&["-q", "list_connections", "client_properties"]).await;
            let connection = connections.lines().find(|line| line.contains(name));
            return connection
                .is_some_and(|line| line.contains(&format!("\"{property}\",{shown}")));
        };
        let connections = broker.connections();
        let connection = connections.iter().find(|connection| connection.name == name);
        connection.is_some_and(|connection| {
            let told = &connection.client_properties;
            let able = told.get("capabilities").and_then(Value::as_table);
            let found = told.get(property).or_else(|| able.and_then(|able| able.get(property)));
            found == Some(value)
        })
    }

    /// Has memory short for the publishers of this connection, or no longer. An alarm of RabbitMQ's would stop
    /// the publishers of all other tests as well, so it is told to one connection's own process there.
    pub(crate) async fn conserve_memory(&self, connection_name: &str, conserve: bool) {
        match &self.broker {
            Some(broker) if conserve => broker.block("low on memory"),
            Some(broker) => broker.unblock(),
            None => {
                let tell = format!(
                    "[rabbit_reader:conserve_resources(P, memory, {{ok, {conserve}, node()}}) || \
                     [{{pid, P}}, {{client_properties, C}}] <- \
                     rabbit_networking:connection_info_all([pid, client_properties]), \
                     lists:member({{<<\"connection_name\">>, longstr, <<\"{connection_name}\">>}}, C)]."
                );
                assert_eq!(ctl(&["-q", "eval", &tell]).await.trim(), "[ok]");
            }
        }
    }
}

/// `rabbitmqctl` on the broker: the one of `scripts/test`, else the one that `scripts/rabbitmq` starts
/// without more.
async fn ctl(arguments: &[&str]) -> String {
    ctl_in(env::var("AMQP091_TEST_RABBITMQ_DIR").ok().as_deref(), arguments).await
}

/// The script that starts and controls brokers.
pub(crate) fn script() -> String {
    env::var("AMQP091_TEST_RABBITMQ")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/rabbitmq").to_owned())
}

/// `rabbitmqctl` on the broker of this folder.
pub(crate) async fn ctl_in(dir: Option<&str>, arguments: &[&str]) -> String {
    let mut command = Command::new(script());
    if let Some(dir) = dir {
        command.args(["--dir", dir]);
    }
    command.arg("ctl").args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "rabbitmqctl {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
