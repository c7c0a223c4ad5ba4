import { defaultConfig } from "@shardcast/config";
import { silentLog } from "@shardcast/telemetry";
import { describe, expect, it } from "vitest";
import { GatewaySupervision } from "../../src/cluster/gateway-supervision.ts";
import type { GatewayReport } from "../../src/monitor/gateway-report.ts";
import { reportText } from "../../src/monitor/monitor-report.ts";

const queue = { waiting: 1, delivered: 2, dropped: 3, pressed: 5 };

function report(factor: number, ...ids: readonly number[]): GatewayReport {
	return {
		clients: { open: 7 * factor, max: 1000, opened: 9, closed: { text: factor }, refused: { limit: 1 }, callbackErrors: factor },
		frames: { from_clients: 10 * factor, to_clients: 20 },
		bytes: { from_clients: 1024 },
		dropped: { malformed: 1 },
		refused: { too_long: 4 },
		acks: { acks: factor, surplusAcks: 2, skipped: 3, resets: 4 },
		latency: { count: factor, seconds: 0.5, mostSeconds: factor },
		queues: { to_clients_high: { ...queue, highWater: 10 * factor } },
		held: 6,
		deferred: 7,
		buffers: {
			...{ reservedBytes: 65_536, bytesMax: 2 ** 28, refused: 8, overShare: 3 },
			tiers: [{ bytes: 512, buffersMax: 2048, buffers: 124, inUse: 5, allocations: 7, frees: 2, highWater: 6, exhausted: factor }],
		},
		backends: ids.map((id) => ({
			...{
				id,
				address: `10.0.0.${id}:9001`,
				name: "",
				process: 7,
				isUp: true,
				breaker: "CLOSED",
				failures: 0,
				opened: 0,
				dials: 1,
				ups: 1,
				ends: {},
			},
			...{ sentFrames: 5, sentBytes: 1, receivedFrames: 1, receivedBytes: 1, undelivered: 0, waiting: 0, stopped: { client: 0 } },
		})),
		bus: { peers: 1, records: { sent: factor }, bytes: { sent: 10 }, troubles: { ring_full: 1 } },
		backendsRefused: 0,
		discovery: null,
	};
}

const supervision = () => {
	const config = defaultConfig({ gatewayBackends: [1, 2, 3].map((id) => `10.0.0.${id}:9001`) });
	return new GatewaySupervision({ config, slots: [0, 1], log: silentLog() });
};

describe("the report of a gateway of several processes", () => {
	it("has sums, the largest of what is a maximum, and each backend once, by its id", () => {
		const whole = supervision().report([report(1, 2), report(3, 1, 3)]);
		expect(whole.clients).toEqual({ open: 28, max: 2000, opened: 18, closed: { text: 4 }, refused: { limit: 2 }, callbackErrors: 4 });
		expect([whole.frames, whole.acks.acks, whole.latency]).toEqual([
			{ from_clients: 40, to_clients: 40 },
			4,
			{ count: 4, seconds: 1, mostSeconds: 3 },
		]);
		expect(whole.bus).toEqual({ peers: 1, records: { sent: 4 }, bytes: { sent: 20 }, troubles: { ring_full: 2 } });
		expect(whole.queues.to_clients_high).toEqual({ waiting: 2, delivered: 4, dropped: 6, highWater: 30, pressed: 10 });
		expect(whole.buffers.tiers).toEqual([
			{ bytes: 512, buffersMax: 4096, buffers: 248, inUse: 10, allocations: 14, frees: 4, highWater: 12, exhausted: 4 },
		]);
		expect(whole.backends.map(({ id, isUp }) => [id, isUp])).toEqual([
			[1, true],
			[2, true],
			[3, true],
		]);
		expect(Object.keys(whole).sort()).toEqual(Object.keys(report(1)).sort());
	});

	it("says that a backend is not up whose process did not answer, and the terminal shows it", () => {
		const whole = supervision().report([report(1, 2)]);
		expect(whole.backends.map(({ id, process, isUp, breaker }) => [id, process, isUp, breaker])).toEqual([
			[1, 0, false, "unknown"],
			[2, 7, true, "CLOSED"],
			[3, 0, false, "unknown"],
		]);
		expect(reportText(whole, whole, 5)).toContain("[1] 10.0.0.1:9001 [unknown] fails=0 sent=0 down");
	});

	it("has rates of 0 rather than less when a process is missing in it", () => {
		const both = supervision().report([report(1, 2), report(3, 1, 3)]);
		const one = supervision().report([report(1, 2)]);
		expect(reportText(one, both, 5)).toContain("messages: from clients 0/s 0B/s");
	});
});
