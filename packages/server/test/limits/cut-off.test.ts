import { defaultConfig } from "@shardcast/config";
import { AddressTable, RateTable } from "@shardcast/limits";
import { Scoreboard } from "@shardcast/scoreboard";
import { silentLog } from "@shardcast/telemetry";
import { monotonicMs } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { LiveConfig } from "../../src/lifecycle/live-config.ts";
import { ConnectionCheck } from "../../src/limits/connection-check.ts";
import { CutOff } from "../../src/limits/cut-off.ts";
import { rawRequest } from "../support/raw-request.ts";

const member = { id: "n1", state: "member", nodes: 2 } as const;
const cutOff = { id: "n1", state: "cutOff", nodes: 2, reason: "it is cut off from the others: Redis is away", refuses: true } as const;

describe("a node that is cut off and refuses clients", () => {
	it("is known within 200 ms, and the state is not read more often", () => {
		let reads = 0;
		let nowMs = 1000;
		const board = Scoreboard.inMemory(1);
		const state = new CutOff({
			board: {
				get node() {
					reads++;
					return board.node;
				},
			},
			nowMs: () => nowMs,
		});
		expect(state.refuses, "a machine that works alone").toBe(false);
		board.node = cutOff;
		nowMs += 199;
		expect([state.refuses, reads]).toEqual([false, 1]);
		nowMs += 1;
		expect([state.refuses, state.refuses, reads]).toEqual([true, true, 2]);
		board.node = member;
		nowMs += 200;
		expect(state.refuses).toBe(false);
		const { refuses: _, ...serves } = cutOff;
		board.node = serves;
		nowMs += 200;
		expect(state.refuses, "by default it serves").toBe(false);
	});

	it("answers 503 to new clients of all protocols, and counts them", () => {
		const board = Scoreboard.inMemory(1);
		board.node = cutOff;
		const row = board.row(0);
		const config = defaultConfig();
		const options = { config, row, board, rates: RateTable.inMemory(), openAddresses: () => AddressTable.inMemory(10), isProxy: null };
		const check = new ConnectionCheck({ options: { ...options, log: silentLog() }, live: new LiveConfig(config), clients: () => [] });
		expect(check.judge(rawRequest("").head)).toMatchObject({ status: 503, body: expect.stringContaining('"cut_off"') });
		expect(check.stopping()).toMatchObject({ status: 503 });
		expect(check.isCutOff()).toBe(true);
		expect(row.get("refusedCutOff")).toBe(2);
	});
});

describe("a shard while a guard acts", () => {
	const state = (sinceMs: number) => ({ sinceMs, value: 91, threshold: 90, times: 1 });
	const setup = () => {
		const board = Scoreboard.inMemory(2);
		const config = defaultConfig();
		const options = {
			config,
			row: board.row(0),
			board,
			rates: RateTable.inMemory(),
			openAddresses: () => AddressTable.inMemory(10),
			isProxy: null,
		};
		const check = new ConnectionCheck({ options: { ...options, log: silentLog() }, live: new LiveConfig(config), clients: () => [] });
		return { board, check };
	};

	it.each([
		["of the cluster", "memory", null],
		["of this shard", "descriptors", 0],
	] as const)("%s answers 503 to new clients, with a time to try again that differs, and counts them", (_, name, slot) => {
		const { board, check } = setup();
		const words = slot === null ? board.guards : board.row(slot).guards;
		expect(check.judge(rawRequest("").head)).toBeNull();
		words.write(monotonicMs(), new Map([[name, state(1)]]));
		const replies = Array.from({ length: 50 }, () => check.judge(rawRequest("").head)!);
		expect(replies[0]).toMatchObject({ status: 503, body: expect.stringContaining('"overloaded"'), close: true });
		const waits = replies.map(({ headers }) => Number(headers["Retry-After"]));
		expect(new Set(waits).size).toBeGreaterThan(3);
		expect(Math.min(...waits)).toBeGreaterThanOrEqual(10);
		expect(Math.max(...waits)).toBeLessThanOrEqual(20);
		expect(check.turnedAway(), "clients without a WebSocket").toMatchObject({ status: 503 });
		expect(check.stopping(), "the console is needed most now").toBeNull();
		expect(board.row(0).get("refusedOverloaded")).toBe(51);
		words.write(monotonicMs(), new Map([[name, state(0)]]));
		expect(check.judge(rawRequest("").head)).toBeNull();
	});

	it("guards of other shards, and those that pause reading from Kafka, keep no client away", () => {
		const { board, check } = setup();
		board.row(1).guards.write(monotonicMs(), new Map([["loop_lag", state(1)]]));
		board.guards.write(monotonicMs(), new Map([["ingest_cpu", state(1)]]));
		expect(board.guards.pauses(monotonicMs())).toBe(true);
		expect(check.judge(rawRequest("").head)).toBeNull();
	});
});
