// What `cluster.mjs up` starts: where each part listens, and how it is started.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { alive, startInBackground } from "./processes.mjs";

const root = join(import.meta.dirname, "../..");
const supervisor = join(root, "apps/supervisor/dist/main.js");
/** "nobody" on Debian: PostgreSQL does not run as root. */
const nobody = 65_534;
const readyMs = 60_000;

export const addressesOf = (port) => ({
	haproxy: `127.0.0.1:${port}`,
	redis: `127.0.0.1:${port + 1}`,
	postgres: `127.0.0.1:${port + 2}`,
	nodes: { n1: `127.0.0.11:${port}`, n2: `127.0.0.12:${port}`, n3: `127.0.0.13:${port}` },
});

const hostOf = (address) => address.slice(0, address.lastIndexOf(":"));
const portOf = (address) => Number(address.slice(address.lastIndexOf(":") + 1));

/** What shardcast says against the flags; null = nothing. */
export function checkFlags(flags) {
	const { status, stdout, stderr } = spawnSync(process.execPath, [supervisor, "config", "check", ...flags], { encoding: "utf8" });
	return status === 0 ? null : { status: status ?? 1, output: `${stdout}${stderr}`.trimEnd() };
}

/** The programs that Debian's packages bring. @throws with the names of the packages that are missing. */
export function findPrograms() {
	const versions = existsSync("/usr/lib/postgresql") ? readdirSync("/usr/lib/postgresql").filter((name) => /^\d+$/.test(name)) : [];
	const postgres = `/usr/lib/postgresql/${Math.max(0, ...versions.map(Number))}/bin`;
	const there = {
		"redis-server": spawnSync("redis-server", ["--version"]).status === 0,
		postgresql: existsSync(`${postgres}/initdb`),
		haproxy: spawnSync("haproxy", ["-v"]).status === 0,
	};
	const missing = Object.keys(there).filter((name) => !there[name]);
	if (missing.length > 0) throw new Error(`not installed: ${missing.join(", ")} (Debian: apt-get install ${missing.join(" ")})`);
	return { postgres };
}

/** @throws with the first address at which something listens. */
export async function requireFree({ nodes, ...others }) {
	for (const address of [...Object.values(others), ...Object.values(nodes)])
		await new Promise((resolve, reject) => {
			const server = createServer();
			const other = `give another port: --port ${portOf(address) < 50_000 ? 13_005 : 3005}`;
			server.once("error", (error) => reject(new Error(`cannot listen on ${address} (${error.code}); ${other}`)));
			server.listen(portOf(address), hostOf(address), () => server.close(resolve));
		});
}

/** Starts all in order, each once that before it answers. @param begun is told of each process. */
export async function startAll({ folder, addresses, programs, flags, state, begun, signal }) {
	const logOf = (name) => join(folder, `${name}.log`);
	const start = (name, command, args, options = {}) => {
		const { noted } = startInBackground(command, args, logOf(name), { cwd: folder, ...options });
		begun(name, noted, logOf(name));
		return noted;
	};
	const until = async (noted, name, answers) => {
		for (const endMs = performance.now() + readyMs; !(await answers().catch(() => false)); await pause(100)) {
			signal.throwIfAborted();
			if (!alive(noted)) throw new Error(`${name} did not start`);
			if (performance.now() > endMs) throw new Error(`${name} does not answer after ${readyMs / 1000} s; stopped everything again`);
		}
	};

	const redisPassword = randomBytes(24).toString("hex");
	const redis = start("redis", "redis-server", [writeRedisConfig(folder, addresses.redis, redisPassword)]);
	await until(redis, "redis", () => accepts(addresses.redis));

	const owner = process.getuid() === 0 ? { uid: nobody, gid: nobody } : {};
	const data = makeDatabase(folder, programs.postgres, state.postgresPassword, owner);
	const options = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=16MB"].flatMap((each) => ["-c", each]);
	const postgresArgs = ["-D", data, "-p", String(portOf(addresses.postgres)), ...options];
	const postgres = start("postgres", `${programs.postgres}/postgres`, postgresArgs, owner);
	const isReady = ["-q", "-h", "127.0.0.1", "-p", String(portOf(addresses.postgres))];
	await until(postgres, "postgres", async () => spawnSync(`${programs.postgres}/pg_isready`, isReady).status === 0);

	const env = {
		...process.env,
		SHARDCAST_REDIS_URL: `redis://:${redisPassword}@${addresses.redis}`,
		SHARDCAST_POSTGRES_URL: `postgres://postgres:${state.postgresPassword}@${addresses.postgres}/postgres`,
	};
	const nodes = Object.entries(addresses.nodes).map(([id, address]) => {
		const listen = ["--lb-addr", address, "--host", hostOf(address), "--base-port", String(portOf(address) + 1)];
		const shared = ["--shards", "1", "--trusted-proxies", "127.0.0.1", "--cluster-directory", state.sharedMemory];
		const args = [supervisor, "multi", ...listen, "--node-id", id, ...shared, ...flags];
		return [id, address, start(id, process.execPath, args, { env })];
	});
	for (const [id, address, noted] of nodes)
		await until(noted, id, async () => (await get(`http://${address}/ready`)).ok && (await count(address)) === 3);

	const servers = Object.fromEntries(Object.values(addresses.nodes).map((address, index) => [`NODE_${index + 1}`, address]));
	const config = join(root, "deploy/haproxy/cluster.cfg");
	const haproxy = start("haproxy", "haproxy", ["-db", "-f", config], { env: { ...process.env, LISTEN: addresses.haproxy, ...servers } });
	await until(haproxy, "haproxy", async () => (await get(`http://${addresses.haproxy}/ready`)).ok);
}

const get = (url) => fetch(url, { signal: AbortSignal.timeout(2000) });

/** Nodes that this one knows. */
async function count(address) {
	return (await (await get(`http://${address}/health`)).json()).node?.nodes;
}

const accepts = (address) =>
	new Promise((resolve) => {
		const socket = connect(portOf(address), hostOf(address), () => resolve(true));
		socket.once("connect", () => socket.destroy()).once("error", () => resolve(false));
	});

function writeRedisConfig(folder, address, password) {
	const data = join(folder, "redis");
	mkdirSync(data, { mode: 0o700 });
	const path = join(folder, "redis.conf");
	const lines = [
		`bind ${hostOf(address)}`,
		`port ${portOf(address)}`,
		`dir "${data}"`,
		`requirepass ${password}`,
		"appendonly yes",
		'save ""',
		"",
	];
	writeFileSync(path, lines.join("\n"), { mode: 0o600 });
	return path;
}

function makeDatabase(folder, binaries, password, owner) {
	const home = join(folder, "postgres");
	mkdirSync(home, { mode: 0o700 });
	const file = join(home, "password");
	writeFileSync(file, password, { mode: 0o600 });
	if (owner.uid !== undefined) for (const path of [home, file]) chownSync(path, owner.uid, owner.gid);
	const data = join(home, "data");
	const args = ["-D", data, "-U", "postgres", "--auth=scram-sha-256", `--pwfile=${file}`, "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"];
	const { status, stderr, error } = spawnSync(`${binaries}/initdb`, args, { encoding: "utf8", cwd: home, ...owner });
	if (status !== 0) throw new Error(`initdb failed: ${(stderr ?? error.message).trimEnd()}`);
	return data;
}
