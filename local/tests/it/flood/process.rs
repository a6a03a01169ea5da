//! The whole stack as a process of its own, so that it can be killed: this test binary once more, with one test that only
//! starts the stack and waits.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use local::drivers::Mischief;
use local::engines::{Faults, Storage};
use local::stack::{People, Stack, StackOptions};
use serde::{Deserialize, Serialize};

const TEST: &str = "flood::process::the_stack_as_a_process_of_its_own";
const FOLDER: &str = "FLOOD_PROCESS_FOLDER";
const ROUGH: &str = "FLOOD_PROCESS_ROUGH";
const VISIBILITY: &str = "FLOOD_PROCESS_VISIBILITY";

/// Where a process answers, as it writes it into its folder.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Address {
    pid: u32,
    pub(super) base_url: String,
    pub(super) sqs_url: String,
    pub(super) app_secret: String,
}

/// Nobody is sent to in a flood, so there is no Meta.
pub(crate) fn options(folder: &Path, mischief: Mischief) -> StackOptions {
    StackOptions {
        port: 0,
        storage: Storage::Directory(folder.to_owned()),
        graph_url: Some("http://127.0.0.1:9".parse().unwrap()),
        people: People { mischief, ..People::default() },
    }
}

/// Everything that may go wrong around a function, and calls to the engines that fail.
fn rough(seed: u64) -> Mischief {
    Mischief {
        seed,
        redeliver: 0.05,
        reorder: 0.5,
        crash: 0.02,
        cut: 0.1,
        delay: Duration::ZERO,
        faults: Faults {
            seed,
            refuse: 0.01,
            lose_answer: 0.01,
            outage: 0.000_02,
            outage_for: Duration::from_millis(300),
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the flood starts it, and kills it"]
async fn the_stack_as_a_process_of_its_own() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let mischief = rough(std::env::var(ROUGH).unwrap().parse().unwrap());
    let stack = Stack::start(options(folder, mischief)).await.unwrap();
    if let Ok(seconds) = std::env::var(VISIBILITY) {
        come_back_after(&stack, &seconds).await;
    }
    let address = Address {
        pid: std::process::id(),
        base_url: stack.base_url().to_owned(),
        sqs_url: stack.engines().sqs_url().to_owned(),
        app_secret: stack.app_secret().to_owned(),
    };
    let (path, new) = (folder.join("address.json"), folder.join("address.new"));
    std::fs::write(&new, serde_json::to_vec(&address).unwrap()).unwrap();
    std::fs::rename(&new, &path).unwrap();
    // It ends with whoever has started it.
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await.unwrap().unwrap();
    stack.shutdown().await;
}

/// What was not finished comes to the events queue again after so many seconds.
async fn come_back_after(stack: &Stack, seconds: &str) {
    let sqs = stack.engines().sqs();
    let url = sqs.get_queue_url().queue_name(super::EVENTS).send().await.unwrap().queue_url.unwrap();
    let change = sqs.set_queue_attributes().queue_url(url);
    change.attributes(QueueAttributeName::VisibilityTimeout, seconds).send().await.unwrap();
}

/// A process that runs.
pub(super) struct Process {
    child: Child,
    pub(super) address: Address,
}

impl Process {
    /// Starts it on the folder, with trouble from this seed.
    pub(super) async fn start(folder: &Path, rough: u64, visibility: Option<u64>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([TEST, "--exact", "--ignored", "--nocapture", "--test-threads", "1"]).env(FOLDER, folder);
        command.env(ROUGH, rough.to_string());
        if let Some(seconds) = visibility {
            command.env(VISIBILITY, seconds.to_string());
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        loop {
            let written = std::fs::read(folder.join("address.json")).ok();
            let address = written.and_then(|text| serde_json::from_slice::<Address>(&text).ok());
            if let Some(address) = address.filter(|address| address.pid == child.id()) {
                return Self { child, address };
            }
            assert!(child.try_wait().unwrap().is_none(), "the stack did not start");
            assert!(begun.elapsed() < Duration::from_secs(120), "the stack did not come up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it in order.
    pub(super) fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success(), "the stack did not end in order");
    }
}
