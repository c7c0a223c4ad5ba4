import type { Config } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import { type CentrifugeClient, CentrifugeRig } from "../support/centrifuge-rig.ts";

/** The error of the reply to a command, the code with which the client is closed, or 0: it was carried out. */
async function codeOf(client: CentrifugeClient, command: object): Promise<number> {
	client.send({ ...command, id: 9 });
	await client.settled();
	if (client.session.leaving !== 0) return (await client.ended).code;
	const [reply] = client.replies() as { readonly id: number; readonly error?: { readonly code: number } }[];
	expect(reply, "a reply to the command").toMatchObject({ id: 9 });
	return reply?.error?.code ?? 0;
}

const name = (length: number) => ({ subscribe: { channel: "c".repeat(length) } });
/** Its data as JSON has so many bytes. */
const publication = (bytes: number) => ({ publish: { channel: "a", data: "x".repeat(bytes - 2) } });

/** Each limit lets so many through, and answers one more with its code: never with silence. */
describe("limits of one client at the boundary", () => {
	it.each<[limit: string, values: Partial<Config>, within: readonly object[], beyond: object, code: number]>([
		[
			"channels of a client (client.channel_limit)",
			{ channelLimit: 3 },
			["a", "b", "c"].map((channel) => ({ subscribe: { channel } })),
			{ subscribe: { channel: "d" } },
			106,
		],
		["length of a channel's name (channel.max_length)", { channelLengthMax: 20 }, [name(1), name(20)], name(21), 107],
		["size of a publication (limits.max_payload)", { maxPayloadBytes: 100 }, [publication(99), publication(100)], publication(101), 106],
		["messages per second (limits.message_rate)", { messageRate: 3 }, [9, 9, 9].map(publication), publication(9), 111],
	])("%s", async (_limit, values, within, beyond, code) => {
		const client = new CentrifugeRig(values).connected();
		for (const command of within) expect(await codeOf(client, command), JSON.stringify(command)).toBe(0);
		expect(await codeOf(client, beyond)).toBe(code);
	});

	it("subscriptions while the node is cut off from the others, if it refuses them then", async () => {
		const rig = new CentrifugeRig();
		const client = rig.connected();
		expect(await codeOf(client, { subscribe: { channel: "a" } })).toBe(0);
		rig.isCutOff = true;
		expect(await codeOf(client, { subscribe: { channel: "b" } }), "temporary: the client tries again").toBe(100);
		expect(await codeOf(client, { unsubscribe: { channel: "a" } })).toBe(0);
		rig.isCutOff = false;
		expect(await codeOf(client, { subscribe: { channel: "b" } })).toBe(0);
	});

	it("clients that have a connection and have not connected when the node is cut off, if it refuses them then", async () => {
		const rig = new CentrifugeRig();
		const client = rig.open();
		rig.isCutOff = true;
		expect(await codeOf(client, { connect: {} }), "temporary: the client tries again").toBe(100);
		rig.isCutOff = false;
		expect(await codeOf(rig.open(), { connect: {} })).toBe(0);
	});

	it("a client that exceeded a limit can go on within it", async () => {
		const client = new CentrifugeRig({ channelLimit: 1 }).connected();
		expect(await codeOf(client, { subscribe: { channel: "a" } })).toBe(0);
		expect(await codeOf(client, { subscribe: { channel: "b" } })).toBe(106);
		expect(await codeOf(client, { unsubscribe: { channel: "a" } })).toBe(0);
		expect(await codeOf(client, { subscribe: { channel: "b" } })).toBe(0);
	});
});
