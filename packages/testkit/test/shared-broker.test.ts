import { afterEach, describe, expect, it } from "vitest";
import shareBroker, { sharedBrokers } from "../src/kafka/shared-broker.ts";

/** The run's own, if there is one, must be found again afterwards. */
const ofTheRun = process.env.KAFKA_TEST_SHARED;
afterEach(() => {
	if (ofTheRun === undefined) delete process.env.KAFKA_TEST_SHARED;
	else process.env.KAFKA_TEST_SHARED = ofTheRun;
});

class FakeBrokers {
	started = 0;
	removed = 0;
	failures = 0;
	readonly run = async () => {
		this.started++;
		await new Promise((resolve) => setTimeout(resolve, 20));
		if (this.failures-- > 0) throw new Error("no Java");
		return { brokers: `127.0.0.1:${this.started}`, remove: async () => void this.removed++ };
	};
}

describe("the broker that test files share", () => {
	it("is started once, by the first request, and removed at the end", { tags: ["long"] }, async () => {
		const fake = new FakeBrokers();
		const end = await shareBroker(undefined, fake.run);
		expect(fake.started).toBe(0);
		expect(await Promise.all([sharedBrokers(), sharedBrokers(), sharedBrokers()])).toEqual(Array(3).fill("127.0.0.1:1"));
		await end();
		expect(fake).toMatchObject({ started: 1, removed: 1 });
		expect(await sharedBrokers()).toBeNull();
	});

	it("is not started when nobody asks", async () => {
		const fake = new FakeBrokers();
		await (await shareBroker(undefined, fake.run))();
		expect(fake).toMatchObject({ started: 0, removed: 0 });
	});

	it("that does not start says why, and the next request tries again", async () => {
		const fake = new FakeBrokers();
		fake.failures = 1;
		const end = await shareBroker(undefined, fake.run);
		await expect(sharedBrokers()).rejects.toThrow("no Java");
		expect(await sharedBrokers()).toBe("127.0.0.1:2");
		await end();
		expect(fake.removed).toBe(1);
	});

	it("that is still starting when the run ends is removed as well", async () => {
		const fake = new FakeBrokers();
		const end = await shareBroker(undefined, fake.run);
		const asked = sharedBrokers().catch((error: Error) => error);
		await expect.poll(() => fake.started).toBe(1);
		await end();
		expect(fake.removed).toBe(1);
		await asked;
	});
});
