import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultConfig } from "@shardcast/config";
import { RecordKind } from "@shardcast/wire";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type CentrifugeClient, CentrifugeRig } from "../../support/centrifuge-rig.ts";

const size = 5;
const history = { size, ttlMs: 60_000, metaTtlMs: 3_600_000 };

describe("consumers of durable channels", () => {
	let folder: string;
	let rig: CentrifugeRig;
	beforeEach(() => {
		folder = mkdtempSync(join(tmpdir(), "consumers-"));
		const { channelWithoutNamespace } = defaultConfig();
		const options = { ...channelWithoutNamespace, durable: true, historySize: size, historyTtlMs: history.ttlMs };
		rig = new CentrifugeRig({
			durableStorePath: folder,
			durableAckTimeoutMs: 10_000,
			pingIntervalMs: 3_600_000,
			channelWithoutNamespace: options,
		});
	});
	afterEach(async () => {
		await rig.durable!.stop();
		rmSync(folder, { recursive: true });
	});

	/** As the shard's loop does: what is published counts as delivered. */
	async function publish(...texts: string[]): Promise<void> {
		for (const text of texts) {
			const result = await rig.durable!.publish(RecordKind.text, 0, "a", Buffer.from(JSON.stringify(text)), history);
			expect(result.outcome).toBe("accepted");
		}
		await turn();
	}

	async function turn(): Promise<void> {
		for (let index = 0; index < 10; index++) {
			await new Promise((resolve) => setTimeout(resolve, 2));
			rig.reader.read(1000, () => {});
		}
	}

	async function subscribe(client: CentrifugeClient, consumer: unknown = "k"): Promise<unknown> {
		client.send({ subscribe: { channel: "a", data: { consumer }, flag: 1 }, id: 2 });
		const loop = setInterval(() => rig.reader.read(1000, () => {}), 1);
		await client.settled();
		clearInterval(loop);
		return client.replies()[0];
	}

	async function acknowledge(client: CentrifugeClient, data: object): Promise<unknown> {
		client.send({ rpc: { method: "shardcast.ack", data }, id: 3 });
		await client.settled();
		return client.replies()[0];
	}

	const epoch = () => rig.durable!.position("a")!.epoch;

	it("one that acknowledges nothing in time is unsubscribed with 2500 and gets everything again; an acknowledgement extends its time", {
		tags: ["long"],
	}, async () => {
		const client = rig.connected();
		expect(await subscribe(client)).toMatchObject({ subscribe: { recovered: true, offset: 1 } });
		await publish("one", "two");
		rig.endpoint.everySecond();
		rig.seconds += 9;
		expect(await acknowledge(client, { channel: "a", consumer: "k", offset: 2, epoch: epoch() })).toEqual({ id: 3, rpc: { data: {} } });
		rig.endpoint.everySecond();
		rig.seconds += 9;
		rig.endpoint.everySecond();
		expect(client.replies()).toEqual([]);
		rig.seconds += 3;
		rig.endpoint.everySecond();
		expect(client.replies()).toEqual([{ push: { channel: "a", unsubscribe: { code: 2500, reason: "insufficient state" } } }]);
		expect(rig.row.get("durableRedeliveries")).toBe(1);
		expect(await subscribe(client)).toMatchObject({
			subscribe: { recovered: true, offset: 2, publications: [{ data: "two", offset: 3 }] },
		});
	});

	it("one whose next publication is lost is told and counted, and continues at the end", { tags: ["long"] }, async () => {
		const client = rig.connected();
		await subscribe(client);
		client.send({ unsubscribe: { channel: "a" }, id: 4 });
		client.replies();
		await publish("1", "2", "3", "4", "5", "6");
		expect(await subscribe(client)).toMatchObject({ subscribe: { was_recovering: true, offset: 7 } });
		expect(rig.row.get("durableLost")).toBe(1);
		// It is being written.
		await vi.waitFor(() => expect(rig.durable!.store.positions.of("", "a", "k")).toMatchObject({ offset: 7 }), { timeout: 8_000 });
	});

	it("another process delivers, in order, what a process stored before it died", { tags: ["long"] }, async () => {
		await publish("one");
		const message = (text: string) => ({ kind: RecordKind.text, data: Buffer.from(text), history, senderId: 0, senderLife: 0 });
		await rig.durable!.store.publish("a", message("two"));
		const visited: string[] = [];
		const read = () =>
			rig.reader.read(1000, (_, u8, __, start, end) => {
				visited.push(/(one|two|three)$/.exec(Buffer.from(u8.subarray(start, end)).toString("latin1"))?.[1] ?? "other");
			});
		for (let second = 0; second < 10; second++) rig.durable!.everySecond();
		await vi.waitFor(
			() => {
				read();
				expect(visited).toEqual(["two"]);
			},
			{ timeout: 8_000 },
		);
		await rig.durable!.store.publish("a", message("two"));
		await rig.durable!.publish(RecordKind.text, 0, "a", Buffer.from("three"), history);
		await vi.waitFor(
			() => {
				read();
				expect(visited).toEqual(["two", "two", "three"]);
			},
			{ timeout: 8_000 },
		);
	});

	it("publications beyond a reply's limit follow in order, and then the client is subscribed", { tags: ["long"] }, async () => {
		rig.reload({ recoveryLimitMax: 2 });
		const client = rig.connected();
		await subscribe(client);
		client.send({ unsubscribe: { channel: "a" }, id: 4 });
		client.replies();
		await publish("1", "2", "3", "4", "5");
		expect(await subscribe(client)).toMatchObject({ subscribe: { publications: [{ data: "1" }, { data: "2" }] } });
		expect(client.session.subscriptions.has("a")).toBe(false);
		await turn();
		expect(client.replies()).toMatchObject(["3", "4", "5"].map((data) => ({ push: { channel: "a", pub: { data } } })));
		expect(client.session.subscriptions.has("a")).toBe(true);
	});

	it("refuses invalid names, offsets and epochs, and acknowledgements for another consumer", async () => {
		const client = rig.connected();
		expect(await subscribe(client, "not a name")).toMatchObject({ error: { code: 107 } });
		await subscribe(client);
		const good = { channel: "a", consumer: "k", offset: 1, epoch: epoch() };
		const answers: unknown[] = [];
		for (const bad of [{ consumer: "other" }, { channel: "b" }, { offset: 99 }, { offset: 1.5 }, { epoch: "e" }, { epoch: 1 }])
			answers.push(await acknowledge(client, { ...good, ...bad }));
		expect(answers).toMatchObject([103, 103, 107, 107, 112, 107].map((code) => ({ error: { code } })));
	});
});
