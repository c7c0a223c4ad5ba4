import { Sent } from "@shardcast/server/listening";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import { ClientOutput, type GatewayTransport, socketLowMark } from "../../src/clients/client-output.ts";
import type { GatewayClient } from "../../src/clients/gateway-client.ts";
import { Bandwidth } from "../../src/flow/bandwidth.ts";
import { FrameClass, FrameLayout } from "../../src/frames/frame-descriptor.ts";
import { ClientLanes, type ClientLanesOptions } from "../../src/lanes/client-lanes.ts";
import { GatewayCounts } from "../../src/monitor/gateway-counts.ts";
import { Source } from "../../src/routing/source.ts";
import { frameOf } from "../support/frames.ts";

const { CONTROL, VIDEO, FILE } = FrameClass;
const clientId = 7;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface RigOptions extends ClientLanesOptions {
	readonly bytesPerSecond?: number;
	/** Whether it may be sent a frame with priority at once. */
	readonly mayAtOnce?: boolean;
}

/** The output of one client, whose WebSocket always says that it has written all. */
function outputWith({ bytesPerSecond = 0, mayAtOnce = false, ...options }: RigOptions = {}) {
	const pool = new BufferPool();
	const nowMs = () => Date.now();
	const counts = new GatewayCounts();
	const lanes = new ClientLanes(options);
	const socket = { sent: 0, buffered: 0, keeps: false };
	const transport = {
		getBufferedAmount: () => socket.buffered,
		cork: (callback: () => void) => callback(),
		send: (bytes: Uint8Array) => {
			socket.sent++;
			if (socket.keeps) socket.buffered += bytes.length;
			return Sent.written;
		},
	};
	const output = new ClientOutput({
		...{ lanes, counts, nowMs },
		bandwidth: new Bandwidth(bytesPerSecond, nowMs()),
		client: {} as GatewayClient,
		pumps: { soon: () => {}, mayAtOnce: () => mayAtOnce },
	});
	output.open(transport as unknown as GatewayTransport);
	const source = new Source({ resume: () => {} });
	return {
		...{ pool, counts, lanes, socket, output, source },
		take(frameClass: FrameClass, { bytes = 10, client = clientId } = {}): void {
			const frame = frameOf(pool, { frameClass, client, backend: 1, bytes, n: 0 });
			output.take(frame, source);
			frame.release();
		},
	};
}

describe("what goes to a client", () => {
	it("a frame with priority goes at once, but one for all clients at the end of the turn, as those of a thousand clients would", () => {
		const { take, socket } = outputWith({ mayAtOnce: true });
		take(CONTROL, { client: FrameLayout.everyone });
		expect(socket.sent).toBe(0);
		const other = outputWith({ mayAtOnce: true });
		other.take(CONTROL);
		expect(other.socket.sent).toBe(1);
	});

	it("CONTROL that fills its lane within a turn goes out before its end, and holds no source; FILE waits for its turn", () => {
		const { take, socket, source } = outputWith({ framesMax: 10 });
		for (let count = 0; count < 7; count++) take(CONTROL);
		expect(socket.sent).toBe(0);
		take(CONTROL);
		expect([socket.sent, source.mayTake()]).toEqual([8, true]);
		for (let count = 0; count < 8; count++) take(FILE);
		expect([socket.sent, source.mayTake()]).toEqual([8, false]);
	});

	it("CONTROL that finds no room for its bytes goes out as well, below 80 % of the frames", () => {
		const { take, socket, source } = outputWith({ bytesMax: 400 });
		take(CONTROL, { bytes: 70 });
		take(CONTROL, { bytes: 70 });
		expect([socket.sent, source.mayTake()]).toEqual([2, true]);
	});

	it("a WebSocket that never says that bytes wait there is asked after some, and gets no more than it is to keep", () => {
		const { take, socket, output } = outputWith();
		socket.keeps = true;
		for (let count = 0; count < 40; count++) take(FILE, { bytes: 8 * 1024 });
		output.pump();
		expect(socket.buffered).toBeGreaterThanOrEqual(socketLowMark);
		expect(socket.buffered).toBeLessThan(socketLowMark + 3 * 8 * 1024);
	});

	it("time in which only its bandwidth kept a client from taking more is not the client's", () => {
		const { take, socket, output } = outputWith({ framesMax: 10, bytesPerSecond: 100 });
		take(FILE, { bytes: 500 });
		for (let count = 0; count < 9; count++) take(FILE);
		output.pump();
		expect([socket.sent, output.holdsSources]).toEqual([1, true]);
		socket.buffered = socketLowMark;
		const beganMs = Date.now();
		while (output.isStalled(Date.now(), 1000, false) === false && Date.now() < beganMs + 20_000) vi.advanceTimersByTime(100);
		// 400 bytes were owed.
		expect(Date.now() - beganMs).toBeGreaterThanOrEqual(5000);
		expect(Date.now() - beganMs).toBeLessThanOrEqual(5200);
	});

	it("what waits when the client goes is counted, also what found no room in its lane", () => {
		const { take, socket, output, counts, lanes, pool, source } = outputWith({ framesMax: 4 });
		socket.buffered = socketLowMark;
		for (let count = 0; count < 5; count++) take(FILE);
		for (let count = 0; count < 7; count++) take(CONTROL);
		take(VIDEO);
		expect(source.mayTake()).toBe(false);
		output.close();
		output.close();
		expect([lanes.counters.high.discarded, lanes.counters.low.discarded, counts.dropped.client_closed]).toEqual([4, 4, 1 + 3]);
		expect(lanes.counters.low.dropped, "VIDEO that found no room").toBe(1);
		expect([pool.inUse, source.mayTake()]).toEqual([0, true]);
	});
});
