import { waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { writeRelayMessage } from "../../src/relay/relay-message.ts";
import { FakeKafka } from "../support/fake-kafka.ts";
import { batchOf } from "../support/record-batches.ts";
import { RelayHub } from "../support/relay-hub.ts";
import { SourceRig } from "../support/source-rig.ts";

const deadlineMs = 10_000;
/** Seconds pass faster: silence is noticed after 300 ms. */
const nowMs = () => performance.now() * 10;
const values = (prefix: string, from: number, until: number) =>
	Array.from({ length: until - from }, (_, index) => `${prefix}${from + index}`);
const numbered = (prefix: string, from: number, until: number) =>
	values(prefix, from, until).map((value, index) => `${from + index}:${value}`);

/** Nodes with separate brokers that hold the same, so that each node's fetches can be counted. */
class Nodes {
	readonly hub = new RelayHub();
	readonly kafkas: FakeKafka[] = [];
	readonly rigs: SourceRig[] = [];

	static async start(count: number): Promise<Nodes> {
		const nodes = new Nodes();
		for (let node = 0; node < count; node++) {
			const kafka = await FakeKafka.start(2);
			kafka.create("t");
			nodes.kafkas.push(kafka);
			nodes.rigs.push(new SourceRig(kafka, { names: ["t"], link: nodes.hub.link(), nowMs }));
		}
		return nodes;
	}

	get partitions() {
		return this.kafkas.map((kafka) => kafka.topics.get("t")!.partitions[0]!);
	}

	append(all: readonly string[], options?: { inSync?: readonly number[] }): void {
		for (const partition of this.partitions) partition.append(all, options);
	}

	/** The node reads, the others follow. */
	reader(reader: number): void {
		for (const [node, { source }] of this.rigs.entries())
			source.divide(node === reader ? { read: [0], follow: [] } : { read: [], follow: [0] });
	}

	follows(node: number): Promise<unknown> {
		const { worker } = this.rigs[node]!.memory;
		return waitFor(() => worker.get("followed") === 1, { deadlineMs, what: `node ${node} to follow` });
	}

	async close(): Promise<void> {
		await Promise.all(this.rigs.map(({ source }) => source.close()));
		await Promise.all(this.kafkas.map((kafka) => kafka.close()));
	}
}

describe("nodes that share the reading of a partition", () => {
	const open: { close(): Promise<unknown> }[] = [];
	afterEach(async () => {
		for (const each of open.splice(0).toReversed()) await each.close();
	});

	async function setup(count = 2): Promise<Nodes> {
		const nodes = await Nodes.start(count);
		open.push(nodes);
		for (const rig of nodes.rigs) await rig.read("t");
		nodes.reader(0);
		return nodes;
	}

	it("one fetches, the other takes what it is sent; each delivers every record once, in order", { tags: ["long"] }, async () => {
		const nodes = await setup();
		await nodes.follows(1);
		const fetches = nodes.kafkas[1]!.fetches.length;
		for (let round = 0; round < 10; round++) {
			nodes.append(values("a", round * 25, round * 25 + 25));
			await nodes.rigs[0]!.has(`${round * 25 + 24}:a${round * 25 + 24}`);
		}
		await nodes.rigs[1]!.has("249:a249");
		for (const rig of nodes.rigs) expect(rig.got).toEqual(numbered("a", 0, 250));
		// One that was under way when it began to follow.
		expect(nodes.kafkas[1]!.fetches.length - fetches).toBeLessThanOrEqual(1);
		const { worker } = nodes.rigs[1]!.memory;
		expect(["relayTaken", "followGaps", "followElections", "followUnreadable"].map((name) => worker.get(name as "relayTaken"))).toEqual([
			expect.any(Number),
			...[0, 0, 0],
		]);
		expect(worker.get("relayTaken")).toBeGreaterThan(0);
	});

	it("a lost message is a gap: what it held is read from Kafka, and then the node follows again", { tags: ["long"] }, async () => {
		const nodes = await setup();
		await nodes.follows(1);
		nodes.hub.copies = () => 0;
		nodes.append(values("a", 0, 20));
		await nodes.rigs[0]!.has("19:a19");
		nodes.hub.copies = () => 1;
		nodes.append(values("a", 20, 40));
		await nodes.rigs[1]!.has("39:a39");
		await nodes.follows(1);
		nodes.append(values("a", 40, 60));
		await nodes.rigs[1]!.has("59:a59");
		expect(nodes.rigs[1]!.got).toEqual(numbered("a", 0, 60));
		expect(nodes.rigs[1]!.memory.worker.get("followGaps")).toBeGreaterThan(0);
	});

	it("a node whose reader falls silent reads from Kafka by itself, and follows the next reader", { tags: ["long"] }, async () => {
		const nodes = await setup(3);
		await Promise.all([nodes.follows(1), nodes.follows(2)]);
		nodes.append(values("a", 0, 10));
		await nodes.rigs[2]!.has("9:a9");
		// As after kill -9: nobody is told.
		await nodes.rigs[0]!.source.halt();
		nodes.append(values("a", 10, 30));
		await Promise.all([nodes.rigs[1]!.has("29:a29"), nodes.rigs[2]!.has("29:a29")]);
		nodes.reader(1);
		await nodes.follows(2);
		nodes.append(values("a", 30, 50));
		await Promise.all([nodes.rigs[1]!.has("49:a49"), nodes.rigs[2]!.has("49:a49")]);
		for (const node of [1, 2]) expect(nodes.rigs[node]!.got).toEqual(numbered("a", 0, 50));
		expect(nodes.rigs[2]!.memory.worker.get("followSilences")).toBeGreaterThan(0);
	});

	it("records that a failed leader lost are noticed by the node that follows, too", { tags: ["long"] }, async () => {
		const nodes = await setup();
		await nodes.follows(1);
		nodes.append(values("both", 0, 20), { inSync: [2] });
		nodes.append(values("lost", 20, 30));
		await Promise.all(nodes.rigs.map((rig) => rig.has("29:lost29")));
		// The reader learns of it first. The log is longer by then: by its number alone, offset 30 looks fine.
		for (const [node, partition] of nodes.partitions.entries()) {
			partition.elect(2);
			partition.append(values("new", 20, 45));
			await nodes.rigs[node]!.has("44:new44");
		}
		for (const rig of nodes.rigs)
			expect(rig.got).toEqual([...numbered("both", 0, 20), ...numbered("lost", 20, 30), "reset:20", ...numbered("new", 20, 45)]);
		await nodes.follows(1);
		nodes.append(values("new", 45, 50));
		await nodes.rigs[1]!.has("49:new49");
	});

	it("records wait at a node without room, and none is lost when more come than may wait", { tags: ["long"] }, async () => {
		const nodes = await setup();
		await nodes.follows(1);
		const { sent } = nodes.hub;
		nodes.rigs[1]!.hasRoom = false;
		const big = "x".repeat(8000);
		nodes.append(values(big, 0, 700));
		await waitFor(() => nodes.hub.sent >= sent + 70, { deadlineMs, what: "seventy answers with 5.6 MB" });
		nodes.rigs[1]!.makeRoom();
		const last = `699:${big}699`;
		await waitFor(
			() => {
				nodes.rigs[1]!.makeRoom();
				return nodes.rigs[1]!.got.at(-1) === last;
			},
			{ deadlineMs, what: "the last record" },
		);
		expect(nodes.rigs[1]!.got.map((text) => text.split(":")[0])).toEqual(Array.from({ length: 700 }, (_, index) => String(index)));
	});

	it("a node passes on only what it has taken: who follows leaves the dead letters of that to it", { tags: ["long"] }, async () => {
		const nodes = await setup();
		await nodes.follows(1);
		nodes.append(values("a", 0, 5));
		await nodes.rigs[1]!.has("4:a4");
		const [reader, follower] = nodes.rigs;
		reader!.hasRoom = false;
		nodes.append(values("a", 5, 10));
		// It has fetched them, and has no room; the other one learns of them from Kafka, when it has waited long enough.
		await follower!.has("9:a9");
		expect(follower!.memory.worker.get("followSilences")).toBe(1);
		expect(reader!.got).toEqual(numbered("a", 0, 5));
		reader!.makeRoom();
		await reader!.has("9:a9");
		await nodes.follows(1);
		expect(follower!.got).toEqual(numbered("a", 0, 10));
	});

	it("messages of another program, broken ones and those of a forgotten partition do no harm", async () => {
		const nodes = await setup();
		await nodes.follows(1);
		const partition = { topicId: nodes.kafkas[0]!.topics.get("t")!.id, partition: 0 };
		nodes.hub.tell(partition, Buffer.from("hello"));
		nodes.append(values("a", 0, 5));
		await nodes.rigs[1]!.has("4:a4");
		await nodes.follows(1);
		// A batch whose head is good, and whose record is not.
		const batch = batchOf(5, ["a5"], { epoch: 0 });
		batch[batch.length - 9] = 0x7f;
		const { topicId } = partition;
		const answer = { ...partition, topic: "t", errorCode: 0, logEnd: 6, logStart: 0, aborted: [], divergence: null, records: batch };
		const { worker } = nodes.rigs[1]!.memory;
		await waitFor(
			() => {
				// Not heard while the node has left for another reason, such as a pause of this process.
				if (worker.get("followed") === 1) nodes.hub.tell({ topicId, partition: 0 }, writeRelayMessage(0, 5, answer)!);
				return worker.get("followUnreadable") > 1;
			},
			{ deadlineMs, what: "the second broken message" },
		);
		nodes.append(values("a", 5, 9));
		await nodes.rigs[1]!.has("8:a8");
		expect(nodes.rigs[1]!.troubles).toEqual([]);
		expect(nodes.hub.listeners(partition)).toBe(1);
		nodes.rigs[1]!.source.revoke([0]);
		expect(nodes.hub.listeners(partition)).toBe(0);
		expect(nodes.rigs[1]!.got).toEqual(numbered("a", 0, 9));
	});

	it("whatever is lost, late, doubled or overtaken, and whoever reads: each node delivers every record once, in order", {
		tags: ["long"],
		timeout: 60_000,
	}, async () => {
		const nodes = await setup(3);
		const generator = (seed: number) => () => {
			seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
			return seed / 2 ** 32;
		};
		// Two generators: how often messages travel depends on time, who reads when does not.
		const [random, ofMessage] = [generator(7), generator(8)];
		nodes.hub.copies = () => [0, 1, 1, 1, 2][Math.floor(ofMessage() * 5)]!;
		nodes.hub.delayMs = () => (ofMessage() < 0.7 ? 0 : ofMessage() * 20);
		const total = 900;
		for (let next = 0; next < total; next += 15) {
			nodes.append(values("a", next, next + 15), { inSync: [1, 2] });
			if (random() < 0.05) for (const partition of nodes.partitions) partition.elect(3 - partition.leader);
			if (random() < 0.1) nodes.reader(Math.floor(random() * 3));
			// Nobody reads for the others, or two do.
			if (random() < 0.05) for (const { source } of nodes.rigs) source.divide({ read: [], follow: [0] });
			if (random() < 0.05) for (const { source } of nodes.rigs) source.divide({ read: [0], follow: [] });
			if (random() < 0.1) nodes.rigs[Math.floor(random() * 3)]!.hasRoom = false;
			if (random() < 0.3) for (const rig of nodes.rigs) rig.makeRoom();
			await new Promise((resolve) => setTimeout(resolve, random() * 10));
		}
		for (const rig of nodes.rigs) {
			rig.makeRoom();
			await rig.has(`${total - 1}:a${total - 1}`);
		}
		for (const rig of nodes.rigs) expect(rig.got).toEqual(numbered("a", 0, total));
		const taken = nodes.rigs.map(({ memory }) => memory.worker.get("relayTaken"));
		expect(Math.max(...taken), "answers taken from other nodes").toBeGreaterThan(0);
	});
});
