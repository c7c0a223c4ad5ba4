import { setTimeout as delay } from "node:timers/promises";
import { stressed } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { gaps, MemberProcesses, randomFrom, testSeed } from "./member-processes.ts";

// Small rings: writers wrap all the time and are back-pressured often, by readers that are about to die as well.
const capacityBytes = 32_768;
const killsTotal = stressed(12);
const seed = testSeed();

describe(`members killed with -9 at random instructions (SHARDCAST_TEST_SEED=${seed})`, () => {
	it("the others get every record of every life, byte for byte, in order, and successors go on", {
		timeout: stressed(60_000),
	}, async () => {
		const random = randomFrom(seed);
		const members = new MemberProcesses(seed, capacityBytes);
		// 0 writes and reads, 1 only reads: both are killed again and again. 2 writes and reads, and sees it all.
		const victims = [0, 1];
		const survivor = 2;
		for (const slot of [...victims, survivor]) await members.start(slot, slot !== 1);
		members.go(...victims, survivor);
		for (let kill = 0; kill < killsTotal; kill++) {
			await delay(5 + random() * 200);
			const victim = victims[Math.floor(random() * victims.length)];
			await members.kill(victim);
			if (random() < 0.3) await delay(random() * 30);
			await members.start(victim, victim === 0);
			members.go(victim);
		}
		// A reader that stays dead holds nobody up: the survivor laps its ring often after that.
		await members.kill(1);
		const survivorsRow = members.cluster.board.row(survivor);
		const survivorPublishes = async (count: number) => {
			const published = survivorsRow.get("messagesIn");
			await expect.poll(() => survivorsRow.get("messagesIn"), { timeout: 30_000 }).toBeGreaterThan(published + count);
		};
		await survivorPublishes(10_000);
		await members.start(1, false);
		// So that this life sees some of it, however busy the machine is.
		await survivorPublishes(100);
		for (const slot of [...victims, survivor]) await members.stop(slot);
		const reports = [];
		for (const slot of [...victims, survivor]) reports.push(await members.finish(slot));
		members.check();
		const witness = reports[2];
		expect(gaps(members.lives, witness.seen)).toEqual([]);
		// The last lives of the victims have read to the end as well.
		for (const report of reports) expect(report.seen.get(survivor)!.get(1)![1]).toBe(witness.published);
		expect(witness.recordsRead).toBeGreaterThan(100_000);
		console.log(`${killsTotal} kills, ${witness.recordsRead} records checked by the survivor, ${witness.wakes} wake-ups`);
	});
});
