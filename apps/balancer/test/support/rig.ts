import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createMemberFiles, releaseMember } from "@shardcast/bus";
import { type Config, defaultConfig } from "@shardcast/config";
import { ChildLink, type ChildReport } from "@shardcast/control";
import { RateTable } from "@shardcast/limits";
import { DescriptorChannel, SharedFile } from "@shardcast/native";
import { type BoardRow, ClusterDirectory, Scoreboard, ShardState } from "@shardcast/scoreboard";
import { freePorts, waitFor } from "@shardcast/testkit";

export type Mode = "handoff" | "proxy";

export interface RigOptions {
	readonly mode: Mode;
	readonly shards?: number;
	readonly connectionsMax?: number;
	readonly config?: Partial<Config>;
	/** Files that the balancer may have open. */
	readonly openFiles?: number;
	/** For tests of shards that stand still: these count as silent after 0.8 s. In others a busy machine has longer. */
	readonly silence?: boolean;
	/** Lets `balancerHeapBytes` look. */
	readonly probeHeap?: boolean;
}

/** That of shardcast, in which the balancer is. */
const compileCache = fileURLToPath(new URL("../../../supervisor/dist/compile-cache", import.meta.url));
const balancerEntry = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const heapProbe = fileURLToPath(new URL("../programs/heap-probe.mjs", import.meta.url));
const stdio = ["ignore", "inherit", "inherit", "ipc"] as const;
const shardEntry = fileURLToPath(new URL("../programs/fake-shard.mjs", import.meta.url));

/** In handoff mode at most 0.5 s: the balancer takes a heartbeat 0.5 s after a handoff for a sign that the shard has had time to take it. */
const aheadMs: Readonly<Record<Mode, number>> = { handoff: 500, proxy: 60_000 };

/** The real balancer process with fake shards, and this process in the supervisor's place. `close` must be called. */
export class Rig {
	readonly directory: ClusterDirectory;
	readonly board: Scoreboard;
	readonly mode: Mode;
	/** What the balancer has told its supervisor. */
	readonly reports: ChildReport[] = [];
	port = 0;
	/** How often a shard has noticed that it could not keep up its heartbeat. */
	lateBeats = 0;
	/** How often the balancer has asked for the text of the metrics. */
	metricsAsked = 0;
	readonly #base: string;
	readonly #config: Config;
	readonly #balancerArguments: readonly string[];
	#openFiles: number | undefined;
	/** How far ahead shards date their heartbeats. */
	readonly #aheadMs: number;
	readonly #shards = new Map<number, ChildProcess>();
	/** As the supervisor has them. */
	readonly #handoffs: readonly DescriptorChannel[];
	/** All that were started. */
	readonly #balancers: ChildProcess[] = [];
	/** The last that was started. */
	#balancer: ChildProcess | null = null;
	#link: ChildLink | null = null;

	private constructor(options: RigOptions, base: string, basePort: number) {
		this.mode = options.mode;
		this.#base = base;
		this.#openFiles = options.openFiles;
		this.#aheadMs = options.silence ? 0 : aheadMs[options.mode];
		this.#balancerArguments = [...profilerArguments(), ...(options.probeHeap ? ["--expose-gc", "--import", heapProbe] : [])];
		this.directory = ClusterDirectory.create(base);
		this.#config = defaultConfig({ lbAddr: "127.0.0.1:0", basePort, host: "127.0.0.1", ...options.config });
		SharedFile.create(this.directory.ratesPath, RateTable.bytes, RateTable.format);
		const shards = options.shards ?? 2;
		this.board = Scoreboard.create(this.directory.boardPath, shards);
		for (let slot = 0; slot < shards; slot++) {
			createMemberFiles(this.directory, this.board, slot, { capacityBytes: 65_536 });
			const row = this.board.row(slot);
			row.port = basePort + slot;
			row.connectionsGiven = options.connectionsMax ?? 1000;
		}
		const slots = options.mode === "handoff" ? this.board.slots() : [];
		this.#handoffs = slots.map((slot) => DescriptorChannel.bind(this.directory.handoffPath(slot)));
	}

	static async open(options: RigOptions): Promise<Rig> {
		const base = mkdtempSync(join(tmpdir(), "balancer-"));
		const rig = new Rig(options, base, await freePorts(options.shards ?? 2));
		try {
			await Promise.all(rig.board.slots().map((slot) => rig.startShard(slot)));
			await rig.startBalancer();
			return rig;
		} catch (error) {
			await rig.close();
			throw error;
		}
	}

	get url(): string {
		return `http://127.0.0.1:${this.port}`;
	}

	get balancerPid(): number {
		return this.#balancer!.pid!;
	}

	row(slot: number): BoardRow {
		return this.board.row(slot);
	}

	async startShard(slot: number): Promise<void> {
		const row = this.row(slot);
		row.incarnation++;
		row.state = ShardState.starting;
		const argument = JSON.stringify({ cluster: this.directory.path, slot, mode: this.mode, aheadMs: this.#aheadMs });
		const inherited = this.#handoffs.slice(slot, slot + 1).map(({ descriptor }) => descriptor);
		const child = fork(shardEntry, [argument], { stdio: [...stdio, ...inherited], execArgv: [], env: environment() });
		row.pid = child.pid!;
		this.#shards.set(slot, child);
		child.on("message", (message) => {
			if (message === "late") this.lateBeats++;
		});
		const message = await Promise.race([
			once(child, "message").then(([first]) => first as unknown),
			once(child, "exit").then(() => "ended"),
		]);
		if (message !== "serving") throw new Error(`shard ${slot}: ${JSON.stringify(message)}`);
	}

	/** Kills it and, as the supervisor does, clears up after it, unless told not to. */
	async killShard(slot: number, options: { readonly release?: boolean } = {}): Promise<void> {
		const child = this.#shards.get(slot);
		if (child === undefined) return;
		this.#shards.delete(slot);
		await kill(child);
		if (!(options.release ?? true)) return;
		this.row(slot).pid = 0;
		releaseMember(this.directory, this.board, slot);
	}

	tellShard(slot: number, what: "stall" | "resume"): void {
		this.#shards.get(slot)!.send(what);
	}

	/** Connections that its shards have, together. */
	connections(): number {
		return this.board.rows().reduce((sum, row) => sum + row.connections, 0);
	}

	signalShard(slot: number, signal: NodeJS.Signals): void {
		this.#shards.get(slot)!.kill(signal);
	}

	async startBalancer(config: Partial<Config> = {}): Promise<ChildReport> {
		const inherited = this.#handoffs.map(({ descriptor }) => descriptor);
		const limited = this.#openFiles === undefined ? [] : ["/bin/sh", "-c", `ulimit -n ${this.#openFiles}; exec "$0" "$@"`];
		const [execPath, ...execArgv] = [...limited, process.execPath, ...this.#balancerArguments];
		const child = fork(balancerEntry, [], { stdio: [...stdio, ...inherited], execPath: execPath!, execArgv, env: environment() });
		this.#balancer = child;
		this.#balancers.push(child);
		this.board.balancer.pid = child.pid!;
		const report = new Promise<ChildReport>((resolve, reject) => {
			const onReport = (message: ChildReport) => {
				if (message.type === "loaded") return;
				this.reports.push(message);
				resolve(message);
			};
			this.#link = new ChildLink(child, onReport, async () => {
				this.metricsAsked++;
				return "# the metrics\n";
			});
			ended(child).then((code) => reject(new Error(`the balancer ended with status ${code}`)), reject);
		});
		const whole = { ...this.#config, ...config };
		const { mode } = this;
		const handoffDescriptors = inherited.map((_, slot) => stdio.length + slot);
		const place = { slot: -1, incarnation: 1, core: null, shardsTotal: this.board.slotsMax, connectionsMax: 0 };
		this.#link!.send({
			type: "start",
			role: "balancer",
			workers: "shard",
			listenDescriptor: null,
			leftDescriptor: null,
			backends: [],
			cluster: this.directory.path,
			config: whole,
			certificates: [],
			mode,
			handoffDescriptors,
			...place,
		});
		const first = await report;
		if (first.type === "ready") this.port = first.port ?? 0;
		return first;
	}

	/** Gives the balancer the options that it started with, but for these, and waits until it says that it chooses shards by them. */
	async placeBy(changes: Partial<Pick<Config, "lbStrategy" | "lbAffinity">>): Promise<void> {
		const config = { ...this.#config, ...changes };
		this.#link!.send({ type: "config", config });
		const { balancer } = this.board;
		await waitFor(() => balancer.strategy === config.lbStrategy && balancer.affinity === config.lbAffinity, {
			deadlineMs: 5000,
			what: "the balancer to take the options up",
		});
	}

	/** Bytes of the balancer's heap that are in use once all garbage has been collected. Needs `probeHeap`. */
	async balancerHeapBytes(): Promise<number> {
		const reply = new Promise<number>((resolve) => {
			const onMessage = (message: { readonly type: string; readonly bytes: number }) => {
				if (message.type !== "heap") return;
				this.#balancer!.off("message", onMessage);
				resolve(message.bytes);
			};
			this.#balancer!.on("message", onMessage);
		});
		this.#balancer!.kill("SIGUSR2");
		return reply;
	}

	async killBalancer(): Promise<void> {
		if (this.#balancer !== null) await kill(this.#balancer);
		this.#balancer = null;
		this.board.balancer.release();
	}

	/** A new balancer in front of the same shards, which each have `connectionsMax` slots. */
	async renewBalancer({ connectionsMax = 1000, config, openFiles }: Omit<RigOptions, "mode" | "shards" | "silence">): Promise<void> {
		await this.#killBalancers();
		this.board.balancer.release();
		this.#openFiles = openFiles;
		for (const row of this.board.rows()) row.connectionsGiven = connectionsMax;
		await this.startBalancer(config);
	}

	/** @returns what was cut off, and the exit status. */
	async drainBalancer(deadlineMs: number): Promise<{ readonly cutOff: number; readonly status: number | null }> {
		const child = this.#balancer!;
		this.#balancer = null;
		const end = ended(child);
		this.#link!.send({ type: "drain", deadlineMs });
		const status = await end;
		const drained = this.reports.findLast((report) => report.type === "drained");
		return { cutOff: drained?.type === "drained" ? drained.cutOff : -1, status };
	}

	async #killBalancers(): Promise<void> {
		await Promise.all(this.#balancers.splice(0).map(kill));
		this.#balancer = null;
	}

	async close(): Promise<void> {
		await this.#killBalancers();
		for (const slot of [...this.#shards.keys()]) await this.killShard(slot, { release: false });
		for (const channel of this.#handoffs) channel.close();
		this.board.close();
		rmSync(this.#base, { recursive: true, force: true });
	}
}

const environment = (): NodeJS.ProcessEnv => ({ ...process.env, NODE_COMPILE_CACHE: compileCache });

/** Its exit status, when its last messages have come as well: they may come after its exit. */
async function ended(child: ChildProcess): Promise<number | null> {
	const [exit] = await Promise.all([once(child, "exit"), child.connected ? once(child, "disconnect") : null]);
	return exit[0] as number | null;
}

async function kill(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const exited = once(child, "exit");
	child.kill("SIGKILL");
	await exited;
}

/** For a look at what the balancer does: BALANCER_NODE_ARGUMENTS="--cpu-prof --cpu-prof-dir=/tmp/profile". */
function profilerArguments(): string[] {
	return process.env.BALANCER_NODE_ARGUMENTS?.split(" ") ?? [];
}
