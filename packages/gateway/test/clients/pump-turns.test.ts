import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { PumpTurns } from "../../src/clients/pump-turns.ts";

/** Clients that note in `pumped` that they were pumped. */
function clientsOf(pumped: string[], name: string, count: number) {
	return Array.from({ length: count }, (_, index) => ({
		name: `${name} ${index}`,
		isGone: false,
		queues: { output: { pump: () => void pumped.push(`${name} ${index}`) } },
	}));
}

function turns() {
	const pumped: string[] = [];
	const pumps = new PumpTurns<ReturnType<typeof clientsOf>[number]>();
	return { pumped, pumps, clients: (name: string, count: number) => clientsOf(pumped, name, count) };
}

describe("turns in which clients are sent what waits", () => {
	it("clients with frames that have priority come first, whoever was noted first", async () => {
		const { pumped, pumps, clients } = turns();
		for (const client of clients("video", 3)) pumps.soon(client, false);
		for (const client of clients("control", 2)) pumps.soon(client, true);
		expect(pumped, "before the turn ends").toEqual([]);
		await nextTurn();
		expect(pumped).toEqual(["control 0", "control 1", "video 0", "video 1", "video 2"]);
	});

	it("what is noted while clients are served has its turn next time", async () => {
		const { pumped, pumps, clients } = turns();
		const [first, second] = clients("client", 2);
		first!.queues.output.pump = () => {
			pumped.push("again");
			pumps.soon(first!, true);
		};
		pumps.soon(first!, false);
		pumps.soon(second!, false);
		await nextTurn();
		expect(pumped).toEqual(["again", "client 1"]);
		await nextTurn();
		expect(pumped).toEqual(["again", "client 1", "again"]);
		pumps.stop();
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
