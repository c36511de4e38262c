//! Tests of the files in `tools/jobs`. GNU parallel and Slurm run them where they are installed: in one go, and killed and
//! submitted again with another number of shards. The results are those of one process.
#![cfg(unix)]

use std::env;
use std::fs;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::command::{listing, stderr, write_png};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

/// A sweep that is slow enough to be killed.
const SLOW: &str = "--classes top3 --stride 20";
const PHOTOGRAPHS: usize = 9;

fn jobs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/jobs")
}

fn read(name: &str) -> String {
    fs::read_to_string(jobs().join(name)).unwrap()
}

/// A folder with `photos`, and the results of one process in `whole`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("photos")).unwrap();
    for seed in 0..PHOTOGRAPHS as u32 {
        let picture = RgbImage::from_fn(40, 30, |x, y| {
            Rgb([x * 5, y * 8, (x * y + 50 * seed) % 256].map(|level| level as u8))
        });
        write_png(&folder.path().join(format!("photos/{seed}.png")), &picture);
    }
    let line = format!("occlude batch photos --out whole {SLOW}");
    let output = shell(&folder, &line).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    folder
}

/// A line for the shell, in a folder, with the program on the PATH.
fn shell(folder: &TempDir, line: &str) -> Command {
    let bin = Path::new(env!("CARGO_BIN_EXE_occlude")).parent().unwrap();
    let path = format!("{}:{}:/usr/sbin:/sbin", bin.display(), env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder.path()).env("PATH", path).env("OCCLUDE_WEIGHTS", "builtin");
    command
}

/// True if all programs are installed. If they are not, the test reports this and passes, unless the environment requires them.
fn has(programs: &[&str]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let missing = |program: &&&str| {
        !shell(&folder, &format!("command -v {program}")).output().unwrap().status.success()
    };
    let Some(missing) = programs.iter().find(missing) else { return true };
    assert!(env::var_os("OCCLUDE_REQUIRE_SCHEDULERS").is_none(), "{missing} is required here");
    // The test harness hides the output of `eprintln!` while tests pass.
    let _ = writeln!(io::stderr(), "SKIPPED: this test needs {missing}, which is not installed");
    false
}

/// Waits for something that happens soon, but not at a known time.
fn wait_for(what: &str, is_there: impl FnMut() -> bool) {
    assert!(comes(Duration::from_secs(300), is_there), "{what}");
}

/// True if something is there before the patience ends.
fn comes(patience: Duration, mut is_there: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !is_there() {
        if start.elapsed() > patience {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

/// A job file with another number of shards and the options of these tests.
fn edited(name: &str, shards: usize) -> String {
    let number = |line: &str| match line.strip_prefix("export OCCLUDE_SHARDS=") {
        Some(_) => format!("export OCCLUDE_SHARDS={shards}\n"),
        None => format!("{line}\n"),
    };
    let text = read(name).lines().map(number).collect::<String>();
    assert!(text.contains(&format!("export OCCLUDE_SHARDS={shards}\n")) && text.contains("--classes top3"));
    text.replace("--classes top3", SLOW)
}

/// The number of photographs with complete results.
fn finished(folder: &TempDir) -> usize {
    let done = |photo: &usize| folder.path().join(format!("maps/{photo}/occlude-done.json")).exists();
    (0..PHOTOGRAPHS).filter(done).count()
}

/// Compares the merged results with those of one process, apart from the summaries of `shards`.
fn assert_whole(folder: &TempDir, shards: usize) {
    let files = |name: &str| -> Vec<(PathBuf, Vec<u8>)> {
        let root = folder.path().join(name);
        let folders =
            [vec![root.clone()], (0..PHOTOGRAPHS).map(|i| root.join(i.to_string())).collect()].concat();
        let files = folders.iter().flat_map(|folder| listing(folder)).filter(|path| path.is_file());
        files
            .map(|path| (path.strip_prefix(&root).unwrap().to_path_buf(), fs::read(&path).unwrap()))
            .collect()
    };
    let (mut maps, whole) = (files("maps"), files("whole"));
    maps.retain(|(name, _)| !name.to_string_lossy().contains(&format!("-of-{shards}.")));
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&maps), names(&whole));
    assert!(maps == whole, "results differ from those of one process");
}

#[test]
fn gnu_parallel_does_a_batch_and_goes_on_after_a_kill() {
    if !has(&["parallel"]) {
        return;
    }
    let folder = folder();
    let mut first = shell(&folder, &edited("parallel.sh", 3));
    let mut first = first.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("a photograph", || finished(&folder) > 0);
    let kill = format!("kill -s KILL -- -{}", first.id());
    assert!(shell(&folder, &kill).status().unwrap().success());
    first.wait().unwrap();
    let done = finished(&folder);
    assert!(!folder.path().join("maps/summary.csv").exists());
    // parallel's jobs have process groups of their own. Until they have ended, the folder is locked, and then they are merged.
    let expected = format!("2 shards, {PHOTOGRAPHS} photographs, 0 of them failed");
    let mut printed = String::new();
    wait_for("a run of two processes", || {
        let output = shell(&folder, &edited("parallel.sh", 2)).output().unwrap();
        printed = String::from_utf8(output.stdout).unwrap();
        output.status.success() && printed.contains(&expected)
    });
    assert!(printed.matches("already complete").count() >= done, "{printed}");
    assert_whole(&folder, 2);
}

/// A Slurm of one node, as processes of this test.
struct Slurm {
    folder: TempDir,
    services: Vec<Child>,
}

impl Slurm {
    /// Starts the services. If they are installed but do not run on this machine, the test reports this and passes, unless the
    /// environment requires them.
    fn start() -> Option<Slurm> {
        let folder = folder();
        let at = folder.path().join("slurm");
        for name in ["state", "spool"] {
            fs::create_dir_all(at.join(name)).unwrap();
        }
        fs::write(at.join("munge.key"), [7; 1024]).unwrap();
        let said = |line: &str| {
            let output = shell(&folder, line).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_string()
        };
        let (host, user, dir) = (said("hostname -s || uname -n"), said("id -un"), at.display().to_string());
        let free = || TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [free(), free()].map(|listener| listener.local_addr().unwrap().port());
        // The node may be smaller than it says.
        let configuration = format!(
            "ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser={user}\nSlurmdUser={user}\n\
             SlurmctldPort={}\nSlurmdPort={}\nAuthType=auth/munge\nAuthInfo=socket={dir}/munge.sock\n\
             CredType=cred/munge\nStateSaveLocation={dir}/state\nSlurmdSpoolDir={dir}/spool\n\
             SlurmctldPidFile={dir}/slurmctld.pid\nSlurmdPidFile={dir}/slurmd.pid\n\
             ProctrackType=proctrack/pgid\nTaskPlugin=task/none\nSelectType=select/cons_tres\n\
             SelectTypeParameters=CR_Core_Memory\nReturnToService=2\nJobAcctGatherType=jobacct_gather/none\n\
             SlurmdParameters=config_overrides\nNodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=8000\n\
             PartitionName=main Nodes=ALL Default=YES State=UP\n",
            ports[0], ports[1]
        );
        fs::write(at.join("slurm.conf"), configuration).unwrap();
        let mut slurm = Slurm { folder, services: Vec::new() };
        let munge = "chmod 700 slurm && chmod 400 slurm/munge.key && exec munged --foreground --force \
                     --key-file=\"$PWD/slurm/munge.key\" --socket=\"$PWD/slurm/munge.sock\" \
                     --pid-file=\"$PWD/slurm/munged.pid\" --log-file=\"$PWD/slurm/munged.log\" \
                     --seed-file=\"$PWD/slurm/munge.seed\"";
        slurm.serve(munge);
        let mut runs = comes(Duration::from_secs(60), || at.join("munge.sock").exists());
        if runs {
            slurm.serve("exec slurmctld -D");
            slurm.serve("exec slurmd -D");
            let is_idle = || slurm.said("sinfo --noheader --format=%t").trim() == "idle";
            runs = comes(Duration::from_secs(60), is_idle);
        }
        if !runs {
            let logs = (0..slurm.services.len()).map(|i| fs::read_to_string(at.join(format!("{i}.log"))));
            let logs: Vec<String> = logs.map(Result::unwrap).collect();
            assert!(env::var_os("OCCLUDE_REQUIRE_SCHEDULERS").is_none(), "Slurm is required here: {logs:?}");
            let _ = writeln!(io::stderr(), "SKIPPED: this test needs Slurm, which does not run here");
        }
        runs.then_some(slurm)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = shell(&self.folder, line);
        command.env("SLURM_CONF", self.folder.path().join("slurm/slurm.conf"));
        command
    }

    fn serve(&mut self, line: &str) {
        let log =
            fs::File::create(self.folder.path().join(format!("slurm/{}.log", self.services.len()))).unwrap();
        let mut command = self.command(line);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.services.push(command.spawn().unwrap());
    }

    fn said(&self, line: &str) -> String {
        String::from_utf8(self.command(line).output().unwrap().stdout).unwrap()
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        for service in self.services.iter_mut().rev() {
            let _ = Command::new("kill").arg(service.id().to_string()).status();
            let _ = service.wait();
        }
    }
}

#[test]
fn slurm_does_a_batch_and_goes_on_after_a_kill() {
    if !has(&["munged", "slurmctld", "slurmd", "sbatch"]) {
        return;
    }
    let Some(slurm) = Slurm::start() else { return };
    // The numbers of the array and of the merge.
    let submit = |shards: usize| -> [String; 2] {
        let output = slurm.command(&edited("slurm.sh", shards)).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let printed = String::from_utf8(output.stdout).unwrap();
        let mut lines = printed.lines();
        ["occlude batch: job ", "Submitted batch job "]
            .map(|start| lines.next().unwrap().strip_prefix(start).unwrap().to_string())
    };
    let is_idle = || slurm.said("squeue --noheader").is_empty();
    let [array, refused] = submit(3);
    wait_for("a photograph", || finished(&slurm.folder) > 0);
    slurm.said(&format!("scancel {array}"));
    wait_for("the end of the cancelled tasks", is_idle);
    let (done, maps) = (finished(&slurm.folder), slurm.folder.path().join("maps"));
    assert!(done < PHOTOGRAPHS && !maps.join("summary.csv").exists(), "{done} photographs before the kill");

    let [array, merge] = submit(2);
    wait_for("the end of the second submission", is_idle);
    let log = |name: String| fs::read_to_string(slurm.folder.path().join(name)).unwrap();
    let logs = [0, 1].map(|task| log(format!("occlude-{array}_{task}.log"))).concat();
    assert_eq!(logs.matches("already complete").count(), done, "{logs}");
    let message = log(format!("occlude-{refused}-merge.log"));
    assert!(message.contains("are missing") || message.contains("no summary of a shard"), "{message}");
    let message = log(format!("occlude-{merge}-merge.log"));
    assert!(message.contains(&format!("2 shards, {PHOTOGRAPHS} photographs, 0 of them failed")), "{message}");
    assert_whole(&slurm.folder, 2);
}

/// The values of a list in a line of YAML, `key: ["a", "b"]`.
fn yaml_list(text: &str, key: &str) -> Vec<String> {
    let start = format!("{key}: [");
    let line = text.lines().find_map(|line| line.trim().strip_prefix(&start)).unwrap();
    line.trim_end_matches(']').split(", ").map(|word| word.trim_matches('"').to_string()).collect()
}

/// The value of the line after a line of YAML.
fn yaml_value<'t>(text: &'t str, before: &str, key: &str) -> &'t str {
    let mut lines = text.lines().map(str::trim).skip_while(|line| *line != before);
    lines.find_map(|line| line.strip_prefix(key)).unwrap().trim_matches('"')
}

#[test]
fn kubernetes_pods_do_a_batch_without_a_shell() {
    let (text, folder) = (read("kubernetes.yaml"), folder());
    let shards = yaml_value(&text, "- name: OCCLUDE_SHARDS", "value: ");
    assert_eq!(yaml_value(&text, "completionMode: Indexed", "completions: "), shards);
    assert_eq!(yaml_list(&text, "command"), ["occlude"]);
    let command = yaml_list(&text, "args").join(" ").replace("--classes top3", SLOW);
    for index in 0..shards.parse::<usize>().unwrap() {
        let mut pod = shell(&folder, &format!("exec occlude {command}"));
        pod.env("JOB_COMPLETION_INDEX", index.to_string()).env("OCCLUDE_SHARDS", shards);
        let output = pod.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert!(shell(&folder, "occlude merge maps").output().unwrap().status.success());
    assert_whole(&folder, shards.parse().unwrap());
}

/// Uses `$OCCLUDE_PYTHON`, or otherwise `python3`, with the package kubernetes-validate, which contains the schemas.
#[test]
fn the_kubernetes_job_fits_the_schema() {
    let python = env::var("OCCLUDE_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let run = |program: &str, file: &Path| Command::new(&python).args(["-c", program]).arg(file).output();
    if !run("import kubernetes_validate", Path::new("")).is_ok_and(|output| output.status.success()) {
        assert!(env::var_os("OCCLUDE_REQUIRE_SCHEDULERS").is_none(), "kubernetes-validate is required here");
        let _ = writeln!(
            io::stderr(),
            "SKIPPED: this test needs kubernetes-validate, which {python} does not have"
        );
        return;
    }
    let program = "import sys, yaml, kubernetes_validate as k\n\
                   k.validate(yaml.safe_load(open(sys.argv[1])), '1.29', strict=True)";
    let validate = |file: &Path| run(program, file).unwrap();
    let output = validate(&jobs().join("kubernetes.yaml"));
    assert!(output.status.success(), "{}", stderr(&output));
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.yaml");
    fs::write(&wrong, read("kubernetes.yaml").replace("podFailurePolicy", "podFailurePolcy")).unwrap();
    assert!(stderr(&validate(&wrong)).contains("podFailurePolcy"));
}

#[test]
fn the_containerfile_copies_what_a_build_needs() {
    let (text, root) = (read("Containerfile"), Path::new(env!("CARGO_MANIFEST_DIR")));
    let copied =
        text.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--"));
    let copied: Vec<&str> = copied.flat_map(|line| line.split(' ').rev().skip(1)).collect();
    for path in &copied {
        assert!(root.join(path).exists(), "{path}");
    }
    // Files outside src that the sources contain, and the programs that Cargo.toml names.
    for path in ["Cargo.toml", "Cargo.lock", "README.md", "src", "weights", "docs", "benches"] {
        assert!(copied.contains(&path), "{path}");
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let value = |key: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")));
        line.unwrap().trim_end_matches('"').to_string()
    };
    assert!(text.contains(&format!("rust:{}-slim", value("rust-version"))));
    for file in [text.as_str(), &read("kubernetes.yaml")] {
        assert!(file.contains(&format!("occlude:{}", value("version"))));
    }
    let user = yaml_value(&read("kubernetes.yaml"), "securityContext:", "runAsUser: ").to_string();
    assert!(user != "0" && text.contains(&format!("\nUSER {user}:{user}\n")));
}
