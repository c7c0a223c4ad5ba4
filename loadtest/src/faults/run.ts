import { mkdtempSync, rmSync } from "node:fs";
import { connectKafka, KafkaBroker, type KafkaClient, KafkaUnavailable } from "@shardcast/testkit/kafka";
import { KafkaPublisher } from "./clients/kafka-publisher.ts";
import type { FaultOptions } from "./options.ts";
import { Tally, type Wrong, wrongs } from "./oracle.ts";
import type { FaultReport, Outcome } from "./report.ts";
import { Crowd } from "./rig/crowd.ts";
import { descriptorsOfAll, grownDescriptors, leftIn } from "./rig/leaks.ts";
import { privateMemory } from "./rig/private-memory.ts";
import { Subject } from "./rig/subject.ts";
import { Rig } from "./rig.ts";
import { type Step, schedule } from "./schedule.ts";

const shards = 2;
const topic = "faults";
const settleMs = 60_000;
const leakMs = 30_000;
/** Of the cluster's log, when it does not serve again. */
const logLines = 60;

/** Starts everything, does the faults, counts, and ends everything. Never throws for what the cluster does. */
export async function runFaults(options: FaultOptions, say: (line: string) => void, signal: AbortSignal): Promise<FaultReport> {
	const beganMs = performance.now();
	const run = new FaultRun(options, say, signal);
	try {
		await run.go();
	} catch (error) {
		if (!signal.aborted) run.problems.push((error as Error).stack ?? String(error));
	}
	await run.end();
	return run.report((performance.now() - beganMs) / 1000, signal.aborted);
}

class FaultRun {
	readonly problems: string[] = [];
	readonly #options: FaultOptions;
	readonly #say: (line: string) => void;
	readonly #signal: AbortSignal;
	readonly #tally = new Tally();
	readonly #outcomes: Outcome[] = [];
	#step: Step | null = null;
	#broker: KafkaBroker | null = null;
	#client: KafkaClient | null = null;
	#subject: Subject | null = null;
	#crowd: Crowd | null = null;
	#memory: string | null = null;

	constructor(options: FaultOptions, say: (line: string) => void, signal: AbortSignal) {
		this.#options = options;
		this.#say = say;
		this.#signal = signal;
	}

	async go(): Promise<void> {
		const { kinds, minutes, seed } = this.#options;
		const publisher = kinds.some(({ name }) => name.endsWith("-kafka")) ? await this.#startKafka() : null;
		this.#memory = privateMemory ?? mkdtempSync("/dev/shm/shardcast-test-faults-");
		const brokers =
			this.#broker === null ? [] : ["--kafka-brokers", this.#broker.brokers, "--kafka-topics", topic, "--kafka-channel", `kept:${topic}`];
		this.#subject = await Subject.start({
			shards,
			flags: brokers,
			memory: this.#memory,
			historySize: 10_000,
			movesClock: kinds.some(({ name }) => name === "jump-clock"),
			collectsGarbage: false,
		});
		const { url, httpUrl } = this.#subject.cluster;
		const mayForget = () => this.#step?.kind.forgets === true;
		this.#crowd = new Crowd({ url, httpUrl, tally: this.#tally, mayForget, kafka: publisher });
		publisher?.start();
		const rig = new Rig(this.#subject, this.#crowd, this.#broker, this.#tally, this.#signal);
		if ((await rig.fullService()) === null) return;
		const before = descriptorsOfAll(await rig.pids());
		const endMs = minutes === null ? Number.POSITIVE_INFINITY : performance.now() + minutes * 60_000;
		for (const step of schedule(seed, kinds, minutes === null)) {
			if (performance.now() > endMs || (minutes === null && step.number > kinds.length)) break;
			if (!(await this.#take(rig, step))) return;
		}
		this.#step = null;
		await this.#settle(rig);
		const grown = async () => grownDescriptors(before, descriptorsOfAll(await rig.pids()), this.#crowd!.connections);
		if (!(await rig.until(async () => (await grown()).length === 0, leakMs, 250)))
			for (const line of await grown()) this.#tally.add("leaked", line);
		const connections = async () => (await rig.subject.cluster.health()).connections;
		if (!(await rig.until(async () => (await connections()) === this.#crowd!.connections, leakMs, 250)))
			this.#tally.add("leaked", `${await connections()} connections, of ${this.#crowd.connections} clients`);
	}

	/** @returns whether the run can go on. */
	async #take(rig: Rig, step: Step): Promise<boolean> {
		const { number, kind, draw } = step;
		const lack = kind.lacks(rig);
		const before = { ...this.#tally.counts };
		let serviceMs: number | null = null;
		if (lack === null) {
			this.#step = step;
			this.#say(`${number} ${kind.name}${draw.story === "" ? "" : `: ${draw.story}`}`);
			await kind.inject(rig, draw);
			serviceMs = await rig.fullService();
			if (serviceMs !== null) this.#say(`  full service after ${(serviceMs / 1000).toFixed(2)} s`);
			else this.#say(rig.subject.cluster.log().split("\n").slice(-logLines).join("\n"));
		}
		const wrong = Object.fromEntries(wrongs.map((name) => [name, this.#tally.counts[name] - before[name]])) as Record<Wrong, number>;
		for (const name of wrongs) if (wrong[name] !== 0) this.#say(`  ${wrong[name]} ${name}`);
		this.#outcomes.push({ number, kind: kind.name, story: draw.story, skipped: lack, serviceMs, wrong });
		return lack !== null || serviceMs !== null;
	}

	/** Everything that was acknowledged must arrive. */
	async #settle(rig: Rig): Promise<void> {
		await this.#crowd!.stopPublishing();
		if (!(await rig.until(() => this.#crowd!.hasAll, settleMs))) this.#tally.add("lost", `at the end: ${this.#crowd!.state()}`);
	}

	async #startKafka(): Promise<KafkaPublisher | null> {
		try {
			this.#broker = await KafkaBroker.run();
		} catch (error) {
			if (!(error instanceof KafkaUnavailable)) throw error;
			return null;
		}
		this.#client = await connectKafka(this.#broker.brokers);
		await this.#client.createTopic(topic, 1);
		return new KafkaPublisher(this.#client, topic, `kept:${topic}`);
	}

	/** Whatever came of it: no process, file or connection stays. */
	async end(): Promise<void> {
		const ends = [
			() => this.#crowd?.stopPublishing(),
			() => this.#crowd?.close(),
			async () => {
				for (const line of (await this.#subject?.stop()) ?? []) this.#tally.add("leaked", line);
			},
			() => this.#client?.close(),
			() => this.#broker?.remove(),
			() => {
				if (this.#memory === null) return;
				for (const name of leftIn(this.#memory)) this.#tally.add("leaked", `${this.#memory}/${name}`);
				if (privateMemory === null) rmSync(this.#memory, { recursive: true, force: true });
			},
		];
		for (const end of ends)
			try {
				await end();
			} catch (error) {
				this.problems.push((error as Error).message);
			}
	}

	report(seconds: number, interrupted: boolean): FaultReport {
		const publishers = this.#crowd?.publishers ?? [];
		return {
			seed: this.#options.seed,
			minutes: this.#options.minutes,
			node: process.versions.node,
			seconds,
			outcomes: this.#outcomes,
			wrong: this.#tally.counts,
			examples: this.#tally.examples,
			problems: this.problems,
			publications: publishers.reduce((sum, { acknowledged }) => sum + acknowledged + 1, 0),
			repeats: publishers.reduce((sum, { repeats }) => sum + repeats, 0),
			interruptions: this.#crowd?.raw.interruptions ?? 0,
			told: this.#crowd?.followers.told ?? 0,
			interrupted,
		};
	}
}
