import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openLogFiles } from "@shardcast/channel-log";
import { ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { ManagedProcess, waitFor } from "@shardcast/testkit";

const program = join(import.meta.dirname, "../programs/supervise.mjs");
/** That of the program itself, which compiles most of the same code. */
const compileCache = join(import.meta.dirname, "../../dist/compile-cache");

export interface FakeEvent {
	readonly name: string;
	readonly event: string;
	readonly pid: number;
	readonly incarnation?: number;
	readonly atMs?: number;
	readonly tookMs?: number;
	readonly deadlineMs?: number;
	readonly text?: string;
	readonly path?: string;
	readonly port?: number;
	readonly moved?: number;
	readonly left?: number;
}

/** What an operation has led to. */
export interface OperationOutcome {
	readonly result?: Readonly<Record<string, unknown>>;
	readonly error?: { readonly name: string; readonly code?: string; readonly message: string };
}

/** A real supervisor over fake children. */
export class FakeCluster {
	readonly process: ManagedProcess;
	readonly #base: string;

	private constructor(process: ManagedProcess, base: string) {
		this.process = process;
		this.#base = base;
	}

	static async start(
		options: { shards?: number; mode?: "handoff" | "proxy"; config?: object; faults?: object } = {},
	): Promise<FakeCluster> {
		const base = mkdtempSync("/dev/shm/shardcast-test-");
		const config = {
			restartBackoffMinMs: 20,
			restartBackoffMaxMs: 100,
			heartbeatTimeoutMs: 5000,
			readyTimeoutMs: 10_000,
			...options.config,
		};
		const args = [String(options.shards ?? 2), base, options.mode ?? "handoff", JSON.stringify(config)];
		const env = { FAKE_CHILD: JSON.stringify(options.faults ?? {}), NODE_COMPILE_CACHE: compileCache };
		return new FakeCluster(await ManagedProcess.start(program, args, { env }), base);
	}

	/** What the children and the supervisor have told so far. */
	events(name?: string, event?: string): FakeEvent[] {
		const lines = this.process.log().split("\n").slice(0, -1);
		const events = lines.filter((line) => line.startsWith('{"name"')).map((line) => JSON.parse(line) as FakeEvent);
		return events.filter((each) => (name === undefined || each.name === name) && (event === undefined || each.event === event));
	}

	async ready(): Promise<void> {
		await this.process.waitForOutput(/"event":"ready"/, 10_000);
	}

	/** Waits for the `count`-th time that this happened to this child. */
	async event(name: string, event: string, count = 1): Promise<FakeEvent> {
		await waitFor(() => this.events(name, event).length >= count, { what: `${event} of ${name}`, deadlineMs: 10_000 });
		return this.events(name, event)[count - 1];
	}

	/** Carries out an operation; resolves with its result or its error. */
	async operate(name: string, ...args: readonly unknown[]): Promise<OperationOutcome> {
		const { port } = await this.event("supervisor", "operations");
		const answer = await fetch(`http://127.0.0.1:${port}`, { method: "POST", body: JSON.stringify([name, ...args]) });
		return (await answer.json()) as OperationOutcome;
	}

	/** Cluster directories that are there now. */
	directories(): string[] {
		return readdirSync(this.#base);
	}

	/** The scoreboard of the cluster, mapped; close it. */
	board(): Scoreboard {
		return Scoreboard.open(ClusterDirectory.open(join(this.#base, this.directories()[0])).boardPath);
	}

	/** The logs of the cluster, mapped; close them. */
	logs(): ReturnType<typeof openLogFiles> {
		return openLogFiles(join(this.#base, this.directories()[0]));
	}

	/** Ends what still runs and removes what is left; tells what was left. */
	async clean(): Promise<string[]> {
		if (this.process.status() === null) await this.process.stop("SIGKILL");
		const left = this.directories();
		rmSync(this.#base, { recursive: true });
		return left;
	}
}
