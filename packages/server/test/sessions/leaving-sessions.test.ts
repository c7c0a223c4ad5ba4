import { CloseCode, closeReasons } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import type { ClientSession } from "../../src/sessions/client-session.ts";
import { LeavingSessions } from "../../src/sessions/leaving-sessions.ts";

function setup() {
	const clock = { ms: 0 };
	const ends: string[] = [];
	const counted: [string, number][] = [];
	const leaving = new LeavingSessions({
		bufferedBytesMax: () => 1000,
		deadlineMs: 5000,
		nowMs: () => clock.ms,
		resetting: (close) => {
			const before = ends.length;
			close();
			return ends.length - before;
		},
		counters: { add: (name, count) => counted.push([name, count]) },
	});
	let buffered = 0;
	const transport = {
		getBufferedAmount: () => buffered,
		end: (code: number, reason: string) => {
			ends.push(`${code} ${reason}`);
			leaving.closed(client);
		},
		close: () => {
			ends.push("cut");
			leaving.closed(client);
		},
	};
	const end = (code: CloseCode) => transport.end(code, closeReasons[code]);
	const client = { leaving: 0, transport, end } as unknown as ClientSession;
	const buffer = (bytes: number) => {
		buffered = bytes;
	};
	return { clock, leaving, ends, client, buffer, counted };
}

describe("closing clients", () => {
	it("are told at once when there is room for the close frame", () => {
		const { leaving, client, ends } = setup();
		leaving.close(client, CloseCode.tryAgainLater);
		expect(ends).toEqual(["1013 try again later"]);
		expect(leaving.count).toBe(0);
	});

	it("are told as soon as they have read enough to make room for the close frame", () => {
		const { leaving, client, ends, buffer } = setup();
		buffer(2000);
		leaving.close(client, CloseCode.slow);
		leaving.writable(client);
		buffer(900);
		leaving.writable(client);
		expect(ends, "900 and a close frame is more than 1000").toEqual([]);
		buffer(500);
		leaving.writable(client);
		expect(ends).toEqual(["3008 slow"]);
		expect(leaving.count).toBe(0);
	});

	it("are reset at their deadline", () => {
		const { leaving, client, ends, buffer, clock, counted } = setup();
		buffer(2000);
		leaving.close(client, CloseCode.slow);
		clock.ms = 4999;
		leaving.expire();
		expect(ends).toEqual([]);
		clock.ms = 5000;
		leaving.expire();
		expect(ends).toEqual(["cut"]);
		expect(leaving.count).toBe(0);
		leaving.expire();
		expect(counted).toEqual([["clientsReset", 1]]);
	});
});
