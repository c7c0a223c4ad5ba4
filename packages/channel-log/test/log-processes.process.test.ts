import { setTimeout as delay } from "node:timers/promises";
import { stressed } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { ChannelLog } from "../src/channel-log.ts";
import { brokerContract } from "./broker-contract.ts";
import { pauseChange, pausePublishing, shown, text } from "./fixtures.ts";
import { LogMembers, type Place } from "./log-members.ts";

const places: readonly Place[] = ["threads", "processes"];

describe.each(places)("members in %s", (place) => {
	let members: LogMembers;
	let channels = 0;
	beforeAll(() => {
		members = new LogMembers(place, 8 * 65_536);
	});
	afterAll(() => members.close());
	brokerContract("ChannelLog", () => ({
		broker: (slot) => members.broker(slot),
		pass: (ms) => members.pass(ms),
		channel: () => `channel-${channels++}`,
		pausePublishing: () => pausePublishing(members.memories),
		pauseChange: () => pauseChange(members.memories),
	}));
});

it("a history that is written over while it is read is whole as far as it goes", async () => {
	const members = new LogMembers("threads", 8 * 65_536);
	onTestFinished(() => members.close());
	await members.start(0);
	await members.run(0, ["channel"], Number.POSITIVE_INFINITY);
	const log = new ChannelLog(members.memories, { slot: 9, incarnation: 1 }, { nowMs: () => members.nowMs });
	let read = 0;
	const deadlineMs = performance.now() + 30_000;
	// Until much of it was read, and some of it was gone before it could be copied.
	while ((read < 20_000 || log.counter("evictedReads") < 50) && performance.now() < deadlineMs) {
		await new Promise((resolve) => setImmediate(resolve));
		const history = log.history("channel");
		// The writer was in the middle of a change for as long as we looked: again in a later turn.
		if (history === null) continue;
		const { publications } = history;
		let before: number | undefined;
		for (const { offset, previousOffset, data } of publications) {
			if (before !== undefined) expect(previousOffset).toBe(before);
			before = offset;
			const number = offset - 1;
			expect(text(data)).toBe(`0.1.${number} ${"x".repeat(number % 97)}`);
			read++;
		}
	}
	expect(read).toBeGreaterThanOrEqual(20_000);
	await members.stop(0);
});

describe.each(places)("%s that are killed at random instructions", (place) => {
	it("nothing acknowledged is lost, nothing is there twice, all see one order, and the locks are free", {
		timeout: stressed(60_000),
	}, async () => {
		const members = new LogMembers(place, 8 * 2 ** 20);
		onTestFinished(() => members.close());
		const names = Array.from({ length: 6 }, (_, n) => `channel-${n}`);
		/** Which survivor's record of the channels counts, and who is killed again and again. */
		const [survivor, ...victims] = [0, 1, 2];
		const acknowledged = new Map<string, number>();
		for (const slot of [survivor!, ...victims]) await members.start(slot);
		for (const slot of [survivor!, ...victims]) await members.run(slot, names, 5000);
		const kills = stressed(4);
		const lives = new Map(victims.map((slot) => [slot, 1]));
		for (let kill = 0; kill < kills; kill++) {
			const slot = victims[kill % victims.length]!;
			const life = lives.get(slot)!;
			await delay(5 + ((kill * 7919) % 20));
			await members.kill(slot);
			acknowledged.set(`${slot}.${life}`, members.lives.acknowledgedBy(slot));
			lives.set(slot, life + 1);
			await members.start(slot);
			await members.run(slot, names, 5000);
		}
		for (const slot of victims) {
			await members.stop(slot);
			acknowledged.set(`${slot}.${lives.get(slot)}`, members.lives.acknowledgedBy(slot));
		}
		const seen = await members.stop(survivor!);
		acknowledged.set(`${survivor}.1`, members.lives.acknowledgedBy(survivor!));

		// What each life has published: everything that it knew of, in order, and one more at most.
		for (const [life, count] of acknowledged) {
			const byChannel = names.map((name) => numbersOf(seen[name] ?? [], life));
			const total = byChannel.reduce((sum, numbers) => sum + numbers.length, 0);
			expect([count, count + 1]).toContain(total);
			for (const numbers of byChannel) expect(numbers.every((number, at) => at === 0 || numbers[at - 1]! < number)).toBe(true);
			const all = byChannel.flat().sort((one, other) => one - other);
			expect(all.every((number, at) => number === at)).toBe(true);
		}
		expect([...acknowledged.values()].reduce((sum, count) => sum + count)).toBeGreaterThan(100);

		// The history is the end of what the survivor has seen, in its order, with offsets that say the same; one epoch each.
		const log = new ChannelLog(members.memories, { slot: 9, incarnation: 1 }, { nowMs: () => members.nowMs });
		for (const name of names) {
			const { publications, position } = log.history(name)!;
			expect(position.offset).toBe(seen[name]!.length);
			expect(publications.length).toBeGreaterThan(0);
			expect(shown(publications)).toEqual(
				seen[name]!.slice(-publications.length).map((message, at) => `${position.offset - publications.length + at + 1}:${message}`),
			);
			expect(position.epoch).toMatch(/-0$/);
		}
		expect(members.keeper.heldLocks(0, 0)).toEqual([]);
	});
});

/** The numbers of the messages of one life, `slot.incarnation.number`. */
function numbersOf(messages: readonly string[], life: string): number[] {
	return messages.filter((message) => message.startsWith(`${life}.`)).map((message) => Number.parseInt(message.slice(life.length + 1), 10));
}
