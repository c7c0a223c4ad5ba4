// The cluster in the background of this machine, for `task local:multi:up` and `local:multi:down`: plain Node, no Docker.
//
// A cluster that does not start gives `up` its exit status. Process id and log lie in $XDG_STATE_HOME/shardcast, or ~/.local/state/shardcast; SHARDCAST_LOCAL_STATE names another place.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { alive, startInBackground, stop, tailOf } from "./processes.mjs";

const usage = `usage: node deploy/local/multi.mjs up [flags of "shardcast multi"]   starts it, waits until every shard serves
       node deploy/local/multi.mjs down                              stops it in order, waits until it has ended
       node deploy/local/multi.mjs status`;

const directory = process.env.SHARDCAST_LOCAL_STATE ?? join(process.env.XDG_STATE_HOME ?? join(homedir(), ".local/state"), "shardcast");
const pidPath = join(directory, "multi.json");
const logPath = join(directory, "multi.log");
const program = join(import.meta.dirname, "../../apps/supervisor/dist/main.js");

const upMs = 30_000;
/** Longer than the cluster's own --shutdown-timeout of 30 s. */
const downMs = 40_000;

function running() {
	try {
		const noted = JSON.parse(readFileSync(pidPath, "utf8"));
		return alive(noted) ? noted : null;
	} catch {
		return null;
	}
}

const logTail = () => tailOf(logPath);

/** Where the balancer listens: the flag, else the variable, else the default. */
function balancerUrl(flags) {
	const at = flags.findIndex((flag) => flag === "--lb-addr" || flag.startsWith("--lb-addr="));
	const given = at < 0 ? undefined : (flags[at].split("=")[1] ?? flags[at + 1]);
	const address = given ?? process.env.SHARDCAST_LB_ADDR ?? ":3005";
	return `http://127.0.0.1:${address.slice(address.lastIndexOf(":") + 1)}`;
}

async function up(flags) {
	const already = running();
	if (already !== null) return say(`runs already: pid ${already.pid}, ${already.url}`);
	mkdirSync(directory, { recursive: true });
	const started = startInBackground(process.execPath, [program, "multi", ...flags], logPath);
	const noted = { ...started.noted, url: balancerUrl(flags) };
	writeFileSync(pidPath, JSON.stringify(noted));
	for (const endMs = performance.now() + upMs; performance.now() < endMs; await pause(100)) {
		if (!alive(noted)) {
			rmSync(pidPath, { force: true });
			return fail(`the cluster did not start:\n${logTail()}`, (await started.exitStatus()) ?? 1);
		}
		const ready = await fetch(`${noted.url}/ready`, { signal: AbortSignal.timeout(1000) }).catch(() => null);
		if (!ready?.ok) continue;
		return say(`pid ${noted.pid}, log ${logPath}\n${logTail()}`);
	}
	process.kill(noted.pid, "SIGTERM");
	fail(`not every shard serves after ${upMs / 1000} s; stopped it again:\n${logTail()}`);
}

async function down() {
	const noted = running();
	if (noted === null) return say("does not run");
	if (!(await stop(noted, "SIGTERM", downMs))) return fail(`killed after ${downMs / 1000} s, see ${logPath}`);
	rmSync(pidPath, { force: true });
	say(`stopped: ${readFileSync(logPath, "utf8").trimEnd().split("\n").at(-1)}`);
}

function status() {
	const noted = running();
	if (noted === null) return fail("does not run");
	say(`pid ${noted.pid}, ${noted.url}, log ${logPath}`);
}

const say = (text) => console.log(`local cluster: ${text}`);
function fail(text, status = 1) {
	console.error(`local cluster: ${text}`);
	process.exitCode = status;
}

const [command, ...flags] = process.argv.slice(2);
if (process.argv.includes("--help")) console.log(usage);
else if (command === "up") await up(flags);
else if (flags.length > 0 || (command !== "down" && command !== "status"))
	fail(`unexpected "${process.argv.slice(2).join(" ")}"\n${usage}`, 2);
else if (command === "down") await down();
else status();
