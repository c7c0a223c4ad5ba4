import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Announcement, parseAnnouncement, signatureOf } from "../../src/discovery/announcement.ts";
import { Discovery, type DiscoveryOptions } from "../../src/discovery/discovery.ts";

let nonces = 0;

/** A discovery without a socket, and what a backend would send to it. */
function rig(options: Partial<DiscoveryOptions> = {}, nowMs = () => performance.now()) {
	const events: string[] = [];
	const warnings: string[] = [];
	const log = { info: () => {}, warn: (...words: unknown[]) => void warnings.push(String(words.at(-1))) };
	const discovery = new Discovery(
		{ listen: { host: "127.0.0.1", port: 0 }, ...options },
		{
			log,
			nowMs,
			onFound: ({ address, name }) => events.push(`found ${address} ${name}`.trim()),
			onGone: ({ address }, why) => events.push(`${why} ${address}`),
		},
	);
	const bytes = (value: object) => Buffer.from(JSON.stringify(value));
	return {
		discovery,
		events,
		warnings,
		send(fields: object = {}, from = "127.0.0.1"): void {
			discovery.receive(bytes({ shardcast: "backend", version: 1, port: 9001, ...fields }), { address: from });
		},
		/** @returns the datagram, to send it again. */
		signed(fields: object = {}, from = "10.0.0.7", secret = "secret"): Buffer {
			const nonce = `nonce-${String(nonces++).padStart(16, "0")}`;
			const content = { shardcast: "backend", version: 1, port: 9001, time: Date.now(), nonce, ...fields };
			const signature = signatureOf(parseAnnouncement(bytes(content)) as Announcement, secret);
			const datagram = bytes({ ...content, signature });
			discovery.receive(datagram, { address: from });
			return datagram;
		},
		get refused(): object {
			return Object.fromEntries(Object.entries(discovery.refused).filter(([, count]) => count > 0));
		},
	};
}

beforeEach(() => {
	vi.useFakeTimers({ now: 1_700_000_000_000 });
});
afterEach(() => {
	expect(vi.getTimerCount(), "no timer is left").toBe(0);
	vi.useRealTimers();
});

describe("discovery", () => {
	it("finds a backend once, tells a new name, and forgets it 15 s after its last announcement", async () => {
		const { discovery, events, send } = rig();
		send({ name: "camera" });
		vi.advanceTimersByTime(14_999);
		send({ name: "camera" });
		vi.advanceTimersByTime(14_999);
		expect(events).toEqual(["found 127.0.0.1:9001 camera"]);
		send({ name: "camera-2" });
		vi.advanceTimersByTime(14_999);
		expect(events).toEqual(["found 127.0.0.1:9001 camera", "found 127.0.0.1:9001 camera-2"]);
		expect(discovery.backends).toEqual([{ address: "127.0.0.1:9001", host: "127.0.0.1", port: 9001, name: "camera-2" }]);
		vi.advanceTimersByTime(1);
		expect(events.at(-1)).toBe("expired 127.0.0.1:9001");
		expect(discovery.backends).toEqual([]);
		expect(discovery.accepted).toBe(3);
	});

	it("does not count time in which the process stood still, and heard nobody", async () => {
		let stoodMs = 0;
		const { events, send } = rig({}, () => performance.now() + stoodMs);
		send({ port: 1 });
		vi.advanceTimersByTime(10_000);
		send({ port: 2 });
		vi.advanceTimersByTime(1000);
		stoodMs = 60_000;
		vi.advanceTimersByTime(4000);
		expect(events.slice(2)).toEqual(["expired 127.0.0.1:1"]);
		vi.advanceTimersByTime(9500);
		expect(events.slice(3)).toEqual([]);
		vi.advanceTimersByTime(500);
		expect(events.slice(3)).toEqual(["expired 127.0.0.1:2"]);
	});

	it("forgets each of several backends in its own time", async () => {
		const { events, send } = rig();
		send({ port: 1 });
		vi.advanceTimersByTime(5000);
		send({ port: 2 });
		vi.advanceTimersByTime(5000);
		send({ port: 1 });
		vi.advanceTimersByTime(10_000);
		expect(events.slice(2)).toEqual(["expired 127.0.0.1:2"]);
		vi.advanceTimersByTime(5000);
		expect(events.slice(3)).toEqual(["expired 127.0.0.1:1"]);
	});

	it("forgets a backend that leaves at once, and takes it again when it is back", async () => {
		const { discovery, events, send } = rig();
		send();
		send({ leaving: true });
		send({ leaving: true });
		send();
		expect(events).toEqual(["found 127.0.0.1:9001", "left 127.0.0.1:9001", "found 127.0.0.1:9001"]);
		await discovery.stop();
		expect(discovery.backends).toEqual([]);
	});

	it("without a secret accepts loopback and the listed networks, in all forms of their addresses, and nobody else", async () => {
		const rigged = rig({ networks: ["10.1.0.0/16", "2001:db8::/32", "fe80::/10"] });
		const { discovery, events, send } = rigged;
		for (const from of ["127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::ffff:7f00:1"]) send({}, from);
		for (const from of ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7", "2001:DB8:0::7", "fe80::1%eth0"]) send({}, from);
		const found = ["127.0.0.1", "127.9.9.9", "[::1]", "10.1.2.3", "[2001:db8::7]", "fe80::1%eth0"];
		expect(events).toEqual(found.map((host) => `found ${host.includes("%") ? `[${host}]` : host}:9001`));
		for (const from of ["10.2.0.1", "::ffff:10.2.0.1", "2001:db9::1", "::2", "::127.0.0.1", "192.0.2.1"]) send({}, from);
		expect(rigged.refused).toEqual({ untrusted: 6 });
		expect(events).toHaveLength(6);
		await discovery.stop();
	});

	it("without a secret takes no other host than the sender's: nobody sends the gateway to somebody else", async () => {
		const rigged = rig();
		rigged.send({ host: "10.0.0.7" });
		rigged.send({ host: "10.0.0.7", leaving: true });
		expect(rigged.refused).toEqual({ foreign_host: 2 });
		rigged.send({ host: "::ffff:127.0.0.1" });
		expect(rigged.events).toEqual(["found 127.0.0.1:9001"]);
		await rigged.discovery.stop();
	});

	it("with a secret accepts signed announcements from anywhere, for their host or the sender, and no others, not even of loopback", async () => {
		const rigged = rig({ secrets: ["secret", "former"], networks: ["10.0.0.0/8"] });
		const { discovery, events, send, signed } = rigged;
		await started(rigged);
		signed();
		signed({}, "::ffff:192.0.2.1", "former");
		signed({ host: "2001:DB8:0::1" });
		expect(events).toEqual(["found 10.0.0.7:9001", "found 192.0.2.1:9001", "found [2001:db8::1]:9001"]);
		send();
		send({ time: Date.now() }, "10.0.0.7");
		signed({ nonce: "" });
		expect(rigged.refused).toEqual({ unsigned: 3 });
		signed({}, "10.0.0.7", "Secret");
		send({ time: Date.now(), nonce: "0123456789abcdef", signature: "0".repeat(64) });
		expect(rigged.refused).toEqual({ unsigned: 3, signature: 2 });
		expect(events).toHaveLength(3);
		await discovery.stop();
	});

	it("accepts no signed announcement twice, as long as its time could be accepted", async () => {
		const rigged = rig({ secrets: ["secret"] });
		const { discovery, signed } = rigged;
		await started(rigged);
		const datagram = signed({ time: Date.now() + 30_000 });
		for (let second = 0; second < 60; second++) {
			discovery.receive(datagram, { address: "10.0.0.66" });
			vi.advanceTimersByTime(1000);
		}
		discovery.receive(datagram, { address: "10.0.0.66" });
		expect(rigged.refused).toEqual({ replayed: 61 });
		vi.advanceTimersByTime(1);
		discovery.receive(datagram, { address: "10.0.0.66" });
		expect(rigged.refused).toEqual({ replayed: 61, stale: 1 });
		expect(rigged.events).toEqual(["found 10.0.0.7:9001", "expired 10.0.0.7:9001"]);
		await discovery.stop();
	});

	it("accepts no signed announcement whose time is more than 30 s away, or before this process began", async () => {
		const rigged = rig({ secrets: ["secret"] });
		const { discovery, events, signed } = rigged;
		await started(rigged);
		signed({ port: 1, time: Date.now() - 1 });
		signed({ port: 2, time: Date.now() + 30_001 });
		expect(rigged.refused).toEqual({ stale: 2 });
		signed({ port: 3, time: Date.now() + 30_000 });
		signed({ port: 4 });
		vi.advanceTimersByTime(40_000);
		signed({ port: 5, time: Date.now() - 30_001 });
		expect(rigged.refused).toEqual({ stale: 3 });
		signed({ port: 6, time: Date.now() - 30_000 });
		const found = events.filter((each) => each.startsWith("found"));
		expect(found).toEqual(["found 10.0.0.7:3", "found 10.0.0.7:4", "found 10.0.0.7:6"]);
		await discovery.stop();
	});

	it("is not told by a late datagram that a backend that left is there, or that one that is back left", async () => {
		const rigged = rig({ secrets: ["secret"] });
		const { discovery, events, signed } = rigged;
		await started(rigged);
		vi.advanceTimersByTime(1000);
		signed({ leaving: true });
		signed({ time: Date.now() - 500 });
		expect(events).toEqual([]);
		vi.advanceTimersByTime(1000);
		signed();
		signed({ leaving: true, time: Date.now() - 500 });
		expect(events).toEqual(["found 10.0.0.7:9001"]);
		expect(rigged.refused).toEqual({ stale: 2 });
		await discovery.stop();
	});

	it("keeps 64 backends, and refuses others until one is gone", async () => {
		const rigged = rig();
		const { discovery, events, send } = rigged;
		for (let port = 1; port <= 70; port++) send({ port });
		expect(events).toHaveLength(64);
		expect(rigged.refused).toEqual({ full: 6 });
		vi.advanceTimersByTime(1000);
		send({ port: 1 });
		expect(rigged.refused, "one that is known").toEqual({ full: 6 });
		send({ port: 7, leaving: true });
		send({ port: 65 });
		expect(events.slice(64)).toEqual(["left 127.0.0.1:7", "found 127.0.0.1:65"]);
		await discovery.stop();
	});

	it("reads no more than 100 datagrams a second of a flood, which does not silence backends that are known", async () => {
		const rigged = rig({ secrets: ["secret"] });
		const { discovery, signed, send } = rigged;
		await started(rigged);
		signed();
		for (let count = 0; count < 5000; count++) send({}, `10.${count >> 8}.${count & 255}.1`);
		expect(rigged.refused).toEqual({ unsigned: 99, rate: 4901 });
		for (let count = 0; count < 4; count++) {
			vi.advanceTimersByTime(5000);
			for (let flood = 0; flood < 200; flood++) send({}, "10.0.0.66");
			signed();
		}
		expect(discovery.accepted).toBe(5);
		expect(rigged.events).toEqual(["found 10.0.0.7:9001"]);
		await discovery.stop();
	});

	it("does not forget a backend while so many datagrams come from its address that its announcements may be refused", async () => {
		const rigged = rig({ secrets: ["secret"] });
		const { discovery, events, signed, send } = rigged;
		await started(rigged);
		signed();
		signed({ port: 9002, host: "10.0.0.8" }, "10.0.0.8");
		for (let second = 0; second < 60; second++) {
			for (let flood = 0; flood < 300; flood++) send({}, "10.0.0.7");
			signed();
			vi.advanceTimersByTime(1000);
		}
		expect(discovery.accepted).toBeLessThan(5);
		expect(events).toEqual(["found 10.0.0.7:9001", "found 10.0.0.8:9002", "expired 10.0.0.8:9002"]);
		vi.advanceTimersByTime(31_000);
		expect(events.at(-1)).toBe("expired 10.0.0.7:9001");
		await discovery.stop();
	});

	it("logs the first refusal of each reason, with what to do", async () => {
		const { discovery, send, warnings } = rig();
		for (let count = 0; count < 10; count++) {
			send({}, "10.0.0.7");
			send({ port: 0 });
		}
		expect(warnings).toHaveLength(2);
		expect(warnings[0]).toContain("from 10.0.0.7 was refused: its sender is in none of the networks of --discovery-networks");
		await discovery.stop();
	});

	it("does not take an empty secret, with which anyone could sign", () => {
		expect(() => rig({ secrets: [""] })).toThrow("a secret of discovery is empty");
	});
});

/** Starts it on a port of the kernel's choice. */
async function started({ discovery }: ReturnType<typeof rig>): Promise<void> {
	await discovery.start();
}
