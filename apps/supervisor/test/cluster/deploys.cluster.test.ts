import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { postJson, RawClient, RecoveringReaders, startCluster, waitFor } from "@shardcast/testkit";
import { expect, it } from "vitest";

const settings = `
client: { insecure: true }
channel:
  namespaces:
    - { name: kept, history_size: 1000, history_ttl: 5m, force_recovery: true }
`;
const channel = "kept:news";
const readerCount = 200;
const drainRate = 200;

/** Publishes the numbers after `from` until it is stopped; each publish is a new connection to the balancer, and none may fail. */
function publisher(url: string, from = 0) {
	const failures: string[] = [];
	let [count, stopped] = [from, false];
	const work = (async () => {
		while (!stopped) {
			const answer = await postJson(`${url}/api/publish`, { channel, data: count + 1 }).catch((error: Error) => error);
			if (answer instanceof Error || answer.status !== 200) failures.push(answer instanceof Error ? answer.message : answer.body);
			else count++;
			await sleep(20);
		}
	})();
	return {
		failures,
		stop: async () => {
			stopped = true;
			await work;
			return count;
		},
	};
}

it("a rolling restart, and more and fewer shards: nobody loses or repeats a message, no connection is refused, and clients end up balanced", async () => {
	// The machine may be busy with other tests.
	const flags = ["--drain-rate", String(drainRate), "--rebalance-rate", "1000"];
	const cluster = await startCluster({ shards: 2, config: settings, flags });
	const before = await cluster.pids();
	const readers = await RecoveringReaders.open({ url: cluster.url, count: readerCount, channel });
	const raw = await RawClient.open(cluster.url);
	const publishing = publisher(cluster.httpUrl);
	cluster.process.signal("SIGUSR2");
	const unready: string[] = [];
	await cluster.process.waitUntil(
		async () => {
			// The listener is there all the time, and /ready does not miss the shard that is replaced.
			await cluster.ready(5000).catch((error: Error) => unready.push(error.message));
			return /"?rolling restart: done/.test(cluster.log());
		},
		"the end of the rolling restart",
		60_000,
	);
	const published = await publishing.stop();
	await readers.allSubscribed(10_000);
	await readers.haveRead(published, 10_000);
	expect(readers.faults).toEqual([]);
	expect(publishing.failures).toEqual([]);
	expect(unready).toEqual([]);
	expect(readers.closes.get(3001)).toBeGreaterThanOrEqual(readerCount);
	expect((await raw.closed).code, "a client without the protocol").toBe(1001);
	expect(readers.mostReconnectsWithin(1000), "per second: those that were told within the second and the pause before").toBeLessThan(
		2 * drainRate,
	);
	const after = await cluster.pids();
	for (const name of ["shard 0", "shard 1", "balancer"]) expect(after.get(name), name).not.toBe(before.get(name));
	expect(after.get("supervisor")).toBe(before.get("supervisor"));
	const balanced = async () => {
		const counts = (await cluster.health()).shards.map(({ connections }) => connections);
		return Math.max(...counts) <= (readerCount / 2) * 1.05 + 1;
	};
	await waitFor(balanced, { what: "balanced shards", deadlineMs: 10_000 });

	const stillPublishing = publisher(cluster.httpUrl, published);
	expect(await cluster.operate("scale 4")).toMatchObject({
		before: 2,
		after: 4,
		moved: 0,
		cutOff: 0,
		rebalance: { moved: expect.any(Number) },
	});
	// Readers that were told to go elsewhere come after a pause.
	const spread = async () => {
		const counts = (await cluster.health()).shards.map(({ connections }) => connections);
		expect(counts).toHaveLength(4);
		expect(Math.min(...counts), `${counts}`).toBeGreaterThan(0);
		return true;
	};
	await waitFor(spread, { what: "clients on all four shards", deadlineMs: 5_000 });
	expect(await cluster.operate(`scale 1 --rate ${readerCount}`)).toMatchObject({ before: 4, after: 1, cutOff: 0 });
	expect((await cluster.health()).shards.map(({ id }) => id)).toEqual([0]);
	const more = await stillPublishing.stop();
	await readers.allSubscribed(10_000);
	await readers.haveRead(more, 10_000);
	expect(readers.faults).toEqual([]);
	expect(stillPublishing.failures).toEqual([]);
	// What was a shard's is gone, and the slot can be one's again.
	expect(await cluster.operate("scale 2")).toMatchObject({ before: 1, after: 2 });
	expect((await cluster.health()).shards[1], "not a restart of the one before").toMatchObject({ id: 1, restarts: 0 });
	expect(readdirSync(cluster.sharedDirectories()[0]!).filter((name) => /^(ring|bell|handoff)-[23]/.test(name))).toEqual([]);
	readers.close();
	expect((await cluster.stop()).code, cluster.log()).toBe(0);
});
