import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Scrape, waitFor } from "@shardcast/testkit";
import { kafkaForTests } from "@shardcast/testkit/kafka";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { flawless, KafkaRig } from "../support/ingest-rig.ts";

describe.skipIf(!(await kafkaForTests()))("a guard that pauses reading from Kafka", () => {
	const topic = `guards-${process.pid}`;
	let folder: string;
	let file: string;
	let rig: KafkaRig;
	beforeAll(async () => {
		folder = mkdtempSync(join(tmpdir(), "guards-"));
		file = join(folder, "shardcast.yaml");
		rig = await KafkaRig.create();
		await rig.client.createTopic(topic, 2);
	});
	afterAll(async () => {
		await rig?.reset().finally(() => rig.close());
		rmSync(folder, { recursive: true });
	});

	const options = (threshold: string) => `guards:\n  ingest_memory: ${threshold}\n  hold: 1s\n`;

	it("holds records back while memory runs short, and delivers each once and in order afterwards", async () => {
		writeFileSync(file, options("off"));
		const cluster = await rig.start(2, ["--config", file, "--kafka-topics", topic, "--kafka-group", topic]);
		const clients = await rig.listen([cluster.url, cluster.url, cluster.shardUrl(0), cluster.shardUrl(1)]);
		const stop = rig.produceSteadily(topic, () => 2);
		await Promise.all(clients.map((client) => client.waitForMessages(50, 20_000)));

		// More of the memory than that is always in use.
		writeFileSync(file, options("1%"));
		cluster.process.signal("SIGHUP");
		// A process that stands still for a while is a reason, too, as long as it does.
		const said = /^the cluster pauses reading from Kafka since .*: memory in use: \d+ % \(guards\.ingest_memory: 1 %\)$/;
		await expect.poll(async () => (await cluster.health()).reasons, { timeout: 40_000 }).toEqual([expect.stringMatching(said)]);
		expect((await Scrape.of(cluster.httpUrl)).sum("shardcast_guard_active", { shard: "all", guard: "ingest_memory" })).toBe(1);
		const produced = () => [...rig.produced.values()].reduce((sum, count) => sum + count, 0);
		const received = () => clients.map(({ messages }) => messages.length);
		// What was fetched before still comes.
		const before = await waitFor(
			async () => {
				const [counts, sent] = [received(), produced()];
				await waitFor(() => produced() > sent + 100, { deadlineMs: 20_000, what: "more records" });
				return received().join() === counts.join() ? counts : null;
			},
			{ deadlineMs: 30_000, what: "a pause" },
		);
		expect(produced()).toBeGreaterThan(Math.max(...before) + 100);
		const late = await rig.listen([cluster.url]);
		expect(late[0]!.ending, "this guard keeps no client away").toBe("");

		writeFileSync(file, options("100%"));
		cluster.process.signal("SIGHUP");
		await rig.healthy();
		await stop();
		await Promise.all(clients.map((client) => rig.caughtUp(client, 30_000)));
		expect(rig.report(clients)).toMatchObject(flawless);
		expect(cluster.log()).toContain("reads from Kafka again after");
	});
});
