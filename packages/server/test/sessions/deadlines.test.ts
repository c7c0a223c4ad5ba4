import fc from "fast-check";
import { expect, it } from "vitest";
import { Deadlines, type Timed } from "../../src/sessions/deadlines.ts";

class Client implements Timed {
	dueAt = 0;
	duePlace = -1;
	readonly called: number[] = [];
	onDue: (now: number) => void = () => {};

	due(now: number): void {
		this.called.push(now);
		this.onDue(now);
	}
}

it("each is called once, in the second of its deadline, whatever else is set, moved or removed", () => {
	const step = fc.record({
		client: fc.nat(9),
		act: fc.constantFrom("set", "remove", "tick", "tick"),
		inS: fc.integer({ min: -5, max: 200 }),
	});
	fc.assert(
		fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
			let now = 1000;
			const deadlines = new Deadlines(now);
			const clients = Array.from({ length: 10 }, () => new Client());
			const expected = new Map<Client, number>();
			for (const { client, act, inS } of steps) {
				const one = clients[client]!;
				if (act === "set") {
					deadlines.set(one, now + inS + 0.5);
					expected.set(one, Math.max(now + 1, now + inS + 1));
				} else if (act === "remove") {
					deadlines.remove(one);
					expected.delete(one);
				} else {
					now += Math.max(1, inS);
					deadlines.tick(now);
					for (const each of clients) {
						const isDue = (expected.get(each) ?? Number.POSITIVE_INFINITY) <= now;
						expect(each.called.splice(0)).toEqual(isDue ? [now] : []);
						if (isDue) expected.delete(each);
					}
				}
				expect(deadlines.count).toBe(expected.size);
			}
		}),
	);
});

it("a callback may set a new deadline, and remove others that are due", () => {
	const deadlines = new Deadlines(0);
	const [first, second] = [new Client(), new Client()];
	first.onDue = (now) => {
		deadlines.remove(second);
		deadlines.set(first, now + 64);
	};
	deadlines.set(first, 5);
	deadlines.set(second, 5);
	deadlines.tick(5);
	deadlines.tick(68);
	expect([first.called, second.called]).toEqual([[5], []]);
	deadlines.tick(69);
	expect(first.called).toEqual([5, 69]);
	deadlines.set(second, Number.POSITIVE_INFINITY);
	expect(deadlines.count).toBe(1);
});
