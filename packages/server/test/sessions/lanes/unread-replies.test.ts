import { defaultConfig } from "@shardcast/config";
import type { ReplyStream } from "@shardcast/http";
import { describe, expect, it, vi } from "vitest";
import type { CentrifugeSession } from "../../../src/sessions/centrifuge/centrifuge-session.ts";
import { StreamTransport } from "../../../src/transports/stream-transport.ts";
import { type CentrifugeClient, CentrifugeRig } from "../../support/centrifuge-rig.ts";

const limits = { size: 400, ttlMs: 60_000, metaTtlMs: 60_000 };
const unreadBytesMax = 100_000;
const clients = 12;

/** A channel with 60 KB of history. */
function rigged(): CentrifugeRig {
	const rules = {
		...defaultConfig().channelWithoutNamespace,
		historySize: 400,
		historyTtlMs: 60_000,
		allowHistoryForClient: true,
		forceRecovery: true,
		presence: true,
		allowPresenceForClient: true,
	};
	const rig = new CentrifugeRig({ channelWithoutNamespace: rules }, null, Number.POSITIVE_INFINITY, unreadBytesMax);
	for (let index = 0; index < 60; index++) rig.log.publish("c", Buffer.from(`"${"x".repeat(1000)}"`), { history: limits });
	while (rig.reader.read(1000, () => {}) > 0);
	return rig;
}

const comingBack = (rig: CentrifugeRig): object => ({ subs: { c: { recover: true, epoch: rig.log.position("c")!.epoch, offset: 0 } } });

/** Bytes that wait in all transports. */
const waiting = (all: readonly CentrifugeClient[]): number =>
	all.reduce((sum, { session }) => sum + session.transport.getBufferedAmount(), 0);

/** All of them, stalled, ask for a reply of at least `bytes`: what waits stays within the bound and one reply; then they read, and all are answered. */
async function bounded(all: readonly CentrifugeClient[], ask: (client: CentrifugeClient) => void, answer: RegExp): Promise<void> {
	for (const { transport } of all) transport.peer.pause();
	for (const client of all) ask(client);
	await vi.waitFor(() => expect(waiting(all), "bytes that wait").toBeGreaterThan(unreadBytesMax), { timeout: 8000 });
	for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
	await new Promise((resolve) => setTimeout(resolve, 30));
	expect(waiting(all), "bytes that wait for stalled clients").toBeLessThan(unreadBytesMax + 80_000);
	for (const { transport } of all) transport.peer.resume();
	for (const { transport } of all)
		await vi.waitFor(() => expect(transport.peer.received().join("\n")).toMatch(answer), { timeout: 8000, interval: 2 });
}

describe("unread replies are limited for the whole shard", () => {
	it("history", async () => {
		const rig = rigged();
		const all = Array.from({ length: clients }, () => rig.connected());
		await bounded(all, (client) => client.send({ history: { channel: "c", limit: 60 }, id: 2 }), /"id":2/);
	});

	it("connect with missed publications", async () => {
		const rig = rigged();
		const all = Array.from({ length: clients }, () => rig.open());
		await bounded(all, (client) => client.send({ connect: comingBack(rig), id: 1 }), /"id":1,"connect".*"offset":60/);
		expect(rig.row.get("commandsHeldForMemory")).toBe(clients - 2);
	});

	it("a connect that waits too long is closed with 3004, so that the client comes back, and nothing of it is kept", async () => {
		const rig = rigged();
		const [stalled, other, late] = [rig.connected(), rig.connected(), rig.open()];
		for (const { transport } of [stalled, other]) transport.peer.pause();
		for (const client of [stalled, other]) client.send({ history: { channel: "c", limit: 60 }, id: 2 });
		late.send({ connect: comingBack(rig), id: 1 });
		expect(late.replies()).toEqual([]);
		rig.seconds += 11;
		rig.endpoint.everySecond();
		expect((await late.ended).code).toBe(3004);
		for (const { transport } of [stalled, other]) transport.peer.leave(1006);
		expect(rig.kept).toBe(0);
		expect(rig.lanes.memory.replyBytes).toBe(0);
	});

	it("tells how many clients wait", async () => {
		const rig = rigged();
		const all = Array.from({ length: 4 }, () => rig.connected());
		for (const { transport } of all) transport.peer.pause();
		for (const client of all) client.send({ history: { channel: "c", limit: 60 }, id: 2 });
		expect(rig.lanes.memory.waitingForReplies).toBe(2);
		for (const { transport } of all) transport.peer.leave(1006);
		await vi.waitFor(() => expect(rig.lanes.memory.waitingForReplies).toBe(0), { timeout: 8000 });
	});

	it("connect of unidirectional clients", async () => {
		const rig = rigged();
		const all = Array.from({ length: clients }, () => rig.listening());
		await bounded(all, (client) => client.send(comingBack(rig)), /"connect".*"offset":60/);
	});

	it("presence", { tags: ["long"] }, async () => {
		const rig = rigged();
		for (let index = 0; index < 400; index++) rig.connected().send({ subscribe: { channel: "many" }, id: 2 });
		const all = Array.from({ length: clients }, () => rig.connected());
		await bounded(all, (client) => client.send({ presence: { channel: "many" }, id: 2 }), /"id":2/);
	});

	it("on streams, where they arrive whole and in order", async () => {
		const rig = rigged();
		const all = Array.from({ length: clients }, () => new StreamClient(rig));
		await vi.waitFor(() => expect(rig.row.get("commandsHeldForMemory")).toBeGreaterThan(0), { timeout: 8000 });
		const waits = () => all.reduce((sum, { session }) => sum + session.transport.getBufferedAmount(), 0);
		expect(rig.lanes.memory.replyBytes, "bytes that are counted").toBeGreaterThan(unreadBytesMax);
		expect(waits(), "bytes that wait for stalled clients").toBeLessThan(unreadBytesMax + 80_000);
		const done = () => {
			for (const client of all) client.readSome();
			return all.every((client) => client.got.includes('"id":3'));
		};
		await vi.waitFor(() => expect(done(), "all have all replies").toBe(true), { timeout: 8000, interval: 1 });
		for (const { got } of all) {
			const replies = got
				.replaceAll('}{"id"', '}\n{"id"')
				.split("\n")
				.map((line) => JSON.parse(line) as { id: number; history?: { publications: unknown[] } });
			expect(replies.map(({ id }) => id)).toEqual([1, 2, 3]);
			expect(replies[1]!.history!.publications).toHaveLength(60);
		}
		expect(rig.lanes.memory.replyBytes).toBe(0);
	});
});

/** A client on a stream that reads when it is told to. */
class StreamClient {
	got = "";
	readonly session: CentrifugeSession;
	#unread: string[] = [];

	constructor(rig: CentrifugeRig) {
		const client = this;
		const stream = {
			write: (part: string | Uint8Array) => {
				this.#unread.push(Buffer.from(part as string).toString());
				return this.#bytes;
			},
			get bufferedBytes() {
				return client.#bytes;
			},
		} as ReplyStream;
		this.session = rig.session();
		const { session } = this;
		session.opened(new StreamTransport(stream, session, { bufferedBytesMax: 64 * 1024, farewell: () => new Uint8Array() }));
		for (const command of [
			{ connect: {}, id: 1 },
			{ history: { channel: "c", limit: 60 }, id: 2 },
			{ history: { channel: "c", limit: 0 }, id: 3 },
		])
			session.frame(new Uint8Array(Buffer.from(JSON.stringify(command))).buffer);
	}

	get #bytes(): number {
		return this.#unread.reduce((sum, part) => sum + part.length, 0);
	}

	readSome(): void {
		this.got += this.#unread.splice(0, 1).join("");
		this.session.writable();
	}
}
