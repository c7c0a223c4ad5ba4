import { RunningTime } from "@shardcast/process";
import { Scoreboard } from "@shardcast/scoreboard";
import { describe, expect, it } from "vitest";
import type { ClientSession } from "../../src/sessions/client-session.ts";
import { Lane } from "../../src/sessions/lanes/lane.ts";
import { LaneMemory } from "../../src/sessions/lanes/lane-memory.ts";
import { UnreadLimit } from "../../src/sessions/unread-limit.ts";

const bufferedBytesMax = 1000;

/** Clients that are nothing but what waits for them. */
class Rig {
	readonly held = new Map<ClientSession, number>();
	readonly cut: number[] = [];
	readonly memory = { bytes: 0, publicationBytes: 0, messages: 0, replyBytes: 0, waitingForReplies: 0 };
	readonly row = Scoreboard.inMemory(1).row(0);
	/** The system's clock. While it goes on without `pass`, the process stands still. */
	nowMs = 0;
	readonly #running = new RunningTime(() => this.nowMs);
	looks = 0;
	bytesMax = 10_000;
	/** Whether lanes have publications that may be dropped. */
	mayDrop = true;
	readonly limit: UnreadLimit;

	constructor() {
		this.limit = new UnreadLimit({
			clients: () => [...this.held.keys()],
			lanes: {
				memory: this.memory as never,
				shrink: (bytes) => {
					if (this.mayDrop) this.lanesHold(Math.min(this.memory.publicationBytes, bytes));
					return this.mayDrop;
				},
			},
			bytesMax: () => this.bytesMax,
			bufferedBytesMax: () => bufferedBytesMax,
			cut: (clients) => {
				for (const client of clients) {
					this.cut.push(this.held.get(client)!);
					this.held.delete(client);
					this.limit.forget(client);
				}
			},
			nowMs: this.#running.nowMs,
			counters: this.row,
		});
	}

	client(bytes: number): ClientSession {
		const client = {
			transport: {
				getBufferedAmount: () => {
					this.looks++;
					return this.held.get(client)!;
				},
			},
		} as ClientSession;
		this.held.set(client, bytes);
		return client;
	}

	/** In a lane of which nothing may be dropped, with so many bytes in it. */
	stalled(bytes: number, queued: number): ClientSession {
		const client = this.client(bytes);
		class StalledLane extends Lane {
			override get queuedBytes(): number {
				return queued;
			}
		}
		client.transport = new StalledLane(client.transport, {} as never, this.row, new LaneMemory(), "stalled");
		return client;
	}

	/** With so many unread bytes of replies, and next to nothing in its transport. */
	withReplies(bytes: number): ClientSession {
		const client = this.client(1);
		class ReplyLane extends Lane {
			override get replyBytes(): number {
				return bytes;
			}
		}
		client.transport = new ReplyLane(client.transport, {} as never, this.row, new LaneMemory(), "long");
		return client;
	}

	/** @param replyBytes of it may not be dropped. */
	lanesHold(bytes: number, replyBytes = 0): void {
		Object.assign(this.memory, { bytes, publicationBytes: bytes - replyBytes, replyBytes });
	}

	/** Time passes while the process runs. */
	pass(ms: number): void {
		for (let left = ms; left > 0; left -= 200) {
			this.nowMs += Math.min(left, 200);
			this.#running.nowMs();
		}
	}

	/** Seconds in which something is published. */
	seconds(count: number): void {
		for (let second = 0; second < count; second++) {
			this.pass(1000);
			this.limit.published();
			this.limit.everySecond();
		}
	}
}

describe("the limit of all unread bytes", () => {
	it("closes those that have read nothing for two seconds, the slowest first, until a quarter is free", () => {
		const rig = new Rig();
		for (let number = 1; number <= 12; number++) rig.client(800 + number * 10);
		rig.seconds(2);
		expect(rig.cut, "closed before two seconds are over").toEqual([]);
		rig.seconds(1);
		expect(rig.cut).toEqual([920, 910, 900, 890]);
		expect(rig.row.get("unreadBytes")).toBeLessThanOrEqual(7500);
		expect(rig.row.get("clientsCutForMemory")).toBe(4);
		expect(rig.row.get("unreadLimited")).toBe(1);
	});

	it("spares those that read, however much waits", () => {
		const rig = new Rig();
		const clients = Array.from({ length: 20 }, () => rig.client(900));
		for (let second = 0; second < 10; second++) {
			for (const client of clients.slice(1)) rig.limit.writable(client);
			rig.seconds(1);
		}
		expect(rig.cut).toEqual([900]);
	});

	it("starts the time again for a client that has caught up in between", () => {
		const rig = new Rig();
		const client = rig.client(9000);
		rig.seconds(2);
		rig.held.set(client, 0);
		rig.seconds(1);
		rig.held.set(client, 11_000);
		rig.seconds(2);
		expect(rig.cut).toEqual([]);
		rig.seconds(1);
		expect(rig.cut).toEqual([11_000]);
	});

	it("a fifth of a second is all that counts of the time in which the process stood still: nobody's reading was noticed then", () => {
		const rig = new Rig();
		const stuck = rig.client(11_000);
		const reads = rig.client(12_000);
		rig.seconds(1);
		rig.nowMs += 29_000;
		rig.limit.everySecond();
		expect(rig.cut, "closed as soon as the process goes on").toEqual([]);
		rig.limit.writable(reads);
		for (let time = 0; time < 8; time++) {
			rig.nowMs += 29_000;
			rig.limit.everySecond();
		}
		expect(rig.cut).toEqual([]);
		rig.nowMs += 29_000;
		rig.limit.writable(reads);
		rig.limit.everySecond();
		expect(rig.cut, "a process that stands still again and again has a limit, too").toEqual([rig.held.get(stuck) ?? 11_000]);
	});

	it("lets lanes have half, and cuts them down before a client is closed", () => {
		const rig = new Rig();
		for (let number = 0; number < 6; number++) rig.client(900);
		rig.lanesHold(5000);
		rig.seconds(4);
		expect([rig.memory.bytes, rig.cut]).toEqual([5000, [900, 900, 900, 900]]);
		rig.lanesHold(6000);
		rig.seconds(4);
		expect([rig.memory.bytes, rig.cut.length]).toEqual([3750, 4]);
		expect(rig.row.get("laneBytes")).toBe(3750);
	});

	it("does not count as reached while lanes take more than half and have nothing that may be dropped", () => {
		const rig = new Rig();
		rig.mayDrop = false;
		rig.lanesHold(6000);
		rig.seconds(4);
		expect(rig.row.get("unreadLimited")).toBe(0);
	});

	it("counts what was freed, not what other stalled clients still wait for, and so closes the next one soon", () => {
		const rig = new Rig();
		rig.mayDrop = false;
		for (let number = 0; number < 3; number++) rig.stalled(100, 9000);
		rig.lanesHold(9900);
		rig.seconds(3);
		expect([rig.cut, rig.row.get("unreadBytes")]).toEqual([[100], 10_100]);
		rig.nowMs += 100;
		rig.limit.beforeTurn();
		expect([rig.cut, rig.row.get("unreadBytes")]).toEqual([[100, 100], 10_000]);
	});

	it("does not drop publications because replies take the memory", () => {
		const rig = new Rig();
		rig.lanesHold(9000, 5000);
		rig.seconds(4);
		expect([rig.memory.bytes, rig.row.get("unreadLimited")]).toEqual([9000, 0]);
	});

	it("takes a new limit with the next look", () => {
		const rig = new Rig();
		rig.client(900);
		rig.seconds(4);
		expect(rig.cut).toEqual([]);
		rig.bytesMax = 800;
		rig.seconds(1);
		expect(rig.cut).toEqual([900]);
	});

	it("looks at clients once a second, ten times as often when much waits, and rarely when nothing is published", () => {
		const rig = new Rig();
		const client = rig.client(0);
		const looksOf = (work: () => void) => {
			const before = rig.looks;
			work();
			return rig.looks - before;
		};
		const turns = () => {
			for (let turn = 0; turn < 1000; turn++) {
				rig.pass(1);
				rig.limit.beforeTurn();
			}
		};
		expect(looksOf(() => rig.seconds(10))).toBe(10);
		expect(looksOf(turns), "turns with little unread").toBe(0);
		const quiet = () => {
			for (let second = 0; second < 10; second++) {
				rig.pass(1000);
				rig.limit.everySecond();
			}
		};
		rig.limit.everySecond();
		expect(looksOf(quiet), "seconds without publications").toBe(2);
		rig.held.set(client, 3000);
		rig.seconds(1);
		expect(looksOf(turns), "turns with much unread").toBe(10);
		expect(rig.row.get("clientsBehind")).toBe(1);
	});
});

describe("replies that nobody reads while commands of others wait for their memory", () => {
	const rigged = (): { readonly rig: Rig; readonly clients: readonly ClientSession[] } => {
		const rig = new Rig();
		rig.client(900);
		const clients = [100, 300, 200, 400].map((bytes) => rig.withReplies(bytes));
		rig.lanesHold(1000, 1000);
		return { rig, clients };
	};
	const left = ({ held }: Rig, clients: readonly ClientSession[]): number[] =>
		clients.map((client) => (client.transport as Lane).replyBytes).filter((_, index) => held.has(clients[index]!));

	it("close those that have read nothing for two seconds, the most bytes first, until a quarter is free", () => {
		const { rig, clients } = rigged();
		rig.memory.waitingForReplies = 1;
		rig.seconds(2);
		expect(left(rig, clients), "before two seconds are over").toEqual([100, 300, 200, 400]);
		rig.seconds(1);
		expect(left(rig, clients)).toEqual([100, 300, 200]);
		expect(rig.held.size, "with the one that holds no replies").toBe(4);
		expect(rig.row.get("clientsCutForMemory")).toBe(1);
	});

	it("close none that reads", () => {
		const { rig, clients } = rigged();
		rig.memory.waitingForReplies = 1;
		for (let second = 0; second < 6; second++) {
			for (const client of clients.slice(1)) rig.limit.writable(client);
			rig.seconds(1);
		}
		expect(left(rig, clients)).toEqual([300, 200, 400]);
	});

	it("close nobody when no command waits", () => {
		const { rig, clients } = rigged();
		rig.seconds(10);
		expect(left(rig, clients)).toEqual([100, 300, 200, 400]);
	});

	it("are looked at each second, though nothing is published", () => {
		const { rig, clients } = rigged();
		rig.lanesHold(0, 1000);
		rig.memory.waitingForReplies = 1;
		for (let second = 0; second < 3; second++) {
			rig.pass(1000);
			rig.limit.everySecond();
		}
		expect(left(rig, clients)).toEqual([100, 300, 200]);
	});
});
