// SPDX-License-Identifier: Apache-2.0

//! A client on the ttrpc crate, which is what kata's agent is built with:
//!
//!     ttrpc_rust client -wire ttrpc SOCKET
//!
//! Lines of stdin are calls, lines of stdout answers, as those of ttrpc_peers; messages are given as
//! bytes only. An answer is read as a message without any field, which is how the agent knows that
//! of PullImage. Ends when stdin does.

use protobuf::well_known_types::empty::Empty;
use protobuf::Message;
use serde_json::{json, Value};
use std::io::BufRead;
use std::time::{Duration, Instant};
use ttrpc::error::Error;
use ttrpc::proto::Request;

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex"))
        .collect()
}

fn to_hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn request(asked: &Value) -> Request {
    let mut request = Request::new();
    request.set_service(asked["service"].as_str().expect("service").to_string());
    request.set_method(asked["method"].as_str().expect("method").to_string());
    request.payload = from_hex(asked["hex"].as_str().unwrap_or(""));
    let timeout = Duration::from_secs_f64(asked["timeout"].as_f64().unwrap_or(0.0));
    request.set_timeout_nano(timeout.as_nanos() as i64);
    request
}

fn answer(client: &ttrpc::Client, asked: &Value) -> Value {
    let begun = Instant::now();
    let said = client.request(request(asked));
    let seconds = begun.elapsed().as_secs_f64();
    let (code, message, data) = match said {
        Ok(response) => match Empty::parse_from_bytes(&response.payload) {
            Ok(_) => (0, String::new(), response.payload),
            Err(problem) => (999, problem.to_string(), response.payload),
        },
        Err(Error::RpcStatus(status)) => {
            (status.code() as i32, status.message().to_string(), vec![])
        }
        Err(problem) => (998, problem.to_string(), vec![]),
    };
    json!({"id": asked["id"], "code": code, "message": message, "hex": to_hex(&data), "seconds": seconds})
}

fn main() {
    let socket = std::env::args().last().expect("a socket");
    let client = ttrpc::Client::connect(&format!("unix://{socket}")).expect("connect");
    for line in std::io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line.expect("stdin")).expect("JSON");
        let client = client.clone();
        std::thread::spawn(move || println!("{}", answer(&client, &asked)));
    }
    std::process::exit(0);
}
