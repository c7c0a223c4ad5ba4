import { MemoryBus } from "@shardcast/bus";
import { Scoreboard, ShardState } from "@shardcast/scoreboard";
import { createRecordHead, RecordType, readRecordHead, recordTarget } from "@shardcast/wire";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CentrifugeSession } from "../../../../src/sessions/centrifuge/centrifuge-session.ts";
import { Emulation } from "../../../../src/sessions/centrifuge/http/emulation.ts";
import { ForwardedFrames } from "../../../../src/sessions/centrifuge/http/forwarded-frames.ts";
import { SessionIds } from "../../../../src/sessions/centrifuge/http/session-ids.ts";

const bytes = (text: string) => Buffer.from(text);

describe("SessionIds", () => {
	it("every shard recognises the ids of its cluster and the shard that created them; no id is created twice", () => {
		const [ids, sameCluster, otherCluster] = [new SessionIds([1, 2]), new SessionIds([1, 2]), new SessionIds([1, 3])];
		const all = Array.from({ length: 100 }, () => ids.create(0x10007));
		expect(new Set(all).size).toBe(100);
		for (const id of all) {
			expect(id).toMatch(/^[-\w]{32}$/);
			expect(sameCluster.lifeOf(id)).toBe(0x10007);
			expect(otherCluster.lifeOf(id)).toBeNull();
		}
	});

	it("an id that was changed or forged is invalid", () => {
		const ids = new SessionIds([1, 2]);
		const id = Buffer.from(ids.create(0x10001), "base64url");
		for (let at = 0; at < id.length; at++) {
			const changed = Buffer.from(id);
			changed[at]! ^= 1;
			expect(ids.lifeOf(changed.toString("base64url")), `byte ${at}`).toBeNull();
		}
		for (const text of ["", "x", "é".repeat(32), "a".repeat(31), "a".repeat(33), "a".repeat(32)]) expect(ids.lifeOf(text)).toBeNull();
	});
});

describe("ForwardedFrames", () => {
	beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
	afterEach(() => void vi.useRealTimers());

	function setup() {
		const bus = new MemoryBus({ members: 2, capacityBytes: 65_536 });
		const own = bus.link(0);
		const other = bus.link(1);
		const frames = new ForwardedFrames({ ring: own, onCommit: () => {} });
		const head = createRecordHead();
		const read = (): string[] => {
			const found: string[] = [];
			const visit = (_origin: number, u8: Uint8Array, view: DataView, start: number, end: number): void => {
				readRecordHead(view, start, end, head);
				expect(head).toMatchObject({ type: RecordType.clientFrames, target: recordTarget(1), channelCount: 0 });
				found.push(Buffer.from(u8.subarray(head.payloadStart, head.payloadEnd)).toString("latin1").trim());
			};
			own.read(1000, () => {});
			other.read(1000, visit);
			return found;
		};
		return { frames, read };
	}

	it("frames take at most a quarter of the ring; the others wait in order", async () => {
		const { frames, read } = setup();
		const outcomes = Array.from({ length: 40 }, (_, n) => frames.pass(1, bytes(String(n).padEnd(1000))));
		const passed = outcomes.filter((outcome) => outcome === true).length;
		expect(passed).toBeGreaterThan(10);
		expect(passed).toBeLessThan(17);
		// There is room now, but others came before it.
		const all = read();
		outcomes.push(frames.pass(1, bytes("40")));
		expect(outcomes.at(-1)).toBeInstanceOf(Promise);
		while (all.length < 41) {
			vi.advanceTimersByTime(1);
			const more = read();
			expect(more.length).toBeGreaterThan(0);
			all.push(...more);
		}
		expect(all).toEqual(Array.from({ length: 41 }, (_, n) => String(n)));
		expect(await Promise.all(outcomes)).toEqual(Array.from({ length: 41 }, () => true));
		expect(vi.getTimerCount()).toBe(0);
	});

	it("refuses at once what would wait behind 4 MiB, and everything when it stops", async () => {
		const { frames } = setup();
		const waiting: Promise<boolean>[] = [];
		let refused = 0;
		for (let n = 0; n < 200; n++) {
			const outcome = frames.pass(1, Buffer.alloc(60_000));
			if (outcome instanceof Promise) waiting.push(outcome);
			else if (!outcome) refused++;
		}
		expect(waiting.length).toBe(69);
		expect(refused).toBe(200 - 69);
		frames.stop();
		expect(new Set(await Promise.all(waiting))).toEqual(new Set([false]));
		expect(vi.getTimerCount()).toBe(0);
	});
});

describe("Emulation", () => {
	function setup() {
		const bus = new MemoryBus({ members: 2, capacityBytes: 65_536 });
		const board = Scoreboard.inMemory(2);
		const clock = { ms: 0 };
		const failures: unknown[] = [];
		const shards = [0, 1].map((slot) => {
			const row = board.row(slot);
			row.incarnation = 1;
			row.state = ShardState.serving;
			row.connectionsGiven = 10;
			const parts = { board, bus: bus.link(slot), row, onCommit: () => {}, failed: (error: unknown) => failures.push(error) };
			return { row, link: parts.bus, emulation: new Emulation({ ...parts, nowMs: () => clock.ms }) };
		});
		const [home, away] = shards as [(typeof shards)[0], (typeof shards)[0]];
		const deliver = (): void => {
			const head = createRecordHead();
			away.link.read(100, () => {});
			home.link.read(100, (_origin, u8, view, start, end) => {
				readRecordHead(view, start, end, head);
				home.emulation.arrived(u8.subarray(head.payloadStart, head.payloadEnd));
			});
		};
		const frames: string[] = [];
		const closed: number[] = [];
		const session = {
			sessionId: home.emulation.newId(),
			frame: (message: ArrayBuffer) => {
				const text = Buffer.from(message).toString();
				if (text === "throws") throw new Error(text);
				frames.push(text);
			},
			close: (code: number) => closed.push(code),
		} as unknown as CentrifugeSession;
		home.emulation.opened(session);
		return { home, away, session, frames, closed, clock, failures, deliver, board };
	}

	it("a frame reaches its session from either shard; a closed session ignores it", async () => {
		const { home, away, session, frames, deliver } = setup();
		expect(home.emulation.take(session.sessionId, bytes("one"))).toBe("accepted");
		expect(away.emulation.take(session.sessionId, bytes("two"))).toBe("accepted");
		expect(away.emulation.take(session.sessionId, bytes("three"))).toBe("accepted");
		expect(frames).toEqual(["one"]);
		deliver();
		await Promise.resolve();
		expect(frames).toEqual(["one", "two", "three"]);
		expect([away.row.get("framesPassedOn"), home.row.get("framesEmulated")]).toEqual([2, 3]);
		home.emulation.closed(session);
		for (const { emulation } of [home, away]) expect(emulation.take(session.sessionId, bytes("late"))).toBe("accepted");
		deliver();
		await Promise.resolve();
		expect(frames).toHaveLength(3);
	});

	it("an id is unknown if its shard has died or has been restarted, or if it was forged", () => {
		const { home, away, session, frames } = setup();
		expect(away.emulation.take("A".repeat(32), bytes("x"))).toBe("unknown");
		home.row.state = ShardState.starting;
		expect(away.emulation.take(session.sessionId, bytes("x"))).toBe("unknown");
		home.row.state = ShardState.serving;
		home.row.incarnation = 2;
		expect(away.emulation.take(session.sessionId, bytes("x"))).toBe("unknown");
		expect(frames).toEqual([]);
	});

	it("more than 500 frames a second close the session with 3013, counted", () => {
		const { home, session, frames, closed, clock } = setup();
		for (let n = 0; n < 500; n++) home.emulation.take(session.sessionId, bytes("x"));
		expect([frames.length, closed]).toEqual([500, []]);
		clock.ms += 10;
		for (let n = 0; n < 6; n++) home.emulation.take(session.sessionId, bytes("x"));
		expect([frames.length, closed, home.row.get("rateLimited")]).toEqual([505, [3013], 1]);
	});

	it("a frame from another shard that fails closes its session, and affects no other frame", async () => {
		const { away, session, frames, closed, failures, deliver } = setup();
		away.emulation.take(session.sessionId, bytes("throws"));
		away.emulation.take(session.sessionId, bytes("next"));
		deliver();
		await Promise.resolve();
		expect([failures.length, closed, frames]).toEqual([1, [1011], ["next"]]);
	});
});
