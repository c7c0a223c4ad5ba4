import { CloseCode } from "@shardcast/wire";
import { expect, it } from "vitest";
import type { ClientSession } from "../../src/sessions/client-session.ts";
import type { LeavingSessions } from "../../src/sessions/leaving-sessions.ts";
import type { Sessions } from "../../src/sessions/sessions.ts";
import { FakeTopics, FakeTransport } from "../support/fake-transport.ts";

/** Runs one implementation; made for each test. */
export interface SessionRig {
	/** Its sessions close slow clients when `soon` says so. */
	readonly sessions: Sessions;
	readonly leaving: LeavingSessions;
	/** Runs what waits for a later phase of the loop. */
	soon(): void;
	/** A session of a request that was let in; it listens to something, from the start or once it is opened. */
	create(): ClientSession;
	/** What the client sends to have something published, or to be answered. */
	readonly frame: string;
	/** Frames that were acted on so far. */
	handled(): number;
	/** Whatever is still kept of sessions, subscriptions and clients: 0 when all are gone. */
	kept(): number;
}

/** What every client's session does, whatever its protocol. */
export function sessionContract(create: () => SessionRig): void {
	function opened(rig = create()) {
		const topics = new FakeTopics();
		const session = rig.create();
		const transport = new FakeTransport(topics, session);
		session.opened(transport);
		return { rig, topics, session, transport, peer: transport.peer };
	}

	it("counts from when it is opened, has subscriptions, and handles frames", () => {
		const { rig, transport, peer } = opened();
		expect(rig.sessions.count).toBe(1);
		expect(transport.topics.length).toBeGreaterThan(0);
		peer.send(rig.frame);
		expect(rig.handled()).toBe(1);
	});

	it("is closed cleanly: it gets nothing more, the client is told the code, and nothing of it is kept", async () => {
		const { rig, session, transport, peer } = opened();
		session.close(CloseCode.policyViolation);
		expect(transport.topics).toEqual([]);
		expect(await peer.ended).toEqual({ code: CloseCode.policyViolation, reason: "too many messages" });
		expect(rig.sessions.count).toBe(0);
		expect(rig.kept()).toBe(0);
		session.close(CloseCode.goingAway);
	});

	it("is told the code when there is room for it; until then it gets nothing, and its frames are ignored", async () => {
		const { rig, session, transport, peer } = opened();
		const told = session.closeFrame(CloseCode.goingAway);
		peer.pause();
		while (transport.getBufferedAmount() < FakeTransport.bufferedBytesMax) transport.send("x".repeat(1000), false);
		session.close(CloseCode.goingAway);
		expect(transport.topics).toEqual([]);
		expect(rig.leaving.count).toBe(1);
		expect(rig.sessions.count).toBe(1);
		peer.send(rig.frame);
		expect(rig.handled()).toBe(0);
		peer.resume();
		expect(await peer.ended).toEqual(told);
		expect([rig.sessions.count, rig.leaving.count, rig.kept()]).toEqual([0, 0, 0]);
	});

	it("that missed a message is closed with 3008, though not while the transport is in the middle of it", async () => {
		const { rig, transport, peer } = opened();
		const before = transport.topics;
		peer.pause();
		while (rig.sessions.all[0]?.leaving === 0) transport.send("x".repeat(1000), false);
		expect(transport.topics).toEqual(before);
		peer.send(rig.frame);
		expect(rig.handled()).toBe(0);
		rig.soon();
		expect(transport.topics).toEqual([]);
		peer.resume();
		expect(await peer.ended).toEqual({ code: CloseCode.slow, reason: "slow" });
		expect([rig.sessions.count, rig.kept()]).toEqual([0, 0]);
	});

	it.each(["at once", "after a message was dropped", "while it was being closed"])("is forgotten when the client leaves, %s", (when) => {
		const { rig, session, transport, peer } = opened();
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
	});

	it("leaves the others alone", () => {
		const rig = create();
		const all = Array.from({ length: 5 }, () => opened(rig));
		all[1]!.session.close(CloseCode.goingAway);
		all[3]!.peer.leave(1000);
		expect(rig.sessions.count).toBe(3);
		for (const [index, { transport }] of all.entries()) expect(transport.topics.length > 0).toBe(index !== 1 && index !== 3);
		for (const place of [0, 1, 2]) expect(rig.sessions.all[place]!.place).toBe(place);
		for (const { session } of all) session.close(CloseCode.goingAway);
		expect([rig.sessions.count, rig.kept()]).toEqual([0, 0]);
	});
}
