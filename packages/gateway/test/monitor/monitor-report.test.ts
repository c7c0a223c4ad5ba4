import { describe, expect, it } from "vitest";
import type { GatewayReport } from "../../src/monitor/gateway-report.ts";
import { reportText } from "../../src/monitor/monitor-report.ts";

const queue = { waiting: 1, delivered: 2, dropped: 3, highWater: 4, pressed: 5 };
const report = (sent: number): GatewayReport => ({
	clients: { open: 7, max: 1000, opened: 9, closed: { text: 1 }, refused: {}, callbackErrors: 0 },
	frames: { from_clients: sent, to_clients: 2 * sent, from_backends: 2 * sent, to_backends: sent },
	bytes: { from_clients: 1024 * sent, to_clients: 10 * sent, from_backends: 10 * sent, to_backends: 1024 * sent },
	dropped: { malformed: 1, bandwidth: 2, video_to_client: 5 },
	refused: { too_long: 4 },
	acks: { acks: 1, surplusAcks: 2, skipped: 3, resets: 4 },
	latency: { count: sent, seconds: sent / 1000, mostSeconds: 1 },
	queues: { to_clients_high: queue, to_clients_low: { ...queue, dropped: 5 } },
	held: 6,
	deferred: 7,
	buffers: {
		reservedBytes: 65_536,
		bytesMax: 2 ** 28,
		refused: 8,
		overShare: 3,
		tiers: [{ bytes: 512, buffersMax: 2048, buffers: 124, inUse: 512, allocations: 700, frees: 188, highWater: 600, exhausted: 0 }],
	},
	backends: [
		{
			...{
				id: 1,
				address: "127.0.0.1:9001",
				name: "",
				process: null,
				isUp: true,
				breaker: "CLOSED",
				failures: 0,
				opened: 0,
				dials: 1,
				ups: 1,
				ends: {},
			},
			...{ sentFrames: 45_123, sentBytes: 1, receivedFrames: 1, receivedBytes: 1, undelivered: 0, waiting: 0, stopped: {} },
		},
		{
			...{
				id: 2,
				address: "127.0.0.1:9002",
				name: "",
				process: null,
				isUp: false,
				breaker: "CLOSED",
				failures: 1,
				opened: 0,
				dials: 1,
				ups: 0,
				ends: {},
			},
			...{ sentFrames: 0, sentBytes: 0, receivedFrames: 0, receivedBytes: 0, undelivered: 0, waiting: 0, stopped: {} },
		},
	],
	backendsRefused: 3,
	bus: null,
	discovery: null,
});

describe("the report on the terminal", () => {
	it("has rates since the last one, queues, buffers, and a line for each backend; VIDEO that was skipped is not among what was dropped", () => {
		expect(reportText(report(500), report(0), 5)).toBe(`gateway: clients 7 of 1000, backends up 1 of 2, refused 3
  messages: from clients 100/s 100KiB/s, to clients 200/s 1000B/s
            from backends 200/s 1000B/s, to backends 100/s 100KiB/s; average latency 1.00 ms
  dropped 5, refused 4, VIDEO skipped 3, ACKs overdue 4
  queue to clients high: depth 1, drops 3, high water 4, back-pressure 5
  queue to clients low: depth 1, drops 2, high water 4, back-pressure 5
  held for backends: 6 frames
  buffers: 64KiB of 256MiB, refused 8
    512B × 2048: allocations 700, frees 188, in use 512 (25 %), high water 600
[1] 127.0.0.1:9001 [CLOSED] fails=0 sent=45123
[2] 127.0.0.1:9002 [CLOSED] fails=1 sent=0 down
`);
	});
});
