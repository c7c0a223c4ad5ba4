import { LostDescriptors } from "@shardcast/native";
import { Scoreboard } from "@shardcast/scoreboard";
import { describe, expect, it } from "vitest";
import { HandoffIntake } from "../../src/transports/handoff-intake.ts";

function setup(messages: (number[] | Error)[], onLook = () => {}, onAdopt: () => void = () => {}) {
	const row = Scoreboard.inMemory(1).row(0);
	const adopted: number[] = [];
	const errors: unknown[] = [];
	const channel = {
		receive: () => {
			onLook();
			const message = messages.shift() ?? [];
			if (message instanceof Error) throw message;
			return message;
		},
		close: () => {},
	};
	const intake = new HandoffIntake({
		channel,
		adopt: (descriptor) => {
			onAdopt();
			adopted.push(descriptor);
		},
		counters: row,
		words: row,
		onError: (error) => errors.push(error),
	});
	return { row, adopted, errors, intake };
}

describe("the intake of handed-over connections", () => {
	it("adopts all that are waiting and tells the balancer how many", () => {
		const { row, adopted, intake } = setup([[10, 11], [12], []]);
		row.handoffsReceived = 5;
		intake.take();
		expect(adopted).toEqual([10, 11, 12]);
		expect(row.handoffsReceived).toBe(8);
	});

	it("counts each connection of a message right after it took it, so that the balancer counts at most one twice", () => {
		const receivedAtEach: number[] = [];
		const { row, intake } = setup(
			[[10, 11, 12], []],
			() => {},
			() => receivedAtEach.push(row.handoffsReceived),
		);
		intake.take();
		expect(receivedAtEach, "handoffsReceived when the first, second and third are taken").toEqual([0, 1, 2]);
		expect(row.handoffsReceived).toBe(3);
	});

	it("counts each connection of a message that was lost", () => {
		const { row, intake } = setup([new LostDescriptors(40, "EMFILE", "40 descriptors were sent, 3 came"), []]);
		intake.take();
		expect(row.get("handoffErrors")).toBe(40);
	});

	it("goes on after a message whose descriptors were lost", () => {
		const { row, adopted, errors, intake } = setup([[10], new LostDescriptors(1, "EMFILE", "1 descriptor was sent, none came"), [11], []]);
		intake.take();
		expect(adopted).toEqual([10, 11]);
		expect(errors).toHaveLength(1);
		expect(row.get("handoffErrors")).toBe(1);
	});

	it("takes all of a flood, in several turns of the loop", async () => {
		const { adopted, intake } = setup(Array.from({ length: 40 }, (_, index) => [index]));
		intake.take();
		expect(adopted.length).toBe(16);
		for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
		expect(adopted).toHaveLength(40);
	});

	it("receives only when a message was announced, when told to, and again after an error that may have left one", () => {
		let looks = 0;
		const messages: (number[] | Error)[] = [];
		const { row, adopted, intake } = setup(messages, () => looks++);
		intake.take();
		intake.take();
		expect(looks, "the first time whatever is announced").toBe(1);
		messages.push([10], []);
		row.handoffBatches++;
		intake.take();
		expect(adopted).toEqual([10]);
		messages.push([11], []);
		intake.take();
		expect(adopted, "not announced").toEqual([10]);
		intake.look();
		expect(adopted).toEqual([10, 11]);
		messages.push(new Error("EIO"), [12], []);
		row.handoffBatches++;
		intake.take();
		intake.take();
		expect(adopted).toEqual([10, 11, 12]);
	});

	it("counts across the wrap of its counter", () => {
		const { row, intake } = setup([[1, 2], []]);
		row.handoffsReceived = 2 ** 31 - 1;
		intake.take();
		expect(row.handoffsReceived).toBe((2 ** 31 + 1) | 0);
	});
});
