// Three nodes on this machine, with Redis, PostgreSQL and HAProxy as Debian installs them, for `task local:cluster:up`, `test` and `down`.
//
// It is docker-compose.cluster.yml without containers: each node has its own loopback address. Everything lies in one folder below the
// system's temporary one, because PostgreSQL, which does not run as root, must reach it; SHARDCAST_LOCAL_STATE names another place.
import { randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { check } from "./cluster-check.mjs";
import { addressesOf, checkFlags, findPrograms, requireFree, startAll } from "./cluster-parts.mjs";
import { alive, startTime, stop, tailOf } from "./processes.mjs";

const usage = `usage: node deploy/local/cluster.mjs up [--port N] [flags of "shardcast multi"]   starts Redis, PostgreSQL, three nodes and HAProxy
       node deploy/local/cluster.mjs test                                         publishes at each node, counts what clients behind HAProxy get
       node deploy/local/cluster.mjs down                                         stops everything, and deletes its data

Clients connect to 127.0.0.1:N (3005), where HAProxy listens; the nodes are 127.0.0.11, .12 and .13. Redis and PostgreSQL have the next two ports.`;

const folder = join(process.env.SHARDCAST_LOCAL_STATE ?? tmpdir(), `shardcast-local-cluster-${process.getuid()}`);
const statePath = join(folder, "state.json");

/** A mistake of the user's, with the exit status. */
class Refusal extends Error {
	constructor(message, status = 1) {
		super(message);
		this.status = status;
	}
}

function readState() {
	let owner;
	try {
		owner = lstatSync(folder);
	} catch {
		return null;
	}
	if (!owner.isDirectory() || owner.uid !== process.getuid()) throw new Refusal(`${folder} is not a folder of yours; delete it`);
	try {
		return JSON.parse(readFileSync(statePath, "utf8"));
	} catch {
		return { processes: [] };
	}
}

const write = (state) => writeFileSync(statePath, JSON.stringify(state), { mode: 0o600 });
const beingStarted = ({ starter, ready }) => !ready && starter !== undefined && alive(starter);

/** @throws when a part of it has ended. */
function isRunning({ processes }) {
	const gone = processes.filter((each) => !alive(each)).map(({ name }) => name);
	if (gone.length === processes.length) return false;
	if (gone.length > 0) throw new Refusal(`runs only in part, ${gone.join(", ")} ended; stop it first: npm run local:cluster:down`);
	return true;
}

async function up(args) {
	const { port, flags } = splitPort(args);
	const earlier = readState();
	if (earlier !== null) {
		if (beingStarted(earlier)) throw new Refusal(`is being started by process ${earlier.starter.pid}`);
		if (isRunning(earlier)) return say(`runs already: ${earlier.url}`);
		remove(earlier);
	}
	const problem = checkFlags(flags);
	if (problem !== null) throw new Refusal(problem.output, problem.status);
	const programs = findPrograms();
	const addresses = addressesOf(port);
	await requireFree(addresses);
	// Root's PostgreSQL is another user, which must be able to pass through.
	mkdirSync(folder, { mode: 0o711 });
	const sharedMemory = mkdtempSync("/dev/shm/shardcast-local-cluster-");
	const self = { pid: process.pid, startTime: startTime(process.pid) };
	const state = { starter: self, ready: false, url: `http://${addresses.haproxy}`, addresses, sharedMemory, processes: [] };
	state.postgresPassword = randomBytes(24).toString("hex");
	write(state);
	const begun = (name, noted, log) => {
		state.processes.push({ name, log, ...noted });
		write(state);
	};
	const abort = new AbortController();
	for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => abort.abort(new Refusal(`${signal}: stopped it again`, 130)));
	try {
		await startAll({ folder, addresses, programs, flags, state, begun, signal: abort.signal });
		state.ready = true;
		write(state);
	} catch (error) {
		const failed = state.processes.filter((each) => !alive(each)).map(({ name, log }) => `${name}:\n${tailOf(log)}`);
		await stopAll(state);
		throw new Refusal([error.message, ...failed].join("\n"), error.status ?? 1);
	}
	const ids = Object.entries(addresses.nodes).map(([id, address]) => `${id} http://${address}`);
	say(`runs: ${state.url} (HAProxy), ${ids.join(", ")}; logs in ${folder}`);
}

async function down() {
	const state = readState();
	if (state === null) return say("does not run");
	if (beingStarted(state)) throw new Refusal(`is being started by process ${state.starter.pid}; end that one`);
	const killed = await stopAll(state);
	if (killed.length > 0) throw new Refusal(`killed, because they did not end: ${killed.join(", ")}`);
	say("stopped; its data is deleted");
}

/** The nodes together, and then what they use. @returns the names of those that had to be killed. */
async function stopAll(state) {
	const killed = [];
	const end = async (each, signal, withinMs) => {
		if (!(await stop(each, signal, withinMs))) killed.push(each.name);
	};
	const rest = state.processes.filter(({ name }) => !/^n\d$/.test(name)).reverse();
	// Longer than the nodes' own --shutdown-timeout of 30 s.
	await Promise.all(state.processes.filter((each) => !rest.includes(each)).map((each) => end(each, "SIGTERM", 40_000)));
	for (const each of rest) await end(each, each.name === "postgres" ? "SIGINT" : "SIGTERM", 10_000);
	remove(state);
	return killed;
}

function remove({ sharedMemory }) {
	if (sharedMemory !== undefined) rmSync(sharedMemory, { recursive: true, force: true });
	rmSync(folder, { recursive: true, force: true });
}

async function test() {
	const state = readState();
	if (!state?.ready || !isRunning(state)) throw new Refusal("does not run; start it first: npm run local:cluster:up");
	const { table, problems } = await check(state);
	console.log(table);
	if (problems.length > 0) throw new Refusal(`test failed: ${problems.join("; ")}`);
	say("test passed");
}

function splitPort(args) {
	const at = args.findIndex((arg) => arg === "--port" || arg.startsWith("--port="));
	if (at < 0) return { port: 3005, flags: args };
	const value = args[at].includes("=") ? args[at].slice("--port=".length) : args[at + 1];
	if (!/^\d+$/.test(value ?? "") || Number(value) < 1 || Number(value) > 65_500)
		throw new Refusal(`--port: "${value ?? ""}" is not a port from 1 to 65500`, 2);
	return { port: Number(value), flags: args.toSpliced(at, args[at].includes("=") ? 1 : 2) };
}

const say = (text) => console.log(`local cluster: ${text}`);

const [command, ...args] = process.argv.slice(2);
try {
	if (process.argv.includes("--help")) console.log(usage);
	else if (command === "up") await up(args);
	else if (args.length > 0 || (command !== "down" && command !== "test"))
		throw new Refusal(`unexpected "${process.argv.slice(2).join(" ")}"\n${usage}`, 2);
	else if (command === "down") await down();
	else await test();
} catch (error) {
	console.error(`local cluster: ${error.message}`);
	process.exitCode = error.status ?? 1;
}
