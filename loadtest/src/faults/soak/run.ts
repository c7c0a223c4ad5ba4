import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openDescriptors } from "@shardcast/testkit";
import { Tally, type Wrong } from "../oracle.ts";
import { Crowd } from "../rig/crowd.ts";
import { descriptorsOfAll, grownDescriptors, leftIn } from "../rig/leaks.ts";
import { Subject } from "../rig/subject.ts";
import { Rig } from "../rig.ts";
import { Churn } from "./churn.ts";
import type { SoakOptions } from "./options.ts";
import { type Growth, judgeGrowth, type Sample } from "./verdict.ts";

const shards = 2;
const sampleEveryMs = 1_000;
/** Part of the time in which code is compiled, buffers grow and histories fill. */
const warmUpPart = 0.4;
const leftWithinMs = 30_000;

export interface SoakReport {
	readonly minutes: number;
	readonly rate: number;
	readonly node: string;
	readonly opened: number;
	readonly failed: number;
	readonly growths: readonly Growth[];
	readonly wrong: Readonly<Record<Wrong, number>>;
	readonly examples: readonly string[];
	readonly problems: readonly string[];
	readonly interrupted: boolean;
}

/** Clients come and go all the time, while others count what they get. */
export async function runSoak({ minutes, rate }: SoakOptions, say: (line: string) => void, signal: AbortSignal): Promise<SoakReport> {
	const tally = new Tally();
	const problems: string[] = [];
	const memory = mkdtempSync("/dev/shm/shardcast-test-soak-");
	let [subject, crowd, churn]: [Subject | null, Crowd | null, Churn | null] = [null, null, null];
	let growths: Growth[] = [];
	try {
		subject = await Subject.start({ shards, flags: [], memory, historySize: 300, movesClock: false, collectsGarbage: true });
		const { url, httpUrl } = subject.cluster;
		crowd = new Crowd({ url, httpUrl, tally, mayForget: () => false, kafka: null });
		const rig = new Rig(subject, crowd, null, tally, signal);
		if ((await rig.fullService()) === null) throw new Error("the cluster does not serve");
		const pids = await rig.pids();
		const before = descriptorsOfAll(pids);
		churn = new Churn(url, rate);
		const samples: Sample[] = [];
		const beganMs = performance.now();
		const endMs = beganMs + minutes * 60_000;
		const warmMs = beganMs + minutes * 60_000 * warmUpPart;
		for (let nextMs = warmMs; performance.now() < endMs; nextMs += sampleEveryMs) {
			await delay(Math.max(0, nextMs - performance.now()), undefined, { signal });
			const sample = take(pids, memory);
			samples.push(sample);
			if (samples.length % 30 === 1) say(line(sample, churn));
		}
		churn.stop();
		growths = judgeGrowth(samples);
		await crowd.stopPublishing();
		if (!(await rig.until(() => crowd!.hasAll, leftWithinMs))) tally.add("lost", crowd.state());
		const connections = async () => (await subject!.cluster.health()).connections;
		if (!(await rig.until(async () => (await connections()) === crowd!.connections, leftWithinMs, 250)))
			tally.add("leaked", `${await connections()} connections, of ${crowd.connections} clients`);
		const grown = () => grownDescriptors(before, descriptorsOfAll(pids), crowd!.connections);
		if (!(await rig.until(() => grown().length === 0, leftWithinMs, 250))) for (const each of grown()) tally.add("leaked", each);
	} catch (error) {
		if (!signal.aborted) problems.push((error as Error).message);
	}
	churn?.stop();
	await crowd?.stopPublishing();
	crowd?.close();
	for (const each of (await subject?.stop()) ?? []) tally.add("leaked", each);
	for (const name of leftIn(memory)) tally.add("leaked", `${memory}/${name}`);
	rmSync(memory, { recursive: true, force: true });
	const { opened, failed } = churn ?? { opened: 0, failed: 0 };
	const { counts: wrong, examples } = tally;
	const node = process.versions.node;
	return { minutes, rate, node, opened, failed, growths, wrong, examples, problems, interrupted: signal.aborted };
}

function take(pids: ReadonlyMap<string, number>, memory: string): Sample {
	const values = new Map<string, number>();
	for (const [name, pid] of pids) {
		values.set(`${name} memory`, ownBytes(pid));
		values.set(`${name} descriptors`, openDescriptors(pid));
	}
	values.set("shared memory", filesBytes(memory));
	return { atMs: performance.now(), values };
}

/** Heap, stacks and other memory of the process's own: what it shares with the others is counted by the files. */
function ownBytes(pid: number): number {
	const match = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
	if (match === null) throw new Error(`/proc/${pid}/status has no line "RssAnon"`);
	return Number(match[1]) * 1024;
}

/** As long as the files are: their pages are taken when something is first written there, which goes on for as long as histories and tables fill. */
function filesBytes(folder: string): number {
	return readdirSync(folder, { recursive: true, encoding: "utf8" }).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

function line({ values }: Sample, { opened, failed }: Churn): string {
	const memory = [...values].filter(([name]) => name.endsWith("memory"));
	const parts = memory.map(([name, bytes]) => `${name.replace(" memory", "")} ${(bytes / 1e6).toFixed(1)} MB`);
	return `${opened} clients came, ${failed} failed; ${parts.join(", ")}`;
}
