import { waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { FakeKafka } from "../support/fake-kafka.ts";
import { SourceRig } from "../support/source-rig.ts";

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
	for (const each of open.splice(0).toReversed()) await each.close();
});

async function brokers(): Promise<FakeKafka> {
	const kafka = await FakeKafka.start();
	open.push(kafka);
	return kafka;
}

function rigOf(kafka: FakeKafka, subscription: ConstructorParameters<typeof SourceRig>[1]): SourceRig {
	const rig = new SourceRig(kafka, subscription);
	open.push(rig.source);
	return rig;
}

const soon = (what: string, is: () => boolean) => waitFor(is, { deadlineMs: 5000, what });

describe("a topic that we may not read", () => {
	for (const access of ["nothing", "describe"] as const)
		it(`is denied, not missing, while we may ${access === "nothing" ? "not even see it" : "only see it"}; found once we may read it`, {
			tags: ["long"],
		}, async () => {
			const kafka = await brokers();
			kafka.create("open");
			const hidden = kafka.create("hidden", 2);
			hidden.access = access;
			const rig = rigOf(kafka, { names: ["open", "hidden", "absent"] });
			await rig.find("open");
			expect(rig.list).toMatchObject({ denied: ["hidden"], missing: ["absent"], previousLookMs: null });
			expect(rig.found("hidden")).toBeUndefined();
			const told = (kind: string) => rig.troubles.find((trouble) => trouble.kind === kind)?.message;
			expect(told("authorization")).toBe(
				"topic hidden may not be read: grant Read to shardcast's user (or create it: brokers also report missing topics this way)",
			);
			expect(told("topicMissing")).toBe("topic absent does not exist; create what is missing, or correct --kafka-topics");
			const grantedMs = Date.now();
			hidden.access = "read";
			expect(await rig.find("hidden")).toMatchObject({ topic: "hidden", partitions: 2 });
			expect(rig.list.denied).toEqual([]);
			expect(rig.list.previousLookMs).toBeGreaterThan(grantedMs - 5000);
			expect(rig.list.previousLookMs).toBeLessThanOrEqual(Date.now());
			// One that was found stays found: what is denied later, fetching says.
			hidden.access = "describe";
			const { looks } = kafka;
			await soon("some looks", () => kafka.looks > looks + 3);
			expect(rig.found("hidden")).toBeDefined();
		});

	it("and one that does not exist: the warning says which options to correct", async () => {
		const kafka = await brokers();
		kafka.create("open");
		const topicOptions = [
			["--kafka-topics", ["open", "both"]],
			["--kafka-message-topics", ["notices", "both"]],
			["--kafka-publish-topic", ["sent"]],
		] as const;
		const missingOf = async (...names: readonly string[]) => {
			const rig = rigOf(kafka, { names: ["open", ...names], topicOptions });
			await rig.find("open");
			return rig.troubles.find(({ kind }) => kind === "topicMissing")?.message;
		};
		expect(await missingOf("notices")).toBe("topic notices does not exist; create what is missing, or correct --kafka-message-topics");
		expect(await missingOf("sent")).toBe("topic sent does not exist; create what is missing, or correct --kafka-publish-topic");
		expect(await missingOf("both")).toMatch(/, or correct --kafka-topics and --kafka-message-topics$/);
	});

	it("under a pattern is denied while we may only see it; asked for by name beside the pattern, also while we may not", async () => {
		const kafka = await brokers();
		kafka.create("a.open");
		const seen = kafka.create("a.seen");
		seen.access = "describe";
		kafka.create("a.unseen").access = "nothing";
		kafka.create("named").access = "nothing";
		const rig = rigOf(kafka, { names: ["named"], patterns: ["a\\..+"] });
		await rig.find("a.open");
		expect(rig.list.denied).toEqual(["a.seen", "named"]);
		seen.access = "read";
		await rig.find("a.seen");
		expect(rig.list.denied).toEqual(["named"]);
	});
});

describe("where a partition begins that has appeared under a pattern", () => {
	it("at its first record if that is young, or is yet to come, else where the policy says", async () => {
		const kafka = await brokers();
		const sinceMs = 1_000_000;
		const names = ["old", "young", "mixed", "empty"];
		const [old, young, mixed] = names.map((name) => kafka.create(name).partitions[0]!);
		old!.append(["1", "2"], { timestampMs: sinceMs - 1 });
		young!.append(["1", "2"], { timestampMs: sinceMs });
		mixed!.append(["1"], { timestampMs: sinceMs - 1 });
		mixed!.append(["2"], { timestampMs: sinceMs + 1 });
		const rig = rigOf(kafka, { names });
		await Promise.all(names.map((name) => rig.find(name)));
		const partitions = names.map((topic, row) => ({ row, topic, topicId: rig.found(topic)!.topicId, partition: 0 }));
		const starts = await rig.source.resolve(partitions.map((each) => ({ ...each, from: "latest", newIfSinceMs: sinceMs })));
		expect(starts.map(({ topic, offset }) => [topic, offset])).toEqual([
			["old", 2],
			["young", 0],
			["mixed", 2],
			["empty", 0],
		]);
		const latest = await rig.source.resolve(partitions.map((each) => ({ ...each, from: "latest", newIfSinceMs: null })));
		expect(latest.map(({ offset }) => offset)).toEqual([2, 2, 2, 0]);
	});
});
