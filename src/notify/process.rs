//! A command that is told: started without a shell and with next to no environment, the message on its standard input,
//! killed with all that it has started when its time is over.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::{Instant, timeout_at};

use super::backoff::Verdict;
use crate::runtime::in_turn;

/// All that a command gets of an environment.
const ENVIRONMENT: [(&str, &str); 2] = [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C.UTF-8")];
/// No more of what it says in error is kept.
const SAID_BYTES_MAX: u64 = 4 << 10;

/// So long after its end a command may still be heard.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Ends a group of processes when it is dropped: also where nobody waits for the command any more.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already, as a rule.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Starts the command, hands it the message, and waits for its end.
pub(super) async fn run(line: Vec<String>, timeout: Duration, message: Vec<u8>) -> Verdict {
    let Some((program, arguments)) = line.split_first() else { return Verdict::Refused("there is no command".to_owned()) };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(ENVIRONMENT).current_dir("/").process_group(0).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    // It waits until the program has been read.
    let deadline = Instant::now() + timeout;
    let started = timeout_at(deadline, in_turn(program, move || command.spawn())).await;
    let mut child = match started {
        Ok(Ok(Ok(child))) => child,
        Ok(Ok(Err(error))) => return Verdict::failed(format!("cannot start {program}: {error}")),
        Ok(Err(panicked)) => return Verdict::failed(format!("cannot start {program}: {panicked}")),
        Err(_) => return Verdict::failed(format!("{program} did not start within {} s", timeout.as_secs_f64())),
    };
    let _group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let tell = async move {
        if let Some(mut stdin) = stdin {
            // A command may end without having read all of it: its exit code says what came of it.
            let _ended = stdin.write_all(&message).await;
        }
    };
    let mut said = Vec::new();
    let ended = timeout_at(deadline, async {
        let listen = async {
            if let Some(mut stderr) = stderr {
                let _ended = (&mut stderr).take(SAID_BYTES_MAX).read_to_end(&mut said).await;
                // Read to its end, so that a command that says more is not ended by it.
                let _rest = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            }
        };
        let talk = async { tokio::join!(tell, listen) };
        tokio::pin!(talk);
        tokio::select! {
            status = child.wait() => {
                // What it said last, but not what it has left behind.
                let _more = tokio::time::timeout(LAST_WORDS, talk).await;
                status
            }
            _ = &mut talk => child.wait().await,
        }
    })
    .await;
    match ended {
        Ok(Ok(status)) if status.success() => Verdict::Delivered,
        Ok(Ok(status)) => {
            let said = String::from_utf8_lossy(&said);
            Verdict::failed(format!("{program}: {status}{}{}", if said.is_empty() { "" } else { ": " }, said.trim_end()))
        }
        Ok(Err(error)) => Verdict::failed(format!("cannot wait for {program}: {error}")),
        Err(_) => Verdict::failed(format!("{program} ran for longer than {} s and was killed", timeout.as_secs_f64())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, timeout_millis: u64) -> Verdict {
        let line = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        run(line, Duration::from_millis(timeout_millis), b"{\"a\":1}".to_vec()).await
    }

    #[tokio::test]
    async fn what_a_command_leaves_running_and_how_much_it_says_does_not_matter() {
        assert_eq!(shell("sleep 600 & exit 0", 20_000).await, Verdict::Delivered);
        assert_eq!(shell("head -c 300000 /dev/zero >&2; exit 0", 20_000).await, Verdict::Delivered);
    }

    #[tokio::test]
    async fn a_command_reads_the_message_and_has_next_to_no_environment() {
        let folder = tempfile::tempdir().expect("a folder");
        let (input, environment) = (folder.path().join("input"), folder.path().join("environment"));
        let verdict = shell(&format!("cat > {}; env > {}", input.display(), environment.display()), 10_000).await;
        assert_eq!(verdict, Verdict::Delivered);
        assert_eq!(std::fs::read_to_string(input).expect("written"), "{\"a\":1}");
        let environment = std::fs::read_to_string(environment).expect("written");
        let mut names: Vec<_> = environment.lines().filter_map(|line| line.split('=').next()).collect();
        names.retain(|name| !["PWD", "OLDPWD", "_", "SHLVL"].contains(name)); // the shell's own
        names.sort_unstable();
        assert_eq!(names, ["LANG", "PATH"]);
    }

    #[tokio::test]
    async fn what_a_command_says_in_error_is_told() {
        assert_eq!(shell("echo no pager >&2; exit 3", 10_000).await, Verdict::failed("/bin/sh: exit status: 3: no pager"));
        let line = vec!["/nonexistent/pager".to_owned()];
        let Verdict::Failed { error, .. } = run(line, Duration::from_secs(1), Vec::new()).await else { panic!("not there") };
        assert!(error.starts_with("cannot start /nonexistent/pager: "), "{error}");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_its_children() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pid");
        let verdict = shell(&format!("sleep 600 & echo $! > {}; wait", file.display()), 500).await;
        assert_eq!(verdict, Verdict::failed("/bin/sh ran for longer than 0.5 s and was killed"));
        let pid = std::fs::read_to_string(file).expect("written");
        let running = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "));
        for _ in 0..200 {
            if !running() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the child still runs");
    }
}
