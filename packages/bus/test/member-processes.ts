import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { createMemberFiles, releaseMember } from "../src/member-files.ts";
import { makeCluster, removeMember, type TestCluster } from "./cluster.ts";

/** What a member has seen of one incarnation of another: the first and the last record; those between were complete. */
type Ranges = Map<number, Map<number, readonly [first: number, last: number]>>;

export interface Report {
	readonly published: number;
	readonly recordsRead: number;
	readonly wakes: number;
	readonly seen: Ranges;
}

/** What one life of a member published, as known from outside: after a kill, between two numbers. */
export interface Life {
	readonly slot: number;
	readonly incarnation: number;
	readonly publishedMin: number;
	readonly publishedMax: number;
}

const program = fileURLToPath(new URL("./programs/member.mjs", import.meta.url));

/** Members of a bus in separate processes, and this process as their supervisor. */
export class MemberProcesses {
	readonly cluster: TestCluster;
	readonly lives: Life[] = [];
	readonly #seed: number;
	readonly #children = new Map<number, ChildProcess>();
	readonly #failures: string[] = [];
	readonly #capacityBytes: number;
	readonly #publishes = new Map<number, boolean>();

	constructor(seed: number, capacityBytes: number) {
		this.#seed = seed;
		this.#capacityBytes = capacityBytes;
		this.cluster = makeCluster(0, capacityBytes);
		onTestFinished(() => {
			for (const child of this.#children.values()) child.kill("SIGKILL");
			this.cluster.close();
		});
	}

	/** Makes the slot a member, if it is none, and starts its process. It publishes after `go`. */
	async start(slot: number, publishes: boolean): Promise<void> {
		const { directory, board } = this.cluster;
		const row = board.row(slot);
		if (!row.present) createMemberFiles(directory, board, slot, { capacityBytes: this.#capacityBytes });
		row.incarnation++;
		row.set("messagesIn", 0);
		const child = fork(program, [], { execArgv: [] });
		this.#children.set(slot, child);
		this.#publishes.set(slot, publishes);
		child.on("message", (message: { type: string; message: string }) => {
			if (message.type === "failed") this.#failures.push(message.message);
		});
		child.send({ type: "start", directory: directory.path, slot, incarnation: row.incarnation, seed: this.#seed, publishes });
		await this.#message(slot, "joined");
	}

	go(...slots: number[]): void {
		for (const slot of slots) this.#children.get(slot)!.send({ type: "go" });
	}

	/** Kill -9 at whatever instruction it is, then what a supervisor does. */
	async kill(slot: number): Promise<void> {
		const { directory, board } = this.cluster;
		const child = this.#children.get(slot)!;
		const exit = once(child, "exit");
		child.kill("SIGKILL");
		await exit;
		this.#children.delete(slot);
		this.check();
		const committed = board.row(slot).get("messagesIn");
		const publishedMax = committed + (this.#publishes.get(slot) ? 1 : 0);
		this.lives.push({ slot, incarnation: board.row(slot).incarnation, publishedMin: committed, publishedMax });
		releaseMember(directory, board, slot);
	}

	/** Ends publishing; what was published is known exactly then. */
	async stop(slot: number): Promise<void> {
		this.#children.get(slot)!.send({ type: "stop" });
		const { published } = await this.#message<{ published: number }>(slot, "stopped");
		const { incarnation } = this.cluster.board.row(slot);
		this.lives.push({ slot, incarnation, publishedMin: published, publishedMax: published });
	}

	/** Reads to the end, leaves. */
	async finish(slot: number): Promise<Report> {
		const child = this.#children.get(slot)!;
		const exit = once(child, "exit");
		child.send({ type: "finish" });
		const report = await this.#message<Report & { seen: [number, [number, [number, number]][]][] }>(slot, "report");
		await exit;
		this.#children.delete(slot);
		return { ...report, seen: new Map(report.seen.map(([origin, incarnations]) => [origin, new Map(incarnations)])) };
	}

	/** Waits until the others have taken up the slot's ring, as a supervisor would. */
	async remove(slot: number): Promise<void> {
		const { directory, board } = this.cluster;
		for (const endMs = performance.now() + 5_000; !removeMember(directory, board, slot); await delay(1))
			if (performance.now() > endMs) throw new Error(`member ${slot} could not be removed within 5 s`);
	}

	/** Throws when a member has found something wrong. */
	check(): void {
		if (this.#failures.length > 0) throw new Error(this.#failures.join("\n"));
	}

	#message<T>(slot: number, type: string): Promise<T> {
		const child = this.#children.get(slot)!;
		return new Promise((resolve, reject) => {
			const onMessage = (message: { type: string }) => {
				if (message.type !== type) return;
				child.off("exit", onExit);
				resolve(message as T);
			};
			const onExit = (status: number | null, signal: string | null) =>
				reject(new Error([`member ${slot} has left: ${status ?? signal}`, ...this.#failures].join("\n")));
			child.on("message", onMessage);
			child.once("exit", onExit);
		});
	}
}

/** Says what is wrong with what a member that was there all the time has seen of every other one's lives. */
export function gaps(lives: readonly Life[], seen: Ranges): string[] {
	const wrong: string[] = [];
	for (const { slot, incarnation, publishedMin, publishedMax } of lives) {
		const [first, last] = seen.get(slot)?.get(incarnation) ?? [1, 0];
		if (first !== 1 || last < publishedMin || last > publishedMax)
			wrong.push(`${slot}.${incarnation}: saw ${first} to ${last}, published were ${publishedMin} to ${publishedMax}`);
	}
	return wrong;
}

/** The seed of a random test: from SHARDCAST_TEST_SEED, or by chance. Print it in the test's name. */
export function testSeed(): number {
	return Number(process.env.SHARDCAST_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31)) | 1;
}

/** Mulberry32: numbers from 0 to 1 from a seed. */
export function randomFrom(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}
