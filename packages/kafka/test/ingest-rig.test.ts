import type { RawClient } from "@shardcast/testkit";
import type { KafkaClient, TestKafka } from "@shardcast/testkit/kafka";
import { expect, it } from "vitest";
import { flawless, KafkaRig } from "./support/ingest-rig.ts";

/** Without a broker. */
const rigOf = (send: () => Promise<void> = async () => {}): KafkaRig =>
	// @ts-expect-error only `create` may make one, for others than this test
	new KafkaRig({} as TestKafka, { producer: { send } } as never as KafkaClient);
const clientOf = (...texts: readonly string[]) => ({ texts: () => texts }) as never as RawClient;

it("a report up to some point leaves out what was produced later, also in a partition that there was not yet; what was not produced is unexpected", async () => {
	const rig = rigOf();
	await rig.produce("t", 1, 1);
	const until = new Map(rig.produced);
	await rig.produce("t", 2, 1);
	const all = ["t/0:0", "t/0:1", "t/1:0"];
	expect(rig.report([clientOf(...all)], "start", until)).toMatchObject({ ...flawless, received: 1 });
	expect(rig.report([clientOf("t/0:0", "t/2:0")], "start", until)).toMatchObject({ lost: 0, unexpected: 1 });
});

it("a reset ends all producing of a test that has failed, and tells what failed there", async () => {
	let isFailing = false;
	const rig = rigOf(async () => {
		if (isFailing) throw new Error("no broker");
	});
	let rounds = 0;
	rig.produceUntil(async (isOver) => {
		for (; !isOver(); rounds++) await rig.produce("b", 1, 1).then(() => new Promise(setImmediate));
	});
	rig.produceSteadily("a", () => 1);
	await rig.reset();
	const before = rounds;
	for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
	expect([rounds - before, rig.produced.size]).toEqual([0, 0]);
	isFailing = true;
	rig.produceSteadily("a", () => 1);
	await expect(rig.reset()).rejects.toThrow("no broker");
	await rig.reset();
});
