import { setTimeout as sleep } from "node:timers/promises";
import type { CommandInput } from "@shardcast/config";
import { print, StartupError } from "@shardcast/process";
import { BusError, BusErrorCode, ClusterDirectory, type FoundCluster, Scoreboard } from "@shardcast/scoreboard";
import { isSystemError } from "../system-error.ts";
import { chooseCluster } from "../top/running-clusters.ts";
import { type Sample, takeSample } from "../top/sample.ts";
import { Screen } from "../top/screen.ts";
import { formatTable } from "../top/table.ts";

const refreshMs = 1000;
const firstMs = 250;

/** Shows a running cluster by reading its scoreboard. The cluster itself does nothing for it. */
export async function top({ loaded, own }: CommandInput): Promise<number> {
	const base = loaded.config.clusterDirectory;
	const pid = typeof own.pid === "string" ? own.pid : undefined;
	const cluster = chooseCluster(ClusterDirectory.running(base), base, pid);
	const board = openBoard(cluster);
	if (own.once === true || !process.stdout.isTTY) return printOnce(board);
	return watch(board, () => ClusterDirectory.running(base).own.some(({ path }) => path === cluster.path));
}

/** @throws StartupError when the cluster runs another build, or just ended. */
function openBoard({ path, supervisorPid }: FoundCluster): Scoreboard {
	try {
		return Scoreboard.open(ClusterDirectory.open(path).boardPath);
	} catch (error) {
		const whose = `the cluster of supervisor ${supervisorPid}`;
		if (error instanceof BusError && error.code === BusErrorCode.notABoard) {
			const why = error.message.slice(0, -`: ${error.fix}`.length);
			throw new StartupError(`${whose} runs another build: ${why}; use the \`shardcast top\` that belongs to it`, { exitStatus: 2 });
		}
		if (!(error instanceof BusError || isSystemError(error))) throw error;
		throw new StartupError(`cannot read ${whose}: ${error.message}; if it is starting or stopping, try again`, { cause: error });
	}
}

async function printOnce(board: Scoreboard): Promise<number> {
	const before = takeSample(board);
	await sleep(refreshMs);
	await print(`${formatTable(before, takeSample(board)).join("\n")}\n`);
	return 0;
}

async function watch(board: Scoreboard, stillRuns: () => boolean): Promise<number> {
	const screen = new Screen({ input: process.stdin, output: process.stdout });
	const stop = new AbortController();
	void screen.quit.then(() => stop.abort());
	const onSignal = () => stop.abort();
	// The terminal is gone, and this process may not have got its SIGHUP.
	process.stdout.once("error", onSignal);
	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, onSignal);
	try {
		let before: Sample = takeSample(board);
		// Rates need two samples, but the first table should appear sooner than after a second.
		await sleep(firstMs, undefined, { signal: stop.signal });
		for (;;) {
			// The scoreboard stays mapped when the cluster is gone, but no longer changes.
			if (!stillRuns()) break;
			const now = takeSample(board);
			screen.draw([...formatTable(before, now), "", "press q to quit"]);
			before = now;
			await sleep(refreshMs, undefined, { signal: stop.signal });
		}
	} catch (error) {
		if (!stop.signal.aborted) throw error;
		return 0;
	} finally {
		screen.leave();
	}
	await print("the cluster has stopped\n");
	return 0;
}
