import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { getJson, httpRequest } from "./clients/http.ts";
import { freePorts } from "./network/ports.ts";
import { type ExitStatus, ManagedProcess } from "./processes/managed-process.ts";
import { identify, isReaped } from "./processes/proc.ts";
import { waitFor } from "./wait.ts";

interface ClusterOptions {
	/** 2 */
	readonly shards?: number;
	/** Further flags of `shardcast multi`, as on a command line. */
	readonly flags?: readonly string[];
	/** Text of its config file, which is deleted when it ends. */
	readonly config?: string;
	readonly env?: Readonly<Record<string, string | undefined>>;
	/** Files that each of its processes may have open. */
	readonly openFiles?: number;
	/** How long until every shard must serve (60 s: on a busy machine a start takes more than 20). */
	readonly readyMs?: number;
	/** Address of this machine on which its balancer listens; 127.0.0.1 */
	readonly host?: string;
	/** What connections to the cluster begin with before their request, such as a PROXY header. */
	readonly opening?: string;
	/** It is started with a certificate. */
	readonly tls?: boolean;
}

/** What a test needs of GET /health. */
export interface ClusterHealth {
	readonly status: "healthy" | "degraded" | "unhealthy";
	readonly reasons: readonly string[];
	readonly mode: "handoff" | "proxy";
	readonly connections: number;
	readonly maxConnections: number;
	readonly node?: { readonly id: string; readonly state: string; readonly reason?: string; readonly nodes: number };
	readonly shards: readonly ShardHealth[];
	readonly balancer: { readonly pid: number; readonly status: string };
}

export interface ShardHealth {
	readonly id: number;
	readonly pid: number;
	readonly core: number | null;
	readonly port: number;
	readonly status: string;
	readonly connections: number;
	readonly max: number;
	readonly restarts: number;
}

const bin = join(import.meta.dirname, "../../../apps/supervisor/dist/main.js");
/** Ports kept free behind the shards', so that a test can add some. */
const sparePorts = 4;

/** The real cluster, started by its own command on separate ports; `stop` must be called. */
export class Cluster {
	readonly process: ManagedProcess;
	/** Where clients connect: the balancer. */
	readonly url: string;
	readonly httpUrl: string;
	readonly basePort: number;

	readonly #opening: string | undefined;
	readonly #scheme: string;
	readonly #sharedMemory: string;

	constructor(
		process: ManagedProcess,
		basePort: number,
		balancerPort: number,
		{ opening, tls = false, host = "127.0.0.1", flags = [] }: ClusterOptions = {},
	) {
		this.process = process;
		this.#opening = opening;
		this.basePort = basePort;
		this.#scheme = tls ? "wss" : "ws";
		this.#sharedMemory = flags.includes("--cluster-directory") ? flags[flags.indexOf("--cluster-directory") + 1]! : "/dev/shm";
		this.url = `${this.#scheme}://${host}:${balancerPort}`;
		this.httpUrl = `${tls ? "https" : "http"}://${host}:${balancerPort}`;
	}

	/** A shard's own port, past the balancer. */
	shardUrl(shard: number): string {
		return `${this.#scheme}://127.0.0.1:${this.basePort + shard}`;
	}

	health(): Promise<ClusterHealth> {
		return getJson<ClusterHealth>(`${this.httpUrl}/health`, undefined, this.#opening);
	}

	log(): string {
		return this.process.log();
	}

	/** Waits for /ready: every shard serves. */
	async ready(deadlineMs = 20_000): Promise<void> {
		await this.process.waitUntil(
			async () => {
				const opening = this.#opening;
				const answer = await httpRequest(`${this.httpUrl}/ready`, { deadlineMs: 2_000, ...(opening !== undefined && { opening }) });
				if (answer.status !== 200) throw new Error(answer.body);
				return true;
			},
			"GET /ready of the cluster",
			deadlineMs,
		);
	}

	/** The processes of the cluster by name, supervisor first. */
	async pids(): Promise<Map<string, number>> {
		const health = await this.health();
		const pids = new Map([["supervisor", this.process.pid]]);
		pids.set("balancer", health.balancer.pid);
		for (const shard of health.shards) pids.set(`shard ${shard.id}`, shard.pid);
		return pids;
	}

	/** `kill -9` of one process; resolves with its pid once its parent has reaped it, so that the supervisor knows of its death. */
	async kill9(target: number | "balancer" | "supervisor"): Promise<number> {
		const name = typeof target === "number" ? `shard ${target}` : target;
		const pid = target === "supervisor" ? this.process.pid : (await this.pids()).get(name);
		if (pid === undefined) throw new Error(`the cluster has no ${name}`);
		const identity = identify(pid);
		process.kill(pid, "SIGKILL");
		await waitFor(() => isReaped(identity), { deadlineMs: 5_000, what: `the death of ${name} (${pid})` });
		return pid;
	}

	/** Carries out a verb of the admin interface, such as "scale 3", by the command. @returns its result. @throws when it was not done completely. */
	async operate(command: string): Promise<unknown> {
		const [directory] = this.sharedDirectories();
		const args = [bin, ...command.split(" "), "--json", "--admin-socket", join(directory!, "admin.sock")];
		const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 120_000 });
		return (JSON.parse(stdout.trim().split("\n").at(-1)!) as { readonly result: unknown }).result;
	}

	/**
	 * Stops the cluster (SIGTERM) and checks what it leaves: @throws when it does not end in time, when a child of its is
	 * still there, or a directory of its shared memory. The exit status is the caller's to judge.
	 */
	async stop(deadlineMs = 20_000): Promise<ExitStatus> {
		const status = await this.process.stop("SIGTERM", deadlineMs);
		const left = this.sharedDirectories();
		if (left.length > 0) throw new Error(`the cluster left ${left.join(", ")}\n${this.log()}`);
		return status;
	}

	/** Directories that belong to this cluster, in /dev/shm or the folder of the flag --cluster-directory. */
	sharedDirectories(): string[] {
		const own = new RegExp(`^shardcast-\\d+-${this.process.pid}-`);
		return readdirSync(this.#sharedMemory)
			.filter((name) => own.test(name))
			.map((name) => join(this.#sharedMemory, name));
	}
}

/** Starts `shardcast multi` from apps/supervisor/dist and waits until every shard serves. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
	const { env, openFiles, host = "127.0.0.1" } = options;
	const shards = options.shards ?? 2;
	const basePort = await freePorts(shards + sparePorts + 1);
	const balancerPort = basePort + shards + sparePorts;
	const ports = ["--base-port", String(basePort), "--lb-addr", `${host}:${balancerPort}`];
	const folder = options.config === undefined ? null : mkdtempSync(join(tmpdir(), "shardcast-"));
	const file = folder === null ? [] : ["--config", join(folder, "shardcast.yaml")];
	if (folder !== null) writeFileSync(file[1]!, options.config!);
	// The tests use the machine's CPUs for minutes, which is when these guards act.
	const guards = ["--guard-cpu", "off", "--guard-ingest-cpu", "off"];
	const args = ["multi", "--shards", String(shards), ...ports, ...guards, ...file, ...(options.flags ?? [])];
	const process = await ManagedProcess.start(bin, args, {
		...(env === undefined ? {} : { env }),
		...(openFiles === undefined ? {} : { openFiles }),
	});
	if (folder !== null) void process.exited.then(() => rmSync(folder, { recursive: true }));
	const cluster = new Cluster(process, basePort, balancerPort, options);
	try {
		await cluster.ready(options.readyMs ?? 60_000);
	} catch (error) {
		process.signal("SIGKILL");
		await process.exited;
		throw error;
	}
	return cluster;
}
