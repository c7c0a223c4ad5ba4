import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { hasIpv6, waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { Discovery, type DiscoveryOptions } from "../../src/discovery/discovery.ts";
import { closing, leavesNothing } from "../support/leaves-nothing.ts";

leavesNothing();
const within = (what: string) => ({ what, deadlineMs: 20_000 });
const log = { info: () => {}, warn: () => {} };

async function rig(options: Partial<DiscoveryOptions> = {}) {
	const events: string[] = [];
	const discovery = new Discovery(
		{ listen: { port: 0 }, ...options },
		{
			log,
			onFound: ({ address }) => events.push(`found ${address}`),
			onGone: ({ address }, why) => events.push(`${why} ${address}`),
		},
	);
	closing(() => discovery.stop());
	await discovery.start();
	return { discovery, events };
}

async function sender(host = "127.0.0.1"): Promise<Socket> {
	const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
	closing(async () => socket.close());
	socket.bind(0, host);
	await once(socket, "listening");
	return socket;
}

const announcement = JSON.stringify({ shardcast: "backend", version: 1, port: 9001 });

describe("discovery over UDP", () => {
	it("hears what is sent to it and what is broadcast, by the address that it comes from, until it expires", async () => {
		const { discovery, events } = await rig({ expireMs: 200 });
		const [one, two] = [await sender("127.0.0.1"), await sender("127.0.0.2")];
		two.setBroadcast(true);
		// Together, so that the first cannot expire before the second is heard.
		one.send(announcement, discovery.port, "127.0.0.1");
		two.send(announcement, discovery.port, "127.255.255.255");
		await waitFor(() => events.length === 2, within("both"));
		expect(events).toEqual(["found 127.0.0.1:9001", "found 127.0.0.2:9001"]);
		await waitFor(() => events.length === 4, within("both expire"));
		expect(events.slice(2)).toEqual(["expired 127.0.0.1:9001", "expired 127.0.0.2:9001"]);
	});

	it.runIf(hasIpv6)("hears IPv6 on the same port", async () => {
		const { discovery, events } = await rig();
		(await sender("::1")).send(announcement, discovery.port, "::1");
		await waitFor(() => events.length === 1, within("the announcement"));
		expect(events).toEqual(["found [::1]:9001"]);
	});

	it("counts datagrams of all kinds, none of which ends it", async () => {
		const { discovery, events } = await rig();
		const socket = await sender();
		for (const datagram of ["", "{", Buffer.alloc(1025), Buffer.alloc(60_000, "["), `${"[".repeat(1000)}`, Buffer.from([0xff, 0xfe])])
			socket.send(datagram, discovery.port, "127.0.0.1");
		socket.send(announcement, discovery.port, "127.0.0.1");
		await waitFor(() => events.length === 1, within("the announcement"));
		expect(discovery.refused).toMatchObject({ malformed: 4, oversized: 2 });
		expect(discovery.errors).toBe(0);
	});

	it("says which option to change when its port is taken", async () => {
		const { discovery } = await rig({ listen: { host: "127.0.0.1", port: 0 } });
		const second = rig({ listen: { host: "127.0.0.1", port: discovery.port } });
		await expect(second).rejects.toThrow(`--discover: port ${discovery.port} is taken`);
	});

	it("can be stopped before it was started, and twice", async () => {
		const discovery = new Discovery({}, { log, onFound: () => {}, onGone: () => {} });
		await discovery.stop();
		await discovery.stop();
		expect(discovery.port).toBe(0);
	});
});
