import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { SharedFile } from "@shardcast/native";
import type { Broker } from "../src/broker.ts";
import { createLogBuffers, createLogFiles, openLogBuffers, openLogFiles } from "../src/memory/log-files.ts";
import { LogKeeper } from "../src/memory/log-keeper.ts";
import type { LogMemory } from "../src/memory/log-memory.ts";
import { Lives } from "./programs/lives.mjs";

const program = join(import.meta.dirname, "programs", "log-member.mjs");

/** Where members of the logs run. */
export type Place = "threads" | "processes";

interface Message {
	readonly type?: "up" | "running" | "read";
	readonly id?: number;
	readonly result?: unknown;
	readonly error?: string;
	readonly seen?: Readonly<Record<string, readonly string[]>>;
}

/** A thread or a process. */
interface Member {
	send(message: object): void;
	/** At whatever instruction it is; resolves when it is reaped. */
	kill(): Promise<void>;
	readonly waiting: Map<number | NonNullable<Message["type"]>, { resolve(message: Message): void; reject(error: Error): void }>;
}

/** Members of the logs in separate threads or processes, and this process as their supervisor. They load the logs from `dist`. */
export class LogMembers {
	readonly memories: readonly LogMemory[];
	readonly keeper: LogKeeper;
	readonly lives: Lives;
	readonly #clock: Float64Array;
	readonly #config: object;
	readonly #place: Place;
	readonly #members = new Map<number, Member>();
	readonly #incarnations = new Map<number, number>();
	readonly #closers: (() => void)[] = [];
	#calls = 0;

	constructor(place: Place, memoryBytes: number) {
		this.#place = place;
		let clock: ArrayBufferLike;
		if (place === "threads") {
			const buffers = createLogBuffers({ memoryBytes });
			clock = new SharedArrayBuffer(Lives.bytes);
			this.memories = openLogBuffers(buffers);
			this.#config = { buffers, clock };
		} else {
			const directory = mkdtempSync("/dev/shm/shardcast-log-test-");
			this.#closers.push(() => rmSync(directory, { recursive: true, force: true }));
			createLogFiles(directory, { memoryBytes });
			const clockFile = SharedFile.create(join(directory, "clock"), Lives.bytes);
			const { memories, close } = openLogFiles(directory);
			this.#closers.push(() => clockFile.close(), close);
			clock = clockFile.buffer;
			this.memories = memories;
			this.#config = { directory, clockPath: clockFile.path };
		}
		this.#clock = new Float64Array(clock, 0, 1);
		this.#clock[0] = 1000;
		this.lives = new Lives(clock);
		this.keeper = new LogKeeper(this.memories);
	}

	/** Ends all members and removes what they shared. */
	async close(): Promise<void> {
		await Promise.all([...this.#members.values()].map((member) => member.kill()));
		for (const close of this.#closers.reverse()) close();
	}

	get nowMs(): number {
		return this.#clock[0]!;
	}

	pass(ms: number): void {
		this.#clock[0] = this.#clock[0]! + ms;
	}

	/** Starts the slot's next life. */
	async start(slot: number): Promise<void> {
		const incarnation = (this.#incarnations.get(slot) ?? 0) + 1;
		this.#incarnations.set(slot, incarnation);
		this.lives.clear(slot);
		const config = { ...this.#config, slot, incarnation };
		const member = this.#place === "threads" ? startThread(config) : startProcess(config);
		this.#members.set(slot, member);
		await this.#message(slot, "up");
	}

	/** Kills the slot's process or thread and does what a supervisor does. Returns how many locks it held. */
	async kill(slot: number): Promise<number> {
		const member = this.#members.get(slot)!;
		this.#members.delete(slot);
		await member.kill();
		return this.keeper.memberDied(slot, this.#incarnations.get(slot)!);
	}

	/** Resolves when it reads; it publishes from then on. */
	async run(slot: number, channels: readonly string[], most: number): Promise<void> {
		const running = this.#message(slot, "running");
		this.#members.get(slot)!.send({ type: "run", channels, most });
		await running;
	}

	/** Publishes no more, reads to the end, and tells what it has read, by channel. */
	async stop(slot: number): Promise<Readonly<Record<string, readonly string[]>>> {
		const read = this.#message(slot, "read");
		this.#members.get(slot)!.send({ type: "stop" });
		return (await read).seen!;
	}

	/** The slot's own end, called from here. */
	broker(slot: number): Broker {
		const call = async (method: string, args: readonly unknown[]): Promise<never> => {
			if (!this.#members.has(slot)) await this.start(slot);
			const id = ++this.#calls;
			const answer = this.#message(slot, id);
			this.#members.get(slot)!.send({ id, method, args });
			const { error, result } = await answer;
			if (error !== undefined) throw new RangeError(error);
			return result as never;
		};
		return {
			publish: (...args) => call("publish", args),
			history: (...args) => call("history", args),
			position: (...args) => call("position", args),
			removeHistory: (...args) => call("removeHistory", args),
		};
	}

	#message(slot: number, what: number | NonNullable<Message["type"]>): Promise<Message> {
		return new Promise((resolve, reject) => this.#members.get(slot)!.waiting.set(what, { resolve, reject }));
	}
}

function startThread(config: object): Member {
	const worker = new Worker(program, { workerData: config, execArgv: [] });
	const waiting: Member["waiting"] = new Map();
	worker.on("message", (message: Message) => arrived(waiting, message));
	worker.on("error", (error: Error) => failed(waiting, error));
	return { send: (message) => worker.postMessage(message), kill: async () => void (await worker.terminate()), waiting };
}

function startProcess(config: object): Member {
	const child = fork(program, [JSON.stringify(config)], { execArgv: [], serialization: "advanced" });
	const waiting: Member["waiting"] = new Map();
	child.on("message", (message: Message) => arrived(waiting, message));
	const exited = once(child, "exit");
	void exited.then(([code, signal]) => failed(waiting, new Error(`the member ended with ${code ?? signal}`)));
	const kill = async (): Promise<void> => {
		child.kill("SIGKILL");
		await exited;
	};
	return { send: (message) => void child.send(message), kill, waiting };
}

function arrived(waiting: Member["waiting"], message: Message): void {
	const key = message.id ?? message.type!;
	waiting.get(key)?.resolve(message);
	waiting.delete(key);
}

function failed(waiting: Member["waiting"], error: Error): void {
	for (const { reject } of waiting.values()) reject(error);
	waiting.clear();
}
