import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accepts } from "../network/accepts.ts";
import { freePorts } from "../network/ports.ts";
import { endChild } from "../processes/end-child.ts";
import { startGuard } from "../processes/managed-process.ts";
import { waitFor } from "../wait.ts";
import type { TestCertificate } from "./certificates.ts";

/** `SHARDCAST_TEST_REDIS_SERVER` names another program, such as that of Valkey. */
const program = process.env.SHARDCAST_TEST_REDIS_SERVER || "redis-server";

/**
 * Whether redis-server is installed. Without it a suite is skipped, with a line that says so, and in CI it fails. Call it at the top
 * of one: `describe.skipIf(!redisForTests())`.
 */
export function redisForTests(): boolean {
	if (spawnSync(program, ["--version"]).status === 0) return true;
	if (program !== "redis-server") throw new Error(`SHARDCAST_TEST_REDIS_SERVER: ${program} does not start`);
	const problem = "no redis-server; install Debian's package redis-server";
	if (process.env.CI === "true") throw new Error(problem);
	process.stderr.write(`\n!!! REDIS SUITES SKIPPED: ${problem} !!!\n\n`);
	return false;
}

interface RedisServerOptions {
	readonly password?: string;
	/** Accept only TLS. */
	readonly tls?: TestCertificate;
	/** Further options of its command line, such as "--cluster-enabled", "yes". */
	readonly args?: readonly string[];
}

/** A redis-server of a test, on a free port of 127.0.0.1. It keeps nothing on disk, unless `args` say so. `stop` must be called. */
export class RedisServer {
	readonly port: number;
	readonly #folder = mkdtempSync(join(tmpdir(), "redis-"));
	readonly #options: RedisServerOptions;
	#child: ChildProcess | null = null;

	private constructor(port: number, options: RedisServerOptions) {
		this.port = port;
		this.#options = options;
	}

	static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
		const server = new RedisServer(await freePorts(), options);
		await server.start();
		return server;
	}

	/** Without the password. */
	get url(): string {
		return `redis://127.0.0.1:${this.port}`;
	}

	/** Restarts it on the same port, with what it kept on disk. */
	async start(): Promise<void> {
		const { password, tls, args = [] } = this.#options;
		const secret = password === undefined ? [] : ["--requirepass", password];
		const fixed = [...this.#listen(tls), "--bind", "127.0.0.1", "--dir", this.#folder, "--save", "", "--appendonly", "no"];
		const child = spawn(program, [...fixed, ...secret, ...args], { stdio: ["ignore", "ignore", "inherit"] });
		this.#child = child;
		const guard = startGuard(child.pid!);
		child.once("exit", () => guard.kill("SIGKILL"));
		await waitFor(() => child.exitCode !== null || accepts(this.port), { deadlineMs: 10_000, what: `redis-server on port ${this.port}` });
		if (child.exitCode !== null) throw new Error(`redis-server on port ${this.port} ended with status ${child.exitCode}`);
	}

	#listen(tls: TestCertificate | undefined): readonly string[] {
		if (tls === undefined) return ["--port", String(this.port)];
		const files = ["--tls-cert-file", tls.certFile, "--tls-key-file", tls.keyFile, "--tls-ca-cert-file", tls.certFile];
		return ["--port", "0", "--tls-port", String(this.port), "--tls-auth-clients", "no", ...files];
	}

	get isRunning(): boolean {
		return this.#child !== null;
	}

	/** "SIGSTOP" and "SIGCONT". */
	signal(signal: NodeJS.Signals): void {
		this.#child?.kill(signal);
	}

	/** Sends a command with redis-cli. The process stands still meanwhile: what waits for an answer in it may be too late. @throws when it fails. */
	order(...args: readonly string[]): string {
		const { stdout, stderr, status } = spawnSync("redis-cli", ["-p", String(this.port), ...args], { encoding: "utf8" });
		return answerOf(args, stdout, stderr, status === 0);
	}

	/** Like `order`, for what is asked again and again: the process goes on. Rejects when it fails. */
	ask(...args: readonly string[]): Promise<string> {
		return new Promise((resolve, reject) => {
			execFile("redis-cli", ["-p", String(this.port), ...args], { encoding: "utf8" }, (error, stdout, stderr) => {
				try {
					resolve(answerOf(args, stdout, stderr, error === null));
				} catch (problem) {
					reject(problem);
				}
			});
		});
	}

	/** Stops it and waits until it has ended. `start` may follow. */
	async end(): Promise<void> {
		const child = this.#child;
		this.#child = null;
		if (child !== null) await endChild(child, "SIGKILL");
	}

	async stop(): Promise<void> {
		await this.end();
		rmSync(this.#folder, { recursive: true, force: true });
	}
}

function answerOf(args: readonly string[], stdout: string, stderr: string, isDone: boolean): string {
	if (!isDone || /^(\(error\) )?[A-Z]+ERR|^ERR/.test(stdout)) throw new Error(`redis-cli ${args.join(" ")}: ${stdout}${stderr}`);
	return stdout.trim();
}
