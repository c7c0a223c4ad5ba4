import { DeliveryChecker } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { Audience } from "../../src/audience.ts";
import { Lives } from "../../src/thread/lives.ts";
import { SentLogWriter, sentBefore, sentUntil } from "../../src/thread/sent-log.ts";

/** 10 messages per 100 ms for a second, of two senders in turn. */
function tenSteps() {
	const writer = new SentLogWriter(1000);
	for (let step = 0; step < 10; step++) writer.note(1000 + step * 100 + 50, (step + 1) * 10);
	return writer.log(2);
}

describe("what was sent until when", () => {
	it("is known to a tenth of a second, of each sender", () => {
		const log = tenSteps();
		expect([999, 1000, 1099, 1100, 1999, 2000, 9000].map((ms) => sentUntil(log, 0, ms))).toEqual([0, 5, 5, 10, 50, 50, 50]);
		expect([1000, 1100, 1999, 2000, 9000].map((ms) => sentBefore(log, 1, ms))).toEqual([0, 5, 45, 50, 50]);
		const odd = new SentLogWriter(0);
		odd.note(0, 3);
		odd.note(450, 4);
		const uneven = odd.log(2);
		expect([...uneven.counts]).toEqual([3, 3, 3, 3, 4]);
		expect([sentUntil(uneven, 0, 0), sentUntil(uneven, 1, 0)]).toEqual([2, 1]);
	});
});

describe("a client that comes and goes", () => {
	const audience = new Audience({ connections: 4, senders: 2, sendersListen: false, channels: 0 });
	const log = tenSteps();
	const sent = [50, 50];
	const leavingMs = 200;
	const setUp = () => {
		const checker = new DeliveryChecker(4, audience.slots);
		const lives = new Lives(4, 0, audience, leavingMs);
		const see = (id: number, numbers: readonly number[]) => {
			for (const number of numbers) {
				lives.saw(id, 0, number, checker);
				checker.saw(id, 0, number);
			}
		};
		return { checker, lives, see, due: (id: number) => lives.due(id, 0, sent, log, checker) };
	};
	const from = (first: number, end: number) => Array.from({ length: end - first }, (_, index) => first + index);

	it("must get what is sent after it has come", () => {
		const { lives, see, due, checker } = setUp();
		lives.joined(0, 1420);
		expect(due(0)).toMatchObject({ from: 25, to: 50 });
		see(0, from(25, 50));
		expect(due(0)).toMatchObject({ from: 25, to: 50 });
		expect(checker.report((id, slot) => (id + slot === 0 ? 50 : 0))).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, unexpected: 0 });
	});

	it("may get what was sent as it came, and from then on everything", () => {
		const { lives, see, due, checker } = setUp();
		lives.joined(0, 1420);
		see(0, [22, 23, ...from(25, 50)]);
		expect(due(0)).toMatchObject({ from: 22, to: 50 });
		// 24 is missing, between its first message and its last.
		expect(checker.report((id, slot) => (id + slot === 0 ? 50 : 0))).toMatchObject({ lost: 1 });
	});

	it("must get nothing when it never opened, and everything to the end when the server ended it", () => {
		const { lives, due } = setUp();
		expect(due(1)).toEqual({ from: 0, to: 0, legal: 0 });
		lives.joined(2, 900);
		expect(due(2)).toMatchObject({ from: 0, to: 50 });
	});

	it("may miss what was under way when the load test closed it, and nothing before that", () => {
		const { lives, see, due } = setUp();
		lives.joined(3, 900);
		see(3, from(0, 33));
		lives.left(3, 1800);
		// What was sent until 1,600 ms: 30; it has got 3 more.
		expect(due(3)).toMatchObject({ from: 0, to: 33 });
		const missing = setUp();
		missing.lives.joined(3, 900);
		missing.see(3, from(0, 20));
		missing.lives.left(3, 1800);
		expect(missing.due(3)).toMatchObject({ from: 0, to: 30 });
	});
});
