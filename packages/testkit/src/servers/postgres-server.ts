import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { Client } from "pg";
import { cacheFolder } from "../cache-folder.ts";
import { freePorts } from "../network/ports.ts";
import { endChild } from "../processes/end-child.ts";
import { startGuard } from "../processes/managed-process.ts";
import { waitFor } from "../wait.ts";
import { makeCertificate } from "./certificates.ts";

/** "nobody" on Debian: PostgreSQL does not run as root. */
const nobody = 65_534;
const debianFolder = "/usr/lib/postgresql";

/** The folder of the newest installed version; null = none. */
function binaries(): string | null {
	const versions = existsSync(debianFolder) ? readdirSync(debianFolder).filter((name) => /^\d+$/.test(name)) : [];
	const newest = Math.max(0, ...versions.map(Number));
	const folder = `${debianFolder}/${newest}/bin`;
	return existsSync(`${folder}/initdb`) ? folder : null;
}

/**
 * Whether PostgreSQL is installed. Without it a suite is skipped, with a line that says so, and in CI it fails. Call it at the top of one:
 * `describe.skipIf(!postgresForTests())`.
 */
export function postgresForTests(): boolean {
	if (binaries() !== null) return true;
	const problem = "no PostgreSQL; install Debian's package postgresql";
	if (process.env.CI === "true") throw new Error(problem);
	process.stderr.write(`\n!!! POSTGRESQL SUITES SKIPPED: ${problem} !!!\n\n`);
	return false;
}

/** A PostgreSQL of a test, on a free port of 127.0.0.1, with its data in a temporary folder. `stop` must be called. */
export class PostgresServer {
	/** Of the user postgres, who wants it over TCP. */
	static readonly password = "s3cret-of-postgres";
	readonly port: number;
	readonly #folder: string;
	readonly #more: readonly string[];
	#child: ChildProcess | null = null;

	private constructor(port: number, folder: string, more: readonly string[] = []) {
		this.port = port;
		this.#folder = folder;
		this.#more = more;
	}

	static async start(): Promise<PostgresServer> {
		const folder = mkdtempSync(join(tmpdir(), "postgres-"));
		giveToOwner(folder);
		copy(newData(), join(folder, "data"));
		const server = new PostgresServer(await freePorts(), folder);
		await server.start();
		return server;
	}

	/** A standby with what this server has now, on another port. It receives nothing later, and can be promoted. Its own `stop` must be called. */
	async lateStandby(): Promise<PostgresServer> {
		const folder = mkdtempSync(join(tmpdir(), "postgres-"));
		giveToOwner(folder);
		makeData(folder, "pg_basebackup", ["-d", this.url, "-R", "--checkpoint=fast"]);
		const server = new PostgresServer(await freePorts(), folder, ["primary_conninfo="]);
		await server.start();
		return server;
	}

	/** With user and password. */
	get url(): string {
		return `postgres://postgres:${PostgresServer.password}@127.0.0.1:${this.port}/postgres`;
	}

	/** Starts it again, with its data. */
	async start(): Promise<void> {
		const parameters = [
			"fsync=off",
			"full_page_writes=off",
			"shared_buffers=16MB",
			"autovacuum=off",
			"listen_addresses=127.0.0.1",
			"dynamic_shared_memory_type=mmap",
			...this.#more,
		];
		const args = [
			"-D",
			join(this.#folder, "data"),
			"-p",
			String(this.port),
			"-k",
			this.#folder,
			...parameters.flatMap((each) => ["-c", each]),
		];
		const child = spawn(`${binaries()}/postgres`, args, { stdio: ["ignore", "ignore", "pipe"], cwd: this.#folder, ...owner() });
		this.#child = child;
		let log = "";
		child.stderr.setEncoding("utf8").on("data", (text: string) => {
			log = (log + text).slice(-4000);
		});
		const guard = startGuard(child.pid!);
		child.once("exit", () => guard.kill("SIGKILL"));
		const isReady = async () => child.exitCode !== null || (await this.#accepts());
		await waitFor(isReady, { deadlineMs: 20_000, what: `PostgreSQL on port ${this.port}` });
		if (child.exitCode !== null) throw new Error(`PostgreSQL on port ${this.port} ended with status ${child.exitCode}: ${log}`);
	}

	/** A connection of the user postgres. The caller ends it. */
	async connect(): Promise<Client> {
		// Loaded by those that need it: most tests do not.
		const { default: pg } = await import("pg");
		const client = new pg.Client({ connectionString: this.url });
		client.on("error", () => undefined);
		await client.connect();
		return client;
	}

	/** Accepts TLS from now on, also after `end` and `start`. Returns the file of its certificate, which is for 127.0.0.1. */
	async acceptTls(): Promise<string> {
		const { certFile, keyFile } = makeCertificate(this.#folder, { name: "tls" });
		giveToOwner(certFile, keyFile);
		const client = await this.connect();
		await client.query(`ALTER SYSTEM SET ssl_cert_file = '${certFile}'`);
		await client.query(`ALTER SYSTEM SET ssl_key_file = '${keyFile}'`);
		await client.query("ALTER SYSTEM SET ssl = on");
		await client.query("SELECT pg_reload_conf()");
		const shown = async () => (await client.query("SHOW ssl")).rows[0].ssl === "on";
		await waitFor(shown, { deadlineMs: 10_000, what: "TLS" });
		await client.end();
		return certFile;
	}

	/** "SIGSTOP" and "SIGCONT", of the process that accepts connections. */
	signal(signal: NodeJS.Signals): void {
		this.#child?.kill(signal);
	}

	/** Ends it at once and waits for that; `start` may follow. */
	async end(): Promise<void> {
		const child = this.#child;
		this.#child = null;
		if (child !== null) await endChild(child, "SIGQUIT");
	}

	async stop(): Promise<void> {
		await this.end();
		rmSync(this.#folder, { recursive: true, force: true });
	}

	async #accepts(): Promise<boolean> {
		try {
			const client = await this.connect();
			await client.end();
			return true;
		} catch {
			return false;
		}
	}
}

/** Another user, if this is root. */
function owner(): { readonly uid?: number; readonly gid?: number } {
	return process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
}

function giveToOwner(...paths: readonly string[]): void {
	const { uid, gid } = owner();
	if (uid !== undefined) for (const path of paths) chownSync(path, uid, gid!);
}

/**
 * The data of a server that nobody has used. To make it takes a second of CPU, so that is done once on a machine, and each server gets a copy. Several
 * processes that do so at once do no harm: the first rename wins.
 */
function newData(): string {
	const cache = cacheFolder();
	const kept = join(cache, `postgres-${basename(dirname(binaries()!))}-${owner().uid ?? process.getuid?.()}`);
	if (existsSync(kept)) return kept;
	const folder = mkdtempSync(join(tmpdir(), "postgres-"));
	mkdirSync(cache, { recursive: true });
	// Several processes may make it at the same time, also in containers that share the cache.
	const half = mkdtempSync(`${kept}.`);
	try {
		const password = join(folder, "password");
		writeFileSync(password, PostgresServer.password);
		giveToOwner(folder, password);
		makeData(folder, "initdb", ["-U", "postgres", "--auth=scram-sha-256", `--pwfile=${password}`, "-E", "UTF8", "--locale=C.UTF-8"]);
		copy(join(folder, "data"), half);
		renameSync(join(half, "data"), kept);
	} catch (error) {
		if (!existsSync(kept)) throw error;
	} finally {
		for (const each of [folder, half]) rmSync(each, { recursive: true, force: true });
	}
	return kept;
}

/** With owners and rights. */
function copy(from: string, to: string): void {
	const { status, stderr } = spawnSync("cp", ["-a", from, to], { encoding: "utf8" });
	if (status !== 0) throw new Error(`cp ended with status ${status}: ${stderr}`);
}

/** Runs a program of PostgreSQL that writes the data of a server into its folder. */
function makeData(folder: string, program: string, args: readonly string[]): void {
	const all = ["-D", join(folder, "data"), "--no-sync", ...args];
	const { status, stderr } = spawnSync(`${binaries()}/${program}`, all, { encoding: "utf8", cwd: folder, ...owner() });
	if (status !== 0) throw new Error(`${program} ended with status ${status}: ${stderr}`);
}
