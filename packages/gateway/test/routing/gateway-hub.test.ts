import { MemoryBus } from "@shardcast/bus";
import { type Config, defaultConfig } from "@shardcast/config";
import type { BackendPlace } from "@shardcast/control";
import { Scoreboard } from "@shardcast/scoreboard";
import { silentLog } from "@shardcast/telemetry";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BackendLink } from "../../src/backends/backend-link.ts";
import { FrameClass, FrameLayout } from "../../src/frames/frame-descriptor.ts";
import { gatewayReport } from "../../src/monitor/gateway-report.ts";
import type { GatewayBus } from "../../src/peers/gateway-bus.ts";
import { GatewayHub } from "../../src/routing/gateway-hub.ts";
import { linkOptionsOf } from "../../src/routing/link-options-of.ts";
import { frameOf } from "../support/frames.ts";
import { HubClient } from "../support/hubs-rig.ts";

const hubs: GatewayHub[] = [];
beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
	for (const hub of hubs.splice(0)) hub.stop();
	vi.useRealTimers();
});

/** A hub, without other processes if there is no bus. Its links never dial: time stands still. */
function hubWith(changed: Partial<Config> = {}, bus: GatewayBus | null = null): GatewayHub {
	const config = defaultConfig({ logLevel: "silent", ...changed });
	const hub = new GatewayHub({
		config: () => config,
		linkOptions: linkOptionsOf(config),
		log: silentLog(),
		left: () => {},
		failed: (error) => {
			throw error;
		},
		nowMs: () => Date.now(),
		bus,
	});
	hubs.push(hub);
	return hub;
}

const places = (count: number): BackendPlace[] =>
	Array.from({ length: count }, (_, index) => ({
		...{ id: index + 1, host: "127.0.0.1", port: 9, address: `127.0.0.1:${index + 1}`, name: "", origins: ["static"], owner: 0 },
	}));

const reportOf = (hub: GatewayHub) => gatewayReport({ hub, row: Scoreboard.inMemory(1).row(0), list: null });

function linkOf(hub: GatewayHub, id: number): BackendLink {
	const link = hub.backends.get(id)?.link;
	if (link instanceof BackendLink) return link;
	throw new Error(`there is no link ${id}`);
}

/** A frame of a backend. */
function bring(hub: GatewayHub, link: BackendLink, frameClass: FrameClass, client: number): void {
	const frame = frameOf(hub.pool, { frameClass, client, backend: link.id, bytes: 10, n: 1 });
	hub.fromBackends.onFrame(link, frame, "data");
	frame.release();
}

describe("the hub of a gateway", () => {
	it.each([1, 250])("looks at each of %d clients about every 100 ms", (count) => {
		const hub = hubWith();
		const clients = Array.from({ length: count }, () => new HubClient(hub));
		const looks = vi.spyOn(clients[Math.floor(count / 2)]!.client.queues.output, "expire");
		hub.start();
		vi.advanceTimersByTime(2000);
		expect(looks.mock.calls.length).toBeGreaterThanOrEqual(18);
		expect(looks.mock.calls.length).toBeLessThanOrEqual(22);
		for (const client of clients) client.leave();
	});

	it("a frame for all counts as more work the more clients there are", () => {
		const hub = hubWith();
		const workOf = (client: number): number => {
			const frame = frameOf(hub.pool, { frameClass: FrameClass.VIDEO, client, backend: 1, bytes: 10, n: 1 });
			const work = hub.fromBackends.workOf(frame);
			frame.release();
			return work;
		};
		const clients = Array.from({ length: 32 }, () => new HubClient(hub));
		expect([workOf(clients[0]!.id), workOf(FrameLayout.everyone)]).toEqual([1, 3]);
		for (const client of clients) client.leave();
		expect(workOf(FrameLayout.everyone)).toBe(1);
	});

	it("counts what comes for a client that is being closed, and what waited for one when it went", () => {
		const hub = hubWith({ clientQueueFrames: 4 });
		hub.useBackends(places(1));
		const link = linkOf(hub, 1);
		const closed = () => reportOf(hub).dropped.client_closed;
		const [one, other] = [new HubClient(hub), new HubClient(hub)];
		vi.advanceTimersToNextTimer();
		one.isSlow = true;
		bring(hub, link, FrameClass.VIDEO, one.id);
		hub.close(one.client, "text");
		const before = closed()!;
		bring(hub, link, FrameClass.FILE, FrameLayout.everyone);
		bring(hub, link, FrameClass.FILE, one.id);
		expect(closed()! - before, "for the one that is being closed").toBe(2);
		const began = closed()!;
		for (let count = 0; count < 9; count++) bring(hub, link, FrameClass.FILE, other.id);
		const waiting = reportOf(hub).queues.to_clients_low!.waiting;
		expect(waiting, "all that the lane takes").toBe(4);
		other.leave();
		expect(closed()! - began, "with what found no room, and the one for all").toBe(10);
		one.leave();
		expect([closed()! - began, hub.pool.inUse]).toEqual([10, 0]);
	});

	it("reports VIDEO that queues to backends dropped, also of those that are gone, and of several queues the highest water", () => {
		const hub = hubWith();
		hub.useBackends(places(3));
		const queues = [1, 2, 3].map((id) => linkOf(hub, id).outbox.queue.counters.data);
		for (const [index, queue] of queues.entries()) Object.assign(queue, { dropped: 10 ** index, highWater: [5, 9, 2][index] });
		linkOf(hub, 2).counts.undeliveredVideo = 5000;
		Object.assign(linkOf(hub, 3).counts.reader, { unknownClass: 7, droppedWithoutBuffer: 8 });
		expect(reportOf(hub).queues.to_backends_data).toMatchObject({ dropped: 111, highWater: 9 });
		const wanted = { video_to_backend: 5111, video_to_client: 0, unknown_class: 7, no_buffer: 8 };
		expect(reportOf(hub).dropped).toMatchObject(wanted);
		hub.useBackends(places(1));
		expect(reportOf(hub).dropped, "without two of them").toMatchObject(wanted);
		hub.useBackends(places(3));
		expect(reportOf(hub).dropped, "when they are there again").toMatchObject(wanted);
		hub.useBackends(places(3).map((place) => ({ ...place, owner: 1 })));
		expect(reportOf(hub).dropped, "when another process is connected to them").toMatchObject(wanted);
	});

	it("reports what a link through another process dropped after this one has become the owner, too", () => {
		const link = new MemoryBus({ members: 2, capacityBytes: 2 ** 16 }).link(0);
		const hub = hubWith({}, { link, incarnationOf: () => 0, beforeTurn: () => {} });
		const owned = (owner: number) => places(1).map((place) => ({ ...place, owner }));
		hub.useBackends(owned(1));
		const remote = hub.backends.get(1)!.link;
		expect(remote.isOwn).toBe(false);
		Object.assign(remote.outbox.queue.counters.data, { dropped: 3 });
		remote.counts.reader.droppedWithoutBuffer = 4;
		const wanted = { video_to_backend: 3, no_buffer: 4 };
		expect(reportOf(hub).dropped).toMatchObject(wanted);
		hub.useBackends(owned(0));
		expect(hub.backends.get(1)!.link.isOwn).toBe(true);
		expect(reportOf(hub).dropped).toMatchObject(wanted);
	});
});
