import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { postJson, RecoveringReaders, startCluster } from "@shardcast/testkit";
import { roundsFrom, runBench } from "./support/report.ts";
import { benchShards, withCleanup } from "./support/subject.ts";

/**
 * A rolling restart under clients that recover, while there are publications all the time. It fails when a client misses or repeats one, or when a connection
 * is refused. SHARDCAST_BENCH_CLIENTS says how many clients.
 */
const clients = Number(process.env.SHARDCAST_BENCH_CLIENTS ?? 5000);
const drainRate = 1000;
const publishEveryMs = 100;
const channel = "kept:news";
const configuration = `client: { insecure: true }
channel:
  namespaces:
    - { name: kept, history_size: 10000, history_ttl: 10m, force_recovery: true }
`;
const deadlineMs = 240_000;

function rolling(): Promise<
	Record<"seconds" | "reconnects" | "connectsPerSecond" | "publications" | "faults" | "longestPublishMs", number>
> {
	return withCleanup(async (ends) => {
		const folder = mkdtempSync(join(tmpdir(), "shardcast-bench-"));
		ends.push(async () => rmSync(folder, { recursive: true }));
		writeFileSync(join(folder, "shardcast.yaml"), configuration);
		const flags = [
			"--config",
			join(folder, "shardcast.yaml"),
			"--drain-rate",
			String(drainRate),
			"--rebalance-rate",
			String(drainRate),
			"--guard-cpu",
			"off",
		];
		const cluster = await startCluster({ shards: benchShards, flags });
		ends.push(async () => void (await cluster.stop()));
		const readers = await RecoveringReaders.open({ url: cluster.url, count: clients, channel, openPerSecond: 1000 }, deadlineMs);
		ends.push(async () => readers.close());
		let [published, longestPublishMs, isOver] = [0, 0, false];
		const failures: string[] = [];
		const publishing = (async () => {
			while (!isOver) {
				const beganMs = performance.now();
				const answer = await postJson(`${cluster.httpUrl}/api/publish`, { channel, data: published + 1 }).catch((error: Error) => error);
				if (answer instanceof Error || answer.status !== 200) failures.push(answer instanceof Error ? answer.message : answer.body);
				else published++;
				longestPublishMs = Math.max(longestPublishMs, performance.now() - beganMs);
				await sleep(publishEveryMs);
			}
		})();
		const beganMs = performance.now();
		cluster.process.signal("SIGUSR2");
		await cluster.process.waitForOutput(/rolling restart: done|"level":"error"[^\n]*rolling restart/, deadlineMs);
		const seconds = (performance.now() - beganMs) / 1000;
		isOver = true;
		await publishing;
		await readers.allSubscribed(deadlineMs);
		await readers.haveRead(published, deadlineMs);
		if (!/rolling restart: done/.test(cluster.log())) throw new Error(`the rolling restart failed\n${cluster.log()}`);
		const faults = [...readers.faults, ...failures];
		if (faults.length > 0) console.log(faults.slice(0, 10).join("\n"));
		return {
			seconds,
			reconnects: readers.reconnectsMs.length,
			connectsPerSecond: readers.mostReconnectsWithin(1000),
			publications: published,
			faults: readers.faultsCount + failures.length,
			longestPublishMs,
		};
	});
}

await runBench({
	name: "rolling",
	rounds: roundsFrom(process.argv.slice(2), 1),
	setup: { clients, drainRate, shards: benchShards, publishEveryMs },
	figures: {
		seconds: { unit: "s", better: "lower", help: "from the signal until all processes are new and clients are balanced" },
		reconnects: { unit: "connects", better: "lower" },
		connectsPerSecond: { unit: "connects/s", better: "lower", help: `the most within any second; --drain-rate is ${drainRate}` },
		publications: { unit: "messages", better: "higher", compared: false },
		faults: { unit: "faults", better: "lower", help: "messages missed or repeated, refused connections, failed publishes" },
		longestPublishMs: { unit: "ms", better: "lower", help: "the slowest publish over a new connection meanwhile" },
	},
	variants: { rolling },
	targets: [
		{ variant: "rolling", figure: "faults", atMost: 0 },
		{ variant: "rolling", figure: "connectsPerSecond", atMost: drainRate },
	],
});
