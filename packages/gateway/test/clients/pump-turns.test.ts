import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { PumpLimits, PumpTurns } from "../../src/clients/pump-turns.ts";

/** Clients that note in `pumped` that they were pumped, and take so many bytes each time. */
function clientsOf(pumped: string[], name: string, count: number, bytes = 1) {
	return Array.from({ length: count }, (_, index) => {
		const pump = (): number => {
			pumped.push(`${name} ${index}`);
			return bytes;
		};
		return { name: `${name} ${index}`, isGone: false, pumpLists: 0, pumpedAtOnce: 0, queues: { output: { pump } } };
	});
}

function turns() {
	const pumped: string[] = [];
	const pumps = new PumpTurns<ReturnType<typeof clientsOf>[number]>();
	return { pumped, pumps, clients: (name: string, count: number, bytes?: number) => clientsOf(pumped, name, count, bytes) };
}

const { otherWrites, urgentWrites, writesAtOnce, bytesOfWrite } = PumpLimits;

describe("turns in which clients are sent what waits", () => {
	it("clients with frames that have priority come first, whoever was noted first", async () => {
		const { pumped, pumps, clients } = turns();
		for (const client of clients("video", 2)) pumps.soon(client, false);
		for (const client of clients("control", 2)) pumps.soon(client, true);
		expect(pumped, "before the turn ends").toEqual([]);
		await nextTurn();
		expect(pumped).toEqual(["control 0", "control 1", "video 0", "video 1"]);
	});

	it("a turn ends after a few clients; those with priority that come then go before the rest, and the rest follow in order", async () => {
		const { pumped, pumps, clients } = turns();
		const video = clients("video", 3 * otherWrites);
		for (const client of video) pumps.soon(client, false);
		await nextTurn();
		expect(pumped).toEqual(video.slice(0, otherWrites).map(({ name }) => name));
		// One that was served waits behind the others.
		pumps.soon(video[0]!, false);
		pumps.soon(clients("control", 1)[0]!, true);
		await nextTurn();
		expect(pumped.slice(otherWrites)).toEqual(["control 0", ...video.slice(otherWrites, 2 * otherWrites).map(({ name }) => name)]);
		for (let turn = 0; turn < 3; turn++) await nextTurn();
		expect(pumped.slice(2 * otherWrites + 1)).toEqual([...video.slice(2 * otherWrites).map(({ name }) => name), "video 0"]);
	});

	it("clients with priority, however many, leave the others their share of each turn", async () => {
		const { pumped, pumps, clients } = turns();
		for (const client of clients("control", 5 * urgentWrites)) pumps.soon(client, true);
		for (const client of clients("video", 2 * otherWrites)) pumps.soon(client, false);
		await nextTurn();
		expect(pumped.filter((name) => name.startsWith("control"))).toHaveLength(urgentWrites);
		expect(pumped.filter((name) => name.startsWith("video"))).toHaveLength(otherWrites);
		for (let turn = 0; turn < 5; turn++) await nextTurn();
		expect(pumped).toHaveLength(5 * urgentWrites + 2 * otherWrites);
	});

	it("the more clients wait, the more are served in a turn, so that none waits for more than 512", async () => {
		const { pumped, pumps, clients } = turns();
		for (const client of clients("video", 10 * PumpLimits.turnsMost)) pumps.soon(client, false);
		await nextTurn();
		expect(pumped).toHaveLength(10);
		pumps.stop();
	});

	it("many bytes count for several clients, and clients that take nothing for none", async () => {
		const { pumped, pumps, clients } = turns();
		for (const client of clients("full", 100, 0)) pumps.soon(client, false);
		for (const client of clients("file", 3, otherWrites * bytesOfWrite)) pumps.soon(client, false);
		await nextTurn();
		expect(pumped.slice(99)).toEqual(["full 99", "file 0"]);
		await nextTurn();
		expect(pumped.slice(101)).toEqual(["file 1"]);
		pumps.stop();
		await nextTurn();
		expect(pumped).toHaveLength(102);
	});

	it("what is noted while clients are served has its turn next time", async () => {
		const { pumped, pumps, clients } = turns();
		const [first, second] = clients("client", 2);
		first!.queues.output.pump = () => {
			pumped.push("again");
			pumps.soon(first!, true);
			return 1;
		};
		pumps.soon(first!, false);
		pumps.soon(second!, false);
		await nextTurn();
		expect(pumped).toEqual(["again", "client 1"]);
		await nextTurn();
		expect(pumped).toEqual(["again", "client 1", "again"]);
		pumps.stop();
	});

	it("a client may be sent one frame at once in a turn, and so may only a few", async () => {
		const { pumps, clients } = turns();
		const many = clients("client", 2 * writesAtOnce);
		expect(pumps.mayAtOnce(many[0]!)).toBe(true);
		expect(pumps.mayAtOnce(many[0]!), "again in the same turn").toBe(false);
		expect(many.filter((client) => pumps.mayAtOnce(client)).length + 1).toBe(writesAtOnce);
		await nextTurn();
		expect(pumps.mayAtOnce(many[0]!), "in the next turn").toBe(true);
		expect(pumps.mayAtOnce(many.at(-1)!)).toBe(true);
		pumps.stop();
		await nextTurn();
		expect(pumps.mayAtOnce(many[0]!), "after a stop").toBe(false);
	});

	it("a client that was noted twice is pumped once, one that has gone not at all, and none after a stop", async () => {
		const { pumped, pumps, clients } = turns();
		const [one, gone, late] = clients("client", 3);
		pumps.soon(one!, false);
		pumps.soon(one!, false);
		pumps.soon(gone!, false);
		gone!.isGone = true;
		await nextTurn();
		expect(pumped).toEqual(["client 0"]);
		pumps.soon(late!, true);
		pumps.stop();
		await nextTurn();
		expect(pumped).toEqual(["client 0"]);
	});
});
