import { setTimeout as delay } from "node:timers/promises";
import { stressed } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { gaps, MemberProcesses, randomFrom, testSeed } from "./member-processes.ts";

const capacityBytes = 65_536;
const visitsTotal = stressed(6);
const seed = testSeed();

describe(`members that come and go under load (SHARDCAST_TEST_SEED=${seed})`, () => {
	it("those who stay get all that a passing member publishes, from its first record to its last", {
		tags: ["long"],
		timeout: stressed(60_000),
	}, async () => {
		const random = randomFrom(seed);
		const members = new MemberProcesses(seed, capacityBytes);
		const staying = [0, 1];
		for (const slot of staying) await members.start(slot, true);
		members.go(...staying);
		for (let visit = 0; visit < visitsTotal; visit++) {
			const slot = 2 + Math.floor(random() * 3);
			await members.start(slot, true);
			members.go(slot);
			await delay(random() * 250);
			if (random() < 0.5) {
				await members.stop(slot);
				await members.finish(slot);
			} else await members.kill(slot);
			await members.remove(slot);
			members.check();
		}
		for (const slot of staying) await members.stop(slot);
		const reports = [];
		for (const slot of staying) reports.push(await members.finish(slot));
		members.check();
		for (const report of reports) expect(gaps(members.lives, report.seen)).toEqual([]);
		console.log(`${visitsTotal} members came and went; ${reports.map(({ recordsRead }) => recordsRead).join(" and ")} records checked`);
	});
});
