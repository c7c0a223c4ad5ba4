import { describe, expect, it } from "vitest";
import { Audience, foreignSender } from "../src/audience.ts";

const clientsOf = (audience: Audience) => Array.from({ length: audience.connections }, (_, client) => client);

describe.each([
	["broadcast, one sender", { connections: 20, senders: 1, sendersListen: true, channels: 0 }],
	["broadcast, three senders", { connections: 20, senders: 3, sendersListen: true, channels: 0 }],
	["broadcast from outside", { connections: 20, senders: 3, sendersListen: false, channels: 0 }],
	["channels, one sender each", { connections: 50, senders: 4, sendersListen: true, channels: 4 }],
	["channels, some with two senders", { connections: 50, senders: 6, sendersListen: true, channels: 4 }],
	["channels, some without a sender", { connections: 50, senders: 3, sendersListen: true, channels: 4 }],
	["one channel of all, senders included", { connections: 20, senders: 3, sendersListen: true, echoes: true, channels: 1 }],
	["channels, senders included", { connections: 50, senders: 6, sendersListen: true, echoes: true, channels: 4 }],
	["channels from outside", { connections: 50, senders: 6, sendersListen: false, channels: 4 }],
])("Audience: %s", (_name, options) => {
	const audience = new Audience(options);
	const sent = Array.from({ length: options.senders }, (_, sender) => 100 + sender);

	it("expects at each client what its senders sent, slot by slot", () => {
		for (const client of clientsOf(audience))
			for (let sender = 0; sender < options.senders; sender++) {
				const slot = audience.slotOf(client, sender);
				const own = options.sendersListen && !("echoes" in options) && client === sender;
				const hears = !own && (options.channels === 0 || audience.channelOfClient(client) === audience.channelOfSender(sender));
				expect(slot >= 0, `client ${client}, sender ${sender}`).toBe(hears);
				if (slot >= 0) expect(audience.expected(client, slot, sent)).toBe(sent[sender]);
			}
	});

	it("expects nothing in slots that no sender fills", () => {
		for (const client of clientsOf(audience)) {
			const total = Array.from({ length: audience.slots }, (_, slot) => audience.expected(client, slot, sent)).reduce((a, b) => a + b, 0);
			const heard = sent.filter((_, sender) => audience.slotOf(client, sender) >= 0).reduce((a, b) => a + b, 0);
			expect(total).toBe(heard);
		}
	});

	it("counts listeners as the clients that hear a sender", () => {
		for (let sender = 0; sender < options.senders; sender++) {
			expect(audience.listenersOf(sender)).toBe(clientsOf(audience).filter((client) => audience.slotOf(client, sender) >= 0).length);
		}
	});

	it("spreads the clients of the whole and of each channel over three nodes", () => {
		const spread = new Audience({ ...options, nodes: 3 });
		const counts = (clients: number[]) => [0, 1, 2].map((node) => clients.filter((client) => spread.nodeOfClient(client) === node).length);
		const all = counts(clientsOf(spread));
		expect(Math.max(...all) - Math.min(...all)).toBeLessThanOrEqual(4);
		expect(all.reduce((a, b) => a + b, 0)).toBe(options.connections);
		for (let channel = 0; channel < options.channels; channel++)
			expect(Math.min(...counts(clientsOf(spread).filter((client) => spread.channelOfClient(client) === channel)))).toBeGreaterThan(0);
		expect(clientsOf(audience).every((client) => audience.nodeOfClient(client) === 0)).toBe(true);
	});

	it("knows no sender beyond the last", () => {
		expect(audience.slotOf(19, options.senders)).toBe(-1);
	});
});

describe("one of several load tests", () => {
	const options = { connections: 10, senders: 2, sendersListen: false, channels: 3 };
	const second = new Audience({ ...options, generator: { index: 1, count: 3 } });

	it("knows its own messages and channels from those of the others", () => {
		const numbers = [0, 1].map((sender) => second.numberOfSender(sender));
		expect(numbers).toEqual([1_000_000, 1_000_001]);
		expect(numbers.map((number) => second.ownSender(number))).toEqual([0, 1]);
		expect([0, 2_000_001].map((number) => second.ownSender(number))).toEqual([foreignSender, foreignSender]);
		// Of none of the three: a stray message, which the checker reports.
		expect(second.ownSender(3_000_000)).toBe(3_000_000);
		expect([-1, 0, 2].map((channel) => second.channelNumber(channel))).toEqual([-1, 1_000_000, 1_000_002]);
	});

	it("shares the one channel of all, and alone knows all numbers", () => {
		expect(new Audience({ ...options, channels: 1, generator: { index: 1, count: 3 } }).channelNumber(0)).toBe(0);
		const alone = new Audience(options);
		expect([alone.numberOfSender(1), alone.ownSender(2_000_000), alone.channelNumber(2)]).toEqual([1, 2_000_000, 2]);
	});
});
