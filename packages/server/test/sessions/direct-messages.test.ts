import { describe, expect, it, vi } from "vitest";
import { DirectMessages } from "../../src/sessions/direct-messages.ts";
import type { RawSession } from "../../src/sessions/raw/raw-session.ts";
import { CentrifugeRig } from "../support/centrifuge-rig.ts";
import type { FakeTransport } from "../support/fake-transport.ts";
import { RawRig } from "../support/raw-rig.ts";
import { tokenOf, tokenSecret } from "../support/tokens.ts";

const payload = Buffer.from('{"type":"hi","payload":1}');

/** A part of a Protobuf message behind its length. */
const delimited = (bytes: Iterable<number>): number[] => {
	const all = [...bytes];
	return [(all.length & 127) | 128, all.length >> 7, ...all];
};

/** Clients of both protocols. */
async function setup() {
	const rig = new CentrifugeRig({ clientInsecure: false, tokenHmacSecret: tokenSecret });
	const raw = new RawRig({ tokenHmacSecret: tokenSecret });
	const connect = async (user: string, query = "") => {
		const client = rig.open(query);
		const token = await tokenOf({ sub: user });
		if (query === "") client.send({ connect: { token }, id: 1 });
		else client.session.frame(new Uint8Array(delimited([0x08, 1, 0x22, ...delimited([0x0a, ...delimited(Buffer.from(token))])])).buffer);
		await vi.waitFor(() => expect(client.session.state).toBe("connected"), { timeout: 8000 });
		client.transport.peer.received().length = 0;
		return client;
	};
	const connectRaw = async (user: string) => (await raw.ask(`token=${await tokenOf({ sub: user })}`)) as RawSession;
	const messages = new DirectMessages({
		ofUser: (user) => [...rig.endpoint.connected.of(user), ...raw.endpoint.clientsOf(user)],
		all: () => [...rig.sessions.snapshot(), ...raw.sessions.snapshot()],
	});
	const received = ({ transport }: { readonly transport: unknown }) => (transport as FakeTransport).peer.received();
	return { rig, raw, connect, connectRaw, messages, received };
}

describe("a message to connections", () => {
	it("reaches every connection of the user once, whatever its protocol, and nobody else", { tags: ["long"] }, async () => {
		const { connect, connectRaw, messages, received } = await setup();
		const [json, second, protobuf] = [await connect("ann"), await connect("ann"), await connect("ann", "cf_protocol=protobuf")];
		const raw = await connectRaw("ann");
		const others = [await connect("bob"), await connectRaw("bob")];
		expect(messages.deliver("ann", payload)).toBe(4);
		const push = '{"push":{"message":{"data":{"type":"hi","payload":1}}}}';
		expect([received(json), received(second)]).toEqual([[push], [push]]);
		const [frame] = protobuf.transport.peer.received();
		expect(frame).toContain("binary:");
		expect(frame).toContain('{"type":"hi","payload":1}');
		expect(received(raw)).toEqual(['{"type":"hi","payload":1}']);
		expect(others.map(received)).toEqual([[], []]);
		expect(messages.deliver("nobody", payload)).toBe(0);
	});

	it("reaches all clients that have connected, also those that only listen, and none that is leaving", { tags: ["long"] }, async () => {
		const { rig, connect, connectRaw, messages, received } = await setup();
		const json = await connect("ann");
		const raw = await connectRaw("bob");
		const early = rig.open();
		const leaving = await connect("ann");
		leaving.session.close(3000);
		leaving.transport.peer.received().length = 0;
		const only = rig.listening();
		only.send({ token: await tokenOf({ sub: "uma" }) });
		await vi.waitFor(() => expect(only.session.state).toBe("connected"), { timeout: 8000 });
		only.transport.peer.received().length = 0;
		expect(messages.deliver(null, payload)).toBe(3);
		expect(received(only)).toEqual(['{"message":{"data":{"type":"hi","payload":1}}}']);
		expect([json, raw, early, leaving].map((client) => received(client).length)).toEqual([1, 1, 0, 0]);
		const sessions = [leaving.session, json.session];
		const stillListed = new DirectMessages({ ofUser: () => sessions, all: () => sessions });
		expect([stillListed.deliver("ann", payload), stillListed.deliver(null, payload)], "the lists may have it a little longer").toEqual([
			1, 1,
		]);
	});

	it("is framed once for all clients with the same framing", { tags: ["long"] }, async () => {
		const { connect, messages } = await setup();
		const clients = [await connect("ann"), await connect("ann"), await connect("ann", "cf_protocol=protobuf")];
		const encodings = clients.map(({ session }) => vi.spyOn(session.framing, "encode"));
		messages.deliver("ann", payload);
		const [json, same, binary] = encodings;
		expect(same).toBe(json);
		expect([json!.mock.calls.length, binary!.mock.calls.length]).toEqual([1, 1]);
	});

	it("costs a client that reads too slowly its connection, like any other message", async () => {
		const { rig, connect, messages } = await setup();
		const slow = await connect("ann");
		slow.transport.peer.pause();
		const large = Buffer.from(JSON.stringify({ type: "a", payload: "x".repeat(15_000) }));
		for (let count = 0; count < 7 && !slow.session.isGone; count++) {
			messages.deliver("ann", large);
			rig.sessions.closeSlow();
		}
		expect(slow.session.isGone).toBe(true);
		expect(messages.deliver("ann", large)).toBe(0);
	});
});
