import { PartAnswers } from "@shardcast/control";
import { afterEach, expect, it, vi } from "vitest";
import type { Feature } from "../../src/lifecycle/feature.ts";
import { Features } from "../../src/lifecycle/features.ts";
import { LiveTimers } from "../support/live-timers.ts";

/** Runs one implementation; made for each test. */
interface FeatureRig {
	readonly feature: Feature;
	/** Gives it something that it has to finish; null = it never has. `isKept`: what it does not finish is done by another process, and nobody loses anything. */
	readonly work: { begin(): void | Promise<void>; finish(): void; readonly isKept?: boolean } | null;
	/** Whatever it still holds: 0 when it has let go of everything. */
	held(): number;
	/** Whether it does what a drain ends: it takes new work, or serves those that come back by themselves. Null = a drain ends nothing. */
	readonly isOpen: (() => boolean | Promise<boolean>) | null;
	/** Whether it does what only a stop ends, beside its timers; null = nothing. */
	readonly runs: (() => boolean | Promise<boolean>) | null;
}

const deadlineMs = 400;
const metrics = { addReading: () => {} };

/** What every feature does, whatever it is for. */
export function featureContract(create: () => FeatureRig | Promise<FeatureRig>): void {
	const timers = new LiveTimers();
	afterEach(() => timers.ignore());

	async function started() {
		const rig = await create();
		const errors: unknown[] = [];
		const log = { error: (fields: object) => errors.push(fields) } as never;
		const features = new Features([rig.feature], { parts: new PartAnswers(), metrics, log });
		await features.start();
		features.serving();
		return { ...rig, features, errors };
	}

	it("starts, drains at once when it has nothing to do, and stops", async () => {
		const { features, errors, held } = await started();
		features.everySecond();
		const beganMs = performance.now();
		expect(await features.drain(60_000)).toEqual({});
		expect(performance.now() - beganMs).toBeLessThan(10_000);
		await features.stop();
		expect(held()).toBe(0);
		expect(errors).toEqual([]);
	});

	it("accepts new work until it drains, runs until it is stopped, and leaves no timer or listener behind", async () => {
		// Each log of pino adds some for the exit, and takes them away when it is collected.
		const names = () => process.eventNames().filter((name) => name !== "exit" && name !== "beforeExit");
		const listeners = () => names().flatMap((name) => process.listeners(name as NodeJS.Signals));
		const before = new Set(listeners());
		timers.watch();
		const { features, isOpen, runs, errors } = await started();
		const does = async () => ({ isOpen: isOpen !== null && (await isOpen()), runs: runs !== null && (await runs()) });
		expect(await does()).toEqual({ isOpen: isOpen !== null, runs: runs !== null });
		await features.drain(deadlineMs);
		expect(await does()).toEqual({ isOpen: false, runs: runs !== null });
		await features.stop();
		expect(await does()).toEqual({ isOpen: false, runs: false });
		// What runs once more and then no further may do so.
		await vi.waitFor(() => expect(timers.live).toEqual([]), { timeout: 8_000, interval: 5 });
		expect(listeners().filter((listener) => !before.has(listener))).toEqual([]);
		expect(errors).toEqual([]);
	});

	it("may be stopped before it started, and without a drain", async () => {
		const rig = await create();
		const features = new Features([rig.feature], { parts: new PartAnswers(), metrics, log: { error: expect.unreachable } as never });
		await features.stop();
		expect(rig.held()).toBe(0);
		const other = await started();
		await other.features.stop();
		expect(other.held()).toBe(0);
		expect(other.errors).toEqual([]);
	});

	it("finishes accepted work within the drain's deadline", async () => {
		const { features, work, feature, errors } = await started();
		await work?.begin();
		// Done long before that, on a busy machine too.
		const drained = features.drain(10 * deadlineMs);
		work?.finish();
		expect(await drained).toEqual({});
		expect(feature.unfinished?.() ?? 0).toBe(0);
		await features.stop();
		expect(errors).toEqual([]);
	});

	it("gives up at the deadline, and says what was cut off", { tags: ["long"] }, async () => {
		const { features, work, feature, held, errors } = await started();
		await work?.begin();
		const beganMs = performance.now();
		const cutOff = await features.drain(deadlineMs);
		expect(performance.now() - beganMs).toBeLessThan(deadlineMs + 10_000);
		expect(cutOff).toEqual(work === null || work.isKept === true ? {} : { [feature.name]: 1 });
		await features.stop();
		expect(held()).toBe(0);
		expect(errors).toEqual([]);
	});
}
