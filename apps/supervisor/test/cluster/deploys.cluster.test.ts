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

/** Publishes 1, 2, 3 … until it is stopped; each publish is a new connection to the balancer, and none may fail. */
function publisher(url: string) {
	const failures: string[] = [];
	let [count, stopped] = [0, false];
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

it("a rolling restart: nobody loses or repeats a message, no connection is refused, all processes are new, and clients end up balanced", async () => {
	// The machine may be busy with other tests.
	const flags = ["--drain-rate", String(drainRate), "--rebalance-rate", "1000", "--guard-cpu", "off"];
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
	readers.close();
	expect((await cluster.stop()).code, cluster.log()).toBe(0);
});
