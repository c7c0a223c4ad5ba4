import { waitFor } from "@shardcast/testkit";
import { afterEach, expect, it } from "vitest";
import type { Session } from "../../src/sessions/session.ts";
import { Sent, type TopicTransport, type Transport } from "../../src/transports/transport.ts";

/** The client at the other end. */
export interface Peer {
	/** Messages so far; bytes as "binary:…". */
	received(): string[];
	/** Stops reading, and begins again. */
	pause(): void;
	resume(): void;
	/** What it saw of the end; 1006 when it was told nothing. */
	readonly ended: Promise<{ readonly code: number; readonly reason: string }>;
	/** Leaves by itself with this code. */
	leave(code: number): void;
}

/** A peer that may also send: not every transport goes both ways. */
export interface SendingPeer extends Peer {
	send(message: string | Uint8Array): void;
}

/** Runs one implementation; made for each test. */
export interface TransportRig<T extends Transport = Transport, P extends Peer = Peer> {
	/** A connection whose events go to this session. Resolves when the peer is ready. */
	connect(session: Session<T>): Promise<P>;
	/** Bytes that may wait for a client. */
	readonly bufferedBytesMax: number;
	/** Clients cannot say why they leave: each such end is 1006. */
	readonly leavesWithoutCode?: boolean;
	/** Messages wait for a later turn, even if the peer reads. */
	readonly queues?: boolean;
	stop(): Promise<void> | void;
}

/** Writes down what it hears. */
export class RecordingSession<T extends Transport = Transport> implements Session<T> {
	readonly heard: string[] = [];
	transport!: T;
	onWritable = (): void => {};

	opened(transport: T): void {
		this.transport = transport;
		this.heard.push("opened");
	}

	frame(message: ArrayBuffer, isBinary: boolean): void {
		this.heard.push(`${isBinary ? "binary" : "text"}:${Buffer.from(message).toString()}`);
	}

	writable(): void {
		if (this.heard.at(-1) !== "writable") this.heard.push("writable");
		this.onWritable();
	}

	dropped(): void {
		this.heard.push("dropped");
	}

	address(): string {
		return Buffer.from(this.transport.getRemoteAddressAsText()).toString();
	}

	closed(code: number): void {
		this.heard.push(`closed ${code}`);
	}
}

const deadlineMs = 5000;
const part = 16 * 1024;
const numbered = (number: number): string => `${number}`.padEnd(part, ".");

/** What every transport does, whatever it is made of. */
export function transportContract<T extends Transport, P extends Peer>(start: () => Promise<TransportRig<T, P>>): void {
	let rig: TransportRig<T, P>;
	afterEach(() => rig.stop());

	async function connected(): Promise<{ session: RecordingSession<T>; peer: P }> {
		rig = await start();
		const session = new RecordingSession<T>();
		return { session, peer: await rig.connect(session) };
	}

	/** Sends until so much waits that a message is not taken; returns how many were. Each result must tell what waits after it. */
	function fill({ transport }: RecordingSession<T>): number {
		const seen = new Set<Sent>();
		for (let count = 0; ; count++) {
			if (count > 10_000) throw new Error("it takes any number of bytes");
			const before = transport.getBufferedAmount();
			const sent = transport.send(numbered(count), false);
			if (sent === Sent.dropped) {
				expect(transport.getBufferedAmount()).toBe(before);
				expect(seen, "some of it waited before a message was dropped").toContain(Sent.buffered);
				return count;
			}
			seen.add(sent);
			expect(sent).toBe(transport.getBufferedAmount() > 0 ? Sent.buffered : Sent.written);
		}
	}

	it("sends whole messages, text and bytes, in order; the bytes may be reused at once", async () => {
		const { session, peer } = await connected();
		const bytes = Buffer.from("first");
		session.transport.send(bytes, true);
		bytes.fill("X");
		expect(session.transport.send("second", false)).toBe(rig.queues === true ? Sent.buffered : Sent.written);
		expect(session.transport.send("", false)).not.toBe(Sent.dropped);
		session.transport.send("third", false);
		await waitFor(() => peer.received().length === 4 && session.transport.getBufferedAmount() === 0, { deadlineMs, what: "four messages" });
		expect(peer.received()).toEqual(["binary:first", "second", "", "third"]);
		expect(session.transport.getBufferedAmount()).toBe(0);
		expect(session.heard).toEqual(["opened"]);
	});

	it("reports what waits when the peer does not read, drops what exceeds the limit, and reports when there is room again; no byte is missing", async () => {
		const { session, peer } = await connected();
		peer.pause();
		const taken = fill(session);
		expect(session.transport.getBufferedAmount()).toBeGreaterThan(0);
		expect(session.transport.getBufferedAmount()).toBeLessThan(rig.bufferedBytesMax + 3 * part);
		expect(session.heard.filter((what) => what === "dropped").length).toBe(1);
		expect(session.heard).not.toContain("writable");
		peer.resume();
		await waitFor(() => session.heard.includes("writable") && session.transport.getBufferedAmount() === 0, {
			deadlineMs,
			what: "room",
		});
		session.transport.send("after", false);
		await waitFor(() => peer.received().length === taken + 1, { deadlineMs, what: "all that was taken" });
		expect(peer.received()).toEqual([...Array.from({ length: taken }, (_, count) => numbered(count)), "after"]);
	});

	it("knows the peer's address while it is open, also when it is full", async () => {
		const { session, peer } = await connected();
		expect(session.address()).toBe("127.0.0.1");
		peer.pause();
		fill(session);
		expect(session.address()).toBe("127.0.0.1");
	});

	it("ends with code and reason, after the waiting messages; the session is told once, before end returns", async () => {
		const { session, peer } = await connected();
		session.transport.send("last", false);
		session.transport.end(3008, "slow");
		expect(session.heard).toEqual(["opened", "closed 3008"]);
		expect(await peer.ended).toEqual({ code: 3008, reason: "slow" });
		expect(peer.received()).toEqual(["last"]);
		expect(session.heard).toEqual(["opened", "closed 3008"]);
	});

	it("is cut by close: no code, and waiting messages are lost", async () => {
		const { session, peer } = await connected();
		peer.pause();
		const taken = fill(session);
		session.heard.length = 0;
		session.transport.close();
		expect(session.heard).toEqual(["closed 1006"]);
		peer.resume();
		expect((await peer.ended).code).toBe(1006);
		expect(peer.received().length).toBeLessThan(taken);
	});

	it("reports the peer's close with its code", async () => {
		const { session, peer } = await connected();
		peer.leave(4321);
		await waitFor(() => session.heard.length === 2, { deadlineMs, what: "the end" });
		expect(session.heard).toEqual(["opened", `closed ${rig.leavesWithoutCode ? 1006 : 4321}`]);
	});

	it("keeps connections apart", async () => {
		const { session, peer } = await connected();
		const other = new RecordingSession<T>();
		const otherPeer = await rig.connect(other);
		session.transport.send("one", false);
		other.transport.send("other", false);
		await waitFor(() => peer.received().length === 1 && otherPeer.received().length === 1, { deadlineMs, what: "a message each" });
		session.transport.end(3000, "");
		expect(other.heard).toEqual(["opened"]);
		expect([peer.received(), otherPeer.received()]).toEqual([["one"], ["other"]]);
	});
}

/** What a transport that goes both ways does beside. */
export function framesContract<T extends Transport>(start: () => Promise<TransportRig<T, SendingPeer>>): void {
	let rig: TransportRig<T, SendingPeer>;
	afterEach(() => rig.stop());

	it("hands the peer's messages to the session, whole and in order", async () => {
		rig = await start();
		const session = new RecordingSession<T>();
		const peer = await rig.connect(session);
		peer.send("one");
		peer.send(Buffer.from("two"));
		peer.send("");
		await waitFor(() => session.heard.length === 4, { deadlineMs, what: "three frames" });
		expect(session.heard).toEqual(["opened", "text:one", "binary:two", "text:"]);
	});
}

export interface TopicRig extends TransportRig<TopicTransport> {
	/** To all subscribers of the topic. */
	publish(topic: string, message: Uint8Array, isBinary: boolean): void;
}

/** What a transport that can listen to topics does beside. */
export function topicsContract(start: () => Promise<TopicRig>): void {
	let rig: TopicRig;
	afterEach(() => rig.stop());

	async function connected(): Promise<{ session: RecordingSession<TopicTransport>; peer: Peer }> {
		const session = new RecordingSession<TopicTransport>();
		return { session, peer: await rig.connect(session) };
	}
	const says = (topic: string, text: string) => rig.publish(topic, Buffer.from(text), false);

	it("gets the topics that it has subscribed to, and no longer those that it has left", async () => {
		rig = await start();
		const { session, peer } = await connected();
		session.transport.subscribe("a");
		session.transport.subscribe("b");
		for (const topic of ["a", "b", "c"]) says(topic, `${topic}1`);
		session.transport.unsubscribe("a");
		for (const topic of ["a", "b", "c"]) says(topic, `${topic}2`);
		session.transport.send("end", false);
		await waitFor(() => peer.received().includes("end"), { deadlineMs, what: "the last message" });
		expect(peer.received()).toEqual(["a1", "b1", "b2", "end"]);
	});

	it("publishes to all subscribers but itself", async () => {
		rig = await start();
		const [one, other] = [await connected(), await connected()];
		for (const { session } of [one, other]) session.transport.subscribe("a");
		one.session.transport.publish("a", Buffer.from("from one"), false);
		says("a", "from elsewhere");
		await waitFor(() => other.peer.received().length === 2 && one.peer.received().length === 1, { deadlineMs, what: "both messages" });
		expect(other.peer.received()).toEqual(["from one", "from elsewhere"]);
		expect(one.peer.received()).toEqual(["from elsewhere"]);
	});

	it("keeps the order of what was published to a topic and what is sent to it alone", async () => {
		rig = await start();
		const { session, peer } = await connected();
		session.transport.subscribe("a");
		const sent: string[] = [];
		for (let count = 0; count < 200; count++) {
			const text = `${count}`;
			sent.push(text);
			if (count % 3 === 0) session.transport.send(text, false);
			else says("a", text);
		}
		await waitFor(() => peer.received().length === sent.length, { deadlineMs, what: "all messages" });
		expect(peer.received()).toEqual(sent);
	});
}
