import { CloseCode } from "@shardcast/wire";
import { expect, it } from "vitest";
import type { ClientSession } from "../../src/sessions/client-session.ts";
import type { LeavingSessions } from "../../src/sessions/leaving-sessions.ts";
import type { Session } from "../../src/sessions/session.ts";
import type { Sessions } from "../../src/sessions/sessions.ts";
import type { TopicTransport } from "../../src/transports/transport.ts";
import { FakeTopics, FakeTransport } from "../support/fake-transport.ts";

/** Runs one implementation; made for each test. */
export interface SessionRig {
	/** A session of a request that was let in. */
	create(): Session<TopicTransport> | Promise<Session<TopicTransport>>;
	/** Runs what waits for a later phase of the loop. */
	soon(): void;
	/** Whatever is still kept of sessions, subscriptions and clients: 0 when all are gone. */
	kept(): number;
}

/** Runs the session of a client, which counts as a connection. */
export interface ClientSessionRig extends SessionRig {
	/** Its sessions close slow clients when `soon` says so. */
	readonly sessions: Sessions;
	readonly leaving: LeavingSessions;
	/** It listens to something, from the start or once it is opened. */
	create(): ClientSession | Promise<ClientSession>;
	/** What the client sends to have something published, or to be answered; null = whatever it sends is ignored. */
	readonly frame: string | null;
	/** Frames that were acted on so far. */
	handled(): number;
}

/** Writes down what its session does to it. */
class WatchedTransport extends FakeTransport {
	calls = 0;

	override send(...args: Parameters<FakeTransport["send"]>) {
		this.calls++;
		return super.send(...args);
	}

	override end(...args: Parameters<FakeTransport["end"]>): void {
		this.calls++;
		super.end(...args);
	}

	override close(): void {
		this.calls++;
		super.close();
	}

	override subscribe(topic: string): boolean {
		this.calls++;
		return super.subscribe(topic);
	}

	override unsubscribe(topic: string): boolean {
		this.calls++;
		return super.unsubscribe(topic);
	}
}

/** What every session does for its transport, whether or not it is a client's. */
export function sessionContract(create: () => SessionRig): void {
	async function opened(rig = create()) {
		const session = await rig.create();
		const transport = new WatchedTransport(new FakeTopics(), session);
		session.opened(transport);
		return { rig, session, transport, peer: transport.peer };
	}

	it("is kept while it is open, and forgotten when the client leaves", async () => {
		const { rig, transport, peer } = await opened();
		expect(rig.kept()).toBeGreaterThan(0);
		peer.leave(1001);
		expect(rig.kept()).toBe(0);
		expect(transport.topics).toEqual([]);
	});

	it("takes any frame, or closes the connection: it throws nothing, and nothing of it is kept", { tags: ["long"] }, async () => {
		const frames = ["", "{", "\u0000", "null", "[]", "{}", '{"id":1}', '{"unknown":{}}', "x".repeat(2000), Uint8Array.of(255, 254, 0, 1)];
		for (const frame of frames) {
			const { rig, peer } = await opened();
			peer.send(frame);
			peer.leave(1000);
			rig.soon();
			expect(rig.kept(), String(frame).slice(0, 20)).toBe(0);
		}
	});

	it("does nothing to the transport while that drops a message", async () => {
		const { session, transport, rig, peer } = await opened();
		transport.calls = 0;
		session.dropped();
		expect(transport.calls).toBe(0);
		rig.soon();
		peer.leave(1001);
		expect(rig.kept()).toBe(0);
	});

	it("takes that there is room again, before and after a message was dropped", async () => {
		const { session, rig, peer } = await opened();
		session.writable();
		session.dropped();
		session.writable();
		rig.soon();
		peer.leave(1001);
		expect(rig.kept()).toBe(0);
	});
}

/** What every client's session does besides, whatever its protocol. */
export function clientSessionContract(create: () => ClientSessionRig): void {
	sessionContract(create);

	async function opened(rig = create()) {
		const topics = new FakeTopics();
		const session = await rig.create();
		const transport = new FakeTransport(topics, session);
		session.opened(transport);
		return { rig, topics, session, transport, peer: transport.peer };
	}

	it("counts from when it is opened, has subscriptions, and handles frames", async () => {
		const { rig, transport, peer } = await opened();
		expect(rig.sessions.count).toBe(1);
		expect(transport.topics.length).toBeGreaterThan(0);
		peer.send(rig.frame ?? "ignored");
		expect(rig.handled()).toBe(rig.frame === null ? 0 : 1);
	});

	it("is closed cleanly: it gets nothing more, the client is told the code, and nothing of it is kept", async () => {
		const { rig, session, transport, peer } = await opened();
		session.close(CloseCode.policyViolation);
		expect(transport.topics).toEqual([]);
		expect(await peer.ended).toEqual({ code: CloseCode.policyViolation, reason: "too many messages" });
		expect(rig.sessions.count).toBe(0);
		expect(rig.kept()).toBe(0);
		session.close(CloseCode.goingAway);
	});

	it("is told the code when there is room for it; until then it gets nothing, and its frames are ignored", async () => {
		const { rig, session, transport, peer } = await opened();
		const told = session.closeFrame(CloseCode.goingAway);
		peer.pause();
		while (transport.getBufferedAmount() < FakeTransport.bufferedBytesMax) transport.send("x".repeat(1000), false);
		session.close(CloseCode.goingAway);
		expect(transport.topics).toEqual([]);
		expect(rig.leaving.count).toBe(1);
		expect(rig.sessions.count).toBe(1);
		peer.send(rig.frame ?? "ignored");
		expect(rig.handled()).toBe(0);
		peer.resume();
		expect(await peer.ended).toEqual(told);
		expect([rig.sessions.count, rig.leaving.count, rig.kept()]).toEqual([0, 0, 0]);
	});

	it("that missed a message is closed with 3008, though not while the transport is in the middle of it", async () => {
		const { rig, transport, peer } = await opened();
		const before = transport.topics;
		peer.pause();
		while (rig.sessions.all[0]?.leaving === 0) transport.send("x".repeat(1000), false);
		expect(transport.topics).toEqual(before);
		peer.send(rig.frame ?? "ignored");
		expect(rig.handled()).toBe(0);
		rig.soon();
		expect(transport.topics).toEqual([]);
		peer.resume();
		expect(await peer.ended).toEqual({ code: CloseCode.slow, reason: "slow" });
		expect([rig.sessions.count, rig.kept()]).toEqual([0, 0]);
	});

	it.each(["at once", "after a message was dropped", "while it was being closed"])(
		"is forgotten when the client leaves, %s",
		async (when) => {
			const { rig, session, transport, peer } = await opened();
			if (when !== "at once") {
				peer.pause();
				while (transport.getBufferedAmount() <= FakeTransport.bufferedBytesMax) transport.send("x".repeat(1000), false);
				if (when === "while it was being closed") session.close(CloseCode.goingAway);
				else transport.send("one too many", false);
			}
			peer.leave(1001);
			expect([rig.sessions.count, rig.leaving.count, rig.kept()]).toEqual([0, 0, 0]);
			rig.soon();
			session.close(CloseCode.goingAway);
			expect(rig.leaving.count).toBe(0);
		},
	);

	it("leaves the others alone", async () => {
		const rig = create();
		const all = await Promise.all(Array.from({ length: 5 }, () => opened(rig)));
		all[1]!.session.close(CloseCode.goingAway);
		all[3]!.peer.leave(1000);
		expect(rig.sessions.count).toBe(3);
		for (const [index, { transport }] of all.entries()) expect(transport.topics.length > 0).toBe(index !== 1 && index !== 3);
		for (const place of [0, 1, 2]) expect(rig.sessions.all[place]!.place).toBe(place);
		for (const { session } of all) session.close(CloseCode.goingAway);
		expect([rig.sessions.count, rig.kept()]).toEqual([0, 0]);
	});
}
