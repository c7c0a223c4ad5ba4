import { type Config, defaultConfig } from "@shardcast/config";
import { describe, expect, it, vi } from "vitest";
import { type CentrifugeClient, CentrifugeRig } from "../../../support/centrifuge-rig.ts";

const limits = { size: 400, ttlMs: 60_000, metaTtlMs: 60_000 };

function kept(more: Readonly<Record<string, unknown>> = {}, options: Partial<Config> = {}) {
	const rules = { ...defaultConfig().channelWithoutNamespace, historySize: 400, historyTtlMs: 60_000, allowRecovery: true, ...more };
	const rig = new CentrifugeRig({ channelWithoutNamespace: rules, ...options });
	/** Into the log, as any shard does it. */
	const publish = (count = 1): void => {
		for (let index = 0; index < count; index++) {
			const { offset } = rig.log.position("c")!;
			rig.log.publish("c", Buffer.from(`${offset + 1}`), { history: limits });
		}
	};
	/** This shard gives its clients all that is in the log. */
	const deliver = (): void => {
		while (rig.reader.read(1000, () => {}) > 0);
	};
	const epoch = () => rig.log.position("c")!.epoch;
	return { rig, publish, deliver, epoch };
}

const subscribe = (client: CentrifugeClient, more: object): unknown => {
	client.send({ subscribe: { channel: "c", flag: 1, ...more }, id: 2 });
	return client.replies()[0];
};
const publications = (from: number, to: number) =>
	Array.from({ length: to - from + 1 }, (_, index) => ({ data: from + index, offset: from + index }));

describe("a subscription with a position", () => {
	it("starts where this shard's clients are: what the shard has not delivered yet will follow", () => {
		const { rig, publish, deliver, epoch } = kept();
		publish(3);
		deliver();
		publish(2);
		expect(subscribe(rig.connected(), { recoverable: true })).toEqual({
			id: 2,
			subscribe: { recoverable: true, positioned: true, epoch: epoch(), offset: 3 },
		});
		expect(subscribe(rig.connected(), { positioned: true })).toMatchObject({ subscribe: { positioned: true, offset: 3 } });
		expect(subscribe(rig.connected(), {})).toEqual({ id: 2, subscribe: {} });
	});

	it("is granted to everybody where the namespace forces it, and to nobody without history", () => {
		const forced = kept({ forceRecovery: true, allowRecovery: false });
		expect(subscribe(forced.rig.connected(), {})).toMatchObject({ subscribe: { recoverable: true, positioned: true } });
		const none = kept({ historySize: 0, historyTtlMs: 0, allowRecovery: false });
		expect(subscribe(none.rig.connected(), { recoverable: true, recover: true, offset: 5 })).toEqual({
			id: 2,
			subscribe: { was_recovering: true },
		});
	});
});

describe("unread long replies", () => {
	it("delay commands of all clients that would add more, until they are read or their client disconnects; other commands continue", async () => {
		const rules = { ...defaultConfig().channelWithoutNamespace, historySize: 400, historyTtlMs: 60_000, allowHistoryForClient: true };
		const rig = new CentrifugeRig({ channelWithoutNamespace: rules }, null, Number.POSITIVE_INFINITY, 50_000);
		for (let index = 0; index < 60; index++) rig.log.publish("c", Buffer.from(`"${"x".repeat(1000)}"`), { history: limits });
		while (rig.reader.read(1000, () => {}) > 0);
		const ask = (client: CentrifugeClient) => client.send({ history: { channel: "c", limit: 60 }, id: 2 });
		const [stalled, gone, other] = [rig.connected(), rig.connected(), rig.connected()];
		const held = async (by: CentrifugeClient, free: () => void) => {
			by.transport.peer.pause();
			ask(by);
			expect(rig.lanes.memory.replyBytes).toBeGreaterThan(50_000);
			ask(other);
			expect(other.replies()).toEqual([]);
			expect(subscribe(rig.connected(), {})).toMatchObject({ subscribe: {} });
			free();
			await other.settled();
			expect(other.replies()).toMatchObject([{ id: 2, history: { offset: 60 } }]);
			expect(rig.lanes.memory.replyBytes).toBe(0);
		};
		await held(stalled, () => stalled.transport.peer.resume());
		expect(stalled.replies()).toMatchObject([{ id: 2, history: { offset: 60 } }]);
		await held(gone, () => gone.transport.peer.leave(1006));
		expect(rig.row.get("commandsHeldForMemory")).toBe(2);
	});
});

describe("recovery", () => {
	it("returns what was missed and the requested offset, without what the shard has not delivered yet", () => {
		const { rig, publish, deliver, epoch } = kept();
		publish(7);
		deliver();
		publish(2);
		expect(subscribe(rig.connected(), { recover: true, epoch: epoch(), offset: 4 })).toEqual({
			id: 2,
			subscribe: {
				recoverable: true,
				positioned: true,
				was_recovering: true,
				recovered: true,
				epoch: epoch(),
				offset: 4,
				publications: publications(5, 7),
			},
		});
		expect(rig.row.get("recoveries")).toBe(1);
		expect(rig.row.get("recoveredPublications")).toBe(3);
	});

	it("returns nothing to a client that has missed nothing", () => {
		const { rig, publish, deliver, epoch } = kept();
		publish(2);
		deliver();
		const reply = subscribe(rig.connected(), { recover: true, epoch: epoch(), offset: 2 });
		expect(reply).toMatchObject({ subscribe: { recovered: true, offset: 2 } });
		expect(reply).not.toHaveProperty("subscribe.publications");
	});

	it.each<[string, (epoch: string) => object, number]>([
		["of another epoch", () => ({ epoch: "another", offset: 4 }), 5],
		["that knows that it has lost its place", () => ({ epoch: "_", offset: 0 }), 5],
		["that is ahead of the channel", (epoch) => ({ epoch, offset: 6 }), 5],
		["that missed more than is kept", (epoch) => ({ epoch, offset: 1 }), 450],
		["that missed more than 300", (epoch) => ({ epoch, offset: 99 }), 400],
	])("fails for a client %s: it gets the present position, or 112 if it asks for that", (_what, since, published) => {
		const { rig, publish, deliver, epoch } = kept();
		publish(published);
		deliver();
		const asked = { recover: true, ...since(epoch()) };
		expect(subscribe(rig.connected(), asked)).toEqual({
			id: 2,
			subscribe: { recoverable: true, positioned: true, was_recovering: true, epoch: epoch(), offset: published },
		});
		const strict = rig.connected();
		expect(subscribe(strict, { ...asked, flag: 3 })).toMatchObject({ error: { code: 112 } });
		expect(strict.session.channels).toEqual([]);
		expect(rig.row.get("recoveriesFailed")).toBe(2);
	});

	it("returns up to 300 publications, and exactly 300", () => {
		const { rig, publish, deliver, epoch } = kept();
		publish(400);
		deliver();
		expect(subscribe(rig.connected(), { recover: true, epoch: epoch(), offset: 100 })).toMatchObject({
			subscribe: { recovered: true, offset: 100, publications: publications(101, 400) },
		});
	});

	it("returns as many as the options allow", () => {
		const { rig, publish, deliver, epoch } = kept({}, { recoveryLimitMax: 2, historyLimitMax: 3 });
		publish(10);
		deliver();
		expect(subscribe(rig.connected(), { recover: true, epoch: epoch(), offset: 8 })).toMatchObject({ subscribe: { recovered: true } });
		expect(subscribe(rig.connected(), { recover: true, epoch: epoch(), offset: 7 })).not.toHaveProperty("subscribe.recovered");
		const client = rig.connected();
		client.send({ history: { channel: "c", limit: -1 }, id: 2 });
		expect(client.replies()).toMatchObject([{ history: { publications: publications(1, 3) } }]);
	});

	it("makes a client from a faster shard wait, together with its later commands", async () => {
		const { rig, publish, deliver, epoch } = kept();
		publish(3);
		deliver();
		publish(2);
		const client = rig.connected();
		expect(subscribe(client, { recover: true, epoch: epoch(), offset: 5 })).toBeUndefined();
		client.send({ subscribe: { channel: "other" }, id: 3 });
		expect(client.replies()).toEqual([]);
		deliver();
		await vi.waitFor(() => expect(client.session.backlog).toBeNull(), { timeout: 8_000 });
		expect(client.replies()).toMatchObject([{ id: 2, subscribe: { recovered: true, offset: 5 } }, { id: 3 }]);
	});

	it("ends when its client disconnects while it waits", async () => {
		const { rig, publish, epoch } = kept();
		publish(2);
		const client = rig.connected();
		subscribe(client, { recover: true, epoch: epoch(), offset: 2 });
		client.transport.peer.leave(1000);
		await new Promise((resolve) => setTimeout(resolve, 20));
		expect(rig.kept).toBe(0);
	});
});

describe("history", () => {
	const read = (client: CentrifugeClient, more: object): unknown => {
		client.send({ history: { channel: "c", ...more }, id: 2 });
		return client.replies()[0];
	};

	it("returns the requested publications, with the position of the channel", () => {
		const { rig, publish, epoch } = kept();
		publish(310);
		const client = rig.connected();
		const position = { epoch: epoch(), offset: 310 };
		expect(read(client, {})).toEqual({ id: 2, history: { publications: [], ...position } });
		expect(read(client, { limit: 2 })).toEqual({ id: 2, history: { publications: publications(1, 2), ...position } });
		expect(read(client, { limit: -1 })).toEqual({ id: 2, history: { publications: publications(1, 300), ...position } });
		expect(read(client, { limit: 1000 })).toEqual({ id: 2, history: { publications: publications(1, 300), ...position } });
		expect(read(client, { limit: 2, since: { offset: 5, epoch: epoch() } })).toMatchObject({
			history: { publications: publications(6, 7) },
		});
		expect(read(client, { limit: 2, since: { offset: 5, epoch: "" } })).toMatchObject({ history: { publications: publications(6, 7) } });
		expect(read(client, { limit: 2, reverse: true })).toMatchObject({ history: { publications: publications(309, 310).toReversed() } });
		expect(read(client, { limit: 1, since: { offset: 5, epoch: epoch() }, reverse: true })).toMatchObject({
			history: { publications: publications(4, 4) },
		});
	});

	it.each<[object, number]>([
		[{ since: { offset: 1, epoch: "another" }, limit: 1 }, 112],
		[{ since: { offset: 0, epoch: "" }, limit: 1, reverse: true }, 107],
		[{ channel: "no:where" }, 102],
	])("%o: %i", (asked, code) => {
		const { rig, publish } = kept();
		publish();
		expect(read(rig.connected(), asked)).toMatchObject({ error: { code } });
	});

	it("requires permission", () => {
		const { rig } = kept();
		const strict = new CentrifugeRig({ ...rig.config, clientInsecure: false, allowAnonymousConnect: true });
		expect(read(strict.connected(), { limit: 1 })).toMatchObject({ error: { code: 103 } });
	});
});

describe("presence", () => {
	const presence = { channelWithoutNamespace: { ...defaultConfig().channelWithoutNamespace, presence: true } };

	it("lists the subscribers, until they leave", async () => {
		const rig = new CentrifugeRig(presence);
		const [a, b, c] = [rig.connected(), rig.connected(), rig.connected()];
		for (const client of [a, b]) subscribe(client, {});
		const asked = async (): Promise<unknown[]> => {
			c.send({ presence: { channel: "c" }, id: 5 }, { presence_stats: { channel: "c" }, id: 6 });
			await vi.waitFor(() => expect(c.session.backlog).toBeNull(), { timeout: 8_000 });
			return c.replies();
		};
		const entry = ({ session: { id } }: CentrifugeClient) => [id, { client: id, user: "" }];
		expect(await asked()).toEqual([
			{ id: 5, presence: { presence: Object.fromEntries([entry(a), entry(b)]) } },
			{ id: 6, presence_stats: { num_clients: 2, num_users: 1 } },
		]);
		a.send({ unsubscribe: { channel: "c" }, id: 3 });
		expect(await asked()).toMatchObject([
			{ presence: { presence: Object.fromEntries([entry(b)]) } },
			{ presence_stats: { num_clients: 1 } },
		]);
		b.transport.peer.leave(1000);
		expect(await asked()).toEqual([
			{ id: 5, presence: { presence: {} } },
			{ id: 6, presence_stats: { num_clients: 0, num_users: 0 } },
		]);
		expect(rig.endpoint.subscribers.presence.channelCount).toBe(0);
	});

	it("requires permission", () => {
		const client = new CentrifugeRig({ ...presence, clientInsecure: false, allowAnonymousConnect: true }).connected();
		client.send({ presence: { channel: "c" }, id: 5 });
		expect(client.replies()).toMatchObject([{ error: { code: 103 } }]);
	});
});
