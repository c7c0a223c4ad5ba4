import { beforeEach, describe, expect, it } from "vitest";
import { RawOracle, SubscriptionOracle, Tally, type Wrong, wrongs } from "../src/faults/oracle.ts";
import { hasFailed, type Outcome, renderReport, summarise } from "../src/faults/report.ts";
import { grownDescriptors } from "../src/faults/rig/leaks.ts";

const none = Object.fromEntries(wrongs.map((wrong) => [wrong, 0])) as Record<Wrong, number>;
let tally: Tally;
beforeEach(() => {
	tally = new Tally();
});

describe("a recoverable subscription", () => {
	let mayForget: boolean;
	let oracle: SubscriptionOracle;
	beforeEach(() => {
		mayForget = false;
		oracle = new SubscriptionOracle(tally, "follower", () => mayForget);
		oracle.subscribed({ epoch: "e", offset: 10, wasRecovering: false, recovered: false });
	});
	/** Offset and number of each. */
	const saw = (...publications: [number, number][]) => {
		for (const [offset, number] of publications) oracle.publication(offset, number);
	};

	it("in order, over a recovery: nothing is wrong", () => {
		saw([11, 5], [12, 6]);
		oracle.subscribed({ epoch: "e", offset: 14, wasRecovering: true, recovered: true });
		saw([13, 7], [14, 8]);
		expect([tally.counts, oracle.last, oracle.told]).toEqual([none, 8, 0]);
	});

	it("counts what is lost, once for offset and number", () => {
		saw([11, 5], [14, 8], [15, 9]);
		expect(tally.counts).toEqual({ ...none, lost: 2 });
	});

	it("counts what the first recovered publication leaves out", () => {
		saw([11, 5]);
		oracle.subscribed({ epoch: "e", offset: 14, wasRecovering: true, recovered: true });
		saw([13, 7]);
		expect(tally.counts).toEqual({ ...none, lost: 1 });
	});

	it("counts a number that is missing in a log without holes, and one that is in it twice", () => {
		saw([11, 5], [12, 7]);
		expect(tally.counts).toEqual({ ...none, lost: 1 });
		saw([13, 7]);
		expect(tally.counts).toEqual({ ...none, lost: 1, duplicated: 1 });
	});

	it("counts a repeated publication", () => {
		saw([11, 5], [12, 6], [12, 6], [13, 7]);
		expect(tally.counts).toEqual({ ...none, duplicated: 1 });
	});

	it("counts one that comes late as reordered, no longer as lost", () => {
		saw([11, 5], [13, 7], [12, 6], [14, 8]);
		expect(tally.counts).toEqual({ ...none, reordered: 1 });
	});

	it("a history that is gone is wrong, unless it may be", () => {
		saw([11, 5]);
		const gone = { epoch: "f", offset: 0, wasRecovering: true, recovered: false };
		oracle.subscribed(gone);
		expect(tally.counts).toEqual({ ...none, untold: 1 });
		mayForget = true;
		oracle.subscribed({ ...gone, epoch: "g" });
		// The publisher repeats what was not acknowledged.
		saw([1, 5], [2, 6]);
		expect([tally.counts, oracle.told]).toEqual([{ ...none, untold: 1 }, 2]);
	});

	it("recovered in another epoch is wrong", () => {
		oracle.subscribed({ epoch: "f", offset: 10, wasRecovering: true, recovered: true });
		expect(tally.counts).toEqual({ ...none, untold: 1 });
	});

	it("with Kafka's offsets, the first publication of an empty channel decides on offset and epoch, and on nothing later", () => {
		oracle = new SubscriptionOracle(tally, "follower", () => mayForget, true);
		oracle.subscribed({ epoch: "none yet", offset: 0, wasRecovering: false, recovered: false });
		saw([327, 0], [328, 1]);
		oracle.subscribed({ epoch: "topic", offset: 330, wasRecovering: true, recovered: true });
		saw([329, 2], [330, 3]);
		expect(tally.counts).toEqual(none);
		saw([332, 5]);
		expect(tally.counts).toEqual({ ...none, lost: 1 });
	});

	it("counts what is not from its publisher", () => {
		oracle.publication(11, { text: "from somebody else" });
		expect(tally.counts).toEqual({ ...none, leaked: 1 });
	});
});

describe("a connection of a raw client", () => {
	const message = (sequence: number, connection = 0) => ({ sender: 0, connection, sequence });
	const saw = (oracle: RawOracle, ...messages: ReturnType<typeof message>[]) => {
		for (const each of messages) oracle.saw(each);
	};

	it("gets all from the first that was sent after it was open, and perhaps some before", () => {
		saw(new RawOracle(tally, "raw", [message(5)]), message(5), message(6));
		saw(new RawOracle(tally, "raw", [message(5)]), message(3), message(4), message(5));
		expect(tally.counts).toEqual(none);
	});

	it("counts what is missing at its begin, or later", () => {
		saw(new RawOracle(tally, "raw", [message(5)]), message(7));
		expect(tally.counts).toEqual({ ...none, lost: 2 });
		saw(new RawOracle(tally, "raw", [message(5)]), message(3), message(5));
		expect(tally.counts).toEqual({ ...none, lost: 3 });
	});

	it("a sender that comes back begins again with 0: its last messages may be gone, not its first ones", () => {
		const oracle = new RawOracle(tally, "raw", [message(0)]);
		saw(oracle, message(0), message(1), message(0, 1), message(1, 1));
		expect([tally.counts, oracle.nextOf(0, 0), oracle.nextOf(0, 1), oracle.nextOf(0, 2)]).toEqual([none, 2, 2, 0]);
		saw(oracle, message(1, 2));
		expect(tally.counts).toEqual({ ...none, lost: 1 });
	});

	it("counts what comes twice, and what comes late", () => {
		const oracle = new RawOracle(tally, "raw", [message(0)]);
		saw(oracle, message(0), message(1), message(1), message(3), message(2));
		expect(tally.counts).toEqual({ ...none, duplicated: 1, reordered: 1 });
	});
});

describe("the report of the fault suite", () => {
	const outcome = (serviceMs: number | null, more: Partial<Outcome> = {}): Outcome => ({
		...{ number: 1, kind: "kill-shard", story: "shard 1", skipped: null, serviceMs, wrong: none },
		...more,
	});
	const report = {
		...{ seed: 7, minutes: 1, node: "22.0.0", seconds: 60, examples: [], problems: [], publications: 9, repeats: 1, interruptions: 2 },
		...{ told: 0, interrupted: false },
	};

	it("has median and worst time to full service of each kind, and what was skipped", () => {
		const outcomes = [
			...[3000, 1000, 2000, 9000].map((ms) => outcome(ms)),
			outcome(null, { wrong: { ...none, unavailable: 1 } }),
			outcome(null, { kind: "pause-kafka", skipped: "no Java" }),
		];
		expect(summarise(outcomes)).toEqual([
			{ kind: "kill-shard", faults: 5, medianMs: 2000, worstMs: 9000, wrong: { ...none, unavailable: 1 }, skipped: null },
			{ kind: "pause-kafka", faults: 0, medianMs: null, worstMs: null, wrong: none, skipped: "no Java" },
		]);
		const text = renderReport({ ...report, outcomes, wrong: { ...none, unavailable: 1 } });
		expect(text).toMatch(/^kill-shard +5 +2\.00 +9\.00( +0){5} +1 +0$/m);
		expect(text).toContain("!!! pause-kafka SKIPPED: no Java !!!");
		expect(text.split("\n").at(-1)).toBe("seed 7, 60 s on Node 22.0.0: FAILED");
	});

	it("a run fails for anything that is wrong, or that ended it", () => {
		expect(hasFailed({ wrong: none, problems: [] })).toBe(false);
		for (const wrong of wrongs) expect(hasFailed({ wrong: { ...none, [wrong]: 1 }, problems: [] })).toBe(true);
		expect(hasFailed({ wrong: none, problems: ["the cluster did not start"] })).toBe(true);
		expect(renderReport({ ...report, outcomes: [], wrong: none })).toContain("nothing lost, duplicated, reordered or leaked");
	});

	it("descriptors: a process may have its part of the connections more, and no others", () => {
		const before = new Map([
			["supervisor", 20],
			["shard 0", 50],
		]);
		expect(
			grownDescriptors(
				before,
				new Map([
					["supervisor", 30],
					["shard 0", 72],
					["shard 1", 500],
				]),
				12,
			),
		).toEqual([]);
		expect(
			grownDescriptors(
				before,
				new Map([
					["supervisor", 31],
					["shard 0", 73],
				]),
				12,
			),
		).toEqual(["supervisor has 31 descriptors, 20 at the start", "shard 0 has 73 descriptors, 50 at the start"]);
	});
});
