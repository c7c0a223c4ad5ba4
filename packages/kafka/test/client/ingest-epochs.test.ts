import { waitFor } from "@shardcast/testkit";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { PartitionState } from "../../src/client/partition-state.ts";
import { fetchRequest } from "../../src/protocol/fetch-protocol.ts";
import { metadataRequest } from "../../src/protocol/metadata-protocol.ts";
import { FakeKafka, type FakePartition } from "../support/fake-kafka.ts";
import { SourceRig } from "../support/source-rig.ts";

const values = (prefix: string, from: number, until: number) =>
	Array.from({ length: until - from }, (_, index) => `${prefix}${from + index}`);
const numbered = (prefix: string, from: number, until: number) =>
	values(prefix, from, until).map((value, index) => `${from + index}:${value}`);

describe("a leader that fails and takes records with it", () => {
	const open: { close(): Promise<unknown> }[] = [];
	afterEach(async () => {
		for (const each of open.splice(0).toReversed()) await each.close();
	});

	async function setup(): Promise<{ kafka: FakeKafka; partition: FakePartition; rig: SourceRig }> {
		const kafka = await FakeKafka.start(2);
		open.push(kafka);
		const topic = kafka.create("t");
		const rig = new SourceRig(kafka, { names: ["t"] });
		open.push(rig.source);
		return { kafka, partition: topic.partitions[0]!, rig };
	}

	it("is noticed by its epoch though the new log is longer by then: reading continues where they diverge, no record is skipped or repeated", {
		tags: ["long"],
	}, async () => {
		const { kafka, partition, rig } = await setup();
		partition.append(values("both", 0, 20), { inSync: [2] });
		partition.append(values("lost", 20, 30));
		await rig.read("t");
		await rig.has("29:lost29");
		partition.elect(2);
		// More than was lost before anybody has asked: by its number alone, offset 30 looks fine.
		partition.append(values("new", 20, 45));
		await rig.has("44:new44");
		expect(rig.got).toEqual([...numbered("both", 0, 20), ...numbered("lost", 20, 30), "reset:20", ...numbered("new", 20, 45)]);
		expect(rig.troubles.filter(({ kind }) => kind !== "connection")).toEqual([
			{
				kind: "truncated",
				message: expect.stringMatching(/10 records .*are lost \(unclean election\); continuing at 20/),
				where: { topic: "t", partition: 0, offset: 30 },
			},
		]);
		// What it asked for told whom it takes for the leader, and who wrote the record before.
		await waitFor(() => kafka.fetches.at(-1)!.offset === 45, { deadlineMs: 5000, what: "a fetch behind the last record" });
		expect(kafka.fetches.at(-1)).toEqual({ node: 2, topic: "t", partition: 0, leaderEpoch: 1, offset: 45, lastEpoch: 1 });
	});

	it("of what was only read ahead nothing is counted as lost", { tags: ["long"] }, async () => {
		const { kafka, partition, rig } = await setup();
		partition.append(values("both", 0, 10), { inSync: [2] });
		partition.append(values("lost", 10, 20));
		rig.hasRoom = false;
		await rig.read("t");
		// Two answers are there and wait for room; the second holds what is lost.
		await waitFor(() => kafka.fetches.some(({ offset }) => offset === 10), { deadlineMs: 5000, what: "reading ahead" });
		partition.elect(2);
		partition.append(values("new", 10, 15));
		const { looks } = kafka;
		await waitFor(() => kafka.looks > looks + 1, { deadlineMs: 5000, what: "a look at the new leader" });
		rig.makeRoom();
		await rig.has("14:new14");
		expect(rig.got).toEqual([...numbered("both", 0, 10), ...numbered("new", 10, 15)]);
		expect(rig.troubles.filter(({ kind }) => kind === "truncated")).toEqual([]);
	});

	it("is noticed as well by a shard that takes over from another's position, or from a commit", async () => {
		const { partition, rig } = await setup();
		partition.append(values("both", 0, 20), { inSync: [2] });
		partition.append(values("lost", 20, 30));
		partition.elect(2);
		partition.append(values("new", 20, 45));
		await rig.read("t", 30, 0);
		await rig.has("44:new44");
		expect(rig.got).toEqual(["reset:20", ...numbered("new", 20, 45)]);
		// Told once for each leader, so that the next one knows.
		expect(rig.epochs).toEqual([[1, 30]]);
	});

	it("several times over: each log is followed to where it parts from the one before", { tags: ["long"] }, async () => {
		const { partition, rig } = await setup();
		partition.append(values("a", 0, 10), { inSync: [2] });
		await rig.read("t");
		await rig.has("9:a9");
		for (const [node, prefix] of [
			[2, "b"],
			[1, "c"],
			[2, "d"],
		] as const) {
			// Each leader's records are lost with it; the others' logs stay as they were.
			partition.elect(node);
			partition.log(node).length = 10;
			partition.append(values(prefix, 10, 20));
			await rig.has(`19:${prefix}19`);
		}
		const resets = rig.got.filter((text) => text.startsWith("reset"));
		expect(resets).toEqual(["reset:10", "reset:10"]);
		for (const prefix of ["b", "c", "d"]) expect(rig.got.filter((text) => text.includes(`:${prefix}`))).toEqual(numbered(prefix, 10, 20));
	});

	it("an ordinary change of leader resets nothing, and a leader from before is not asked again", { tags: ["long"] }, async () => {
		const { kafka, partition, rig } = await setup();
		partition.append(values("a", 0, 10), { inSync: [2] });
		await rig.read("t");
		await rig.has("9:a9");
		partition.elect(2);
		partition.append(values("b", 10, 20), { inSync: [1] });
		await rig.has("19:b19");
		const asked = kafka.fetches.length;
		partition.elect(1);
		partition.append(values("c", 20, 30), { inSync: [2] });
		await rig.has("29:c29");
		expect(rig.got).toEqual([...numbered("a", 0, 10), ...numbered("b", 10, 20), ...numbered("c", 20, 30)]);
		expect(rig.troubles.filter(({ kind }) => kind !== "connection")).toEqual([]);
		for (const { node, leaderEpoch } of kafka.fetches.slice(asked)) if (leaderEpoch === 2) expect(node).toBe(1);
	});
});

describe("answers of a broker that make no sense", () => {
	const target = { topic: "t", topicId: Buffer.alloc(16, 1).toString("base64url"), partition: 0, offset: 0, leaderEpoch: 3, lastEpoch: 2 };
	const limits = { waitMsMax: 1, bytesMax: 1, partitionBytesMax: 1 };
	const decoders = [
		["fetch by id", fetchRequest([target], limits, true)],
		["fetch by name", fetchRequest([target], limits, false)],
		["metadata", metadataRequest(["t"], 1)],
	] as const;
	for (const [name, { response }] of decoders)
		it(`${name}: any bytes are decoded or refused, at once, and nothing is allocated for what they only announce`, {
			tags: ["long"],
		}, async () => {
			await fc.assert(
				fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
					const began = performance.now();
					try {
						await response.decode(Buffer.from(bytes));
					} catch (error) {
						if (/out of memory|Invalid array length/.test((error as Error).message)) throw error;
					}
					// 3,000 calls of `expect` would cost more than what they check.
					const tookMs = performance.now() - began;
					if (tookMs >= 500) expect.fail(`it took ${tookMs} ms`);
				}),
				{ numRuns: 3000 },
			);
		});

	it("a list that announces two thousand million items is refused before any is made", async () => {
		const huge = Buffer.concat([Buffer.alloc(10), Buffer.from([0x7f, 0xff, 0xff, 0xff]), Buffer.alloc(40)]);
		await expect(decoders[1][1].response.decode(huge)).rejects.toThrow("is truncated");
	});
});

describe("the leader of a partition", () => {
	it("of before is not asked again, whoever tells of it", () => {
		const state = new PartitionState({ row: 0, topic: "t", topicId: null, partition: 0, offset: 0, epoch: -1 });
		state.ledBy("2", 5);
		state.ledBy("1", 4);
		expect([state.leader, state.leaderEpoch]).toEqual(["2", 5]);
		// Trouble with it, and then one that is behind the others tells of the one before.
		state.ledBy(null);
		state.ledBy("1", 4);
		expect(state.leader).toBeNull();
		state.ledBy("2", 5);
		state.ledBy("1", 6);
		expect([state.leader, state.leaderEpoch]).toEqual(["1", 6]);
		// Brokers that tell no epochs.
		state.ledBy("3");
		expect([state.leader, state.leaderEpoch]).toEqual(["3", -1]);
	});
});
