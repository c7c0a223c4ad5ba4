import { describe, expect, it } from "vitest";
import { share } from "../../src/share.ts";
import { parseStages } from "../../src/stages/parse-stages.ts";
import { clientsOpened, cornersOf, highest, lasting, messagesIn, Schedule, totalMs, valueAt } from "../../src/stages/stages.ts";

const clients = { what: "clients", max: 1000, whole: true };
const rates = { what: "messages per second", max: 1000, whole: false };

describe("stages on the command line", () => {
	it("lead from value to value, hold one, or jump", () => {
		expect(parseStages("0-1000:30s, 1000:1m,200-0:500ms", clients)).toEqual([
			{ from: 0, to: 1000, ms: 30_000 },
			{ from: 1000, to: 1000, ms: 60_000 },
			{ from: 200, to: 0, ms: 500 },
		]);
		expect(parseStages("0.5-2.5:1m30s", rates)).toEqual([{ from: 0.5, to: 2.5, ms: 90_000 }]);
	});

	it.each([
		["", "stage 1, at character 1: nothing stands there; write a stage as 0-1000:30s or 1000:30s"],
		["0-10:30s,", "stage 2, at character 10: nothing stands there"],
		["0-10", 'stage 1, at character 5: ":" and a time are missing; write 0-10:30s'],
		["0-10:30s, 10:30", 'stage 2, at character 14: "30" has no unit; write 30s or 30ms'],
		["0-10:30s,10-x:30s", 'stage 2, at character 13: "x" is not a whole number of clients from 0 to 1000'],
		["-10:30s", 'stage 1, at character 1: "" is not a whole number'],
		["0-1001:30s", 'stage 1, at character 3: "1001" is not'],
		["1.5:30s", '"1.5" is not a whole number of clients'],
		["10:0s", "stage 1, at character 4: a stage lasts more than 0"],
		["10:8000h", "at most 7 days"],
		[Array(101).fill("1:1s").join(), "more than 100 stages"],
	])("%j is refused, with the place", (text, told) => {
		expect(() => parseStages(text, clients)).toThrow(told);
	});
});

describe("values over time", () => {
	const stages = parseStages("0-100:10s,100:5s,20-0:4s", clients);

	it("change in a straight line, jump where a stage says so, and stay after the last", () => {
		expect([0, 5_000, 9_999, 10_000, 14_999, 15_000, 17_000, 19_000, 99_000].map((ms) => Math.round(valueAt(stages, ms)))).toEqual([
			0, 50, 100, 100, 100, 20, 10, 0, 0,
		]);
		expect([totalMs(stages), highest(stages)]).toEqual([19_000, 100]);
	});

	it("are cut or held so that they last as long as others", () => {
		expect(totalMs(lasting(stages, 30_000))).toBe(30_000);
		expect(lasting(stages, 30_000).at(-1)).toEqual({ from: 0, to: 0, ms: 11_000 });
		expect(lasting(stages, 5_000)).toEqual([{ from: 0, to: 50, ms: 5_000 }]);
		expect(lasting(stages, 19_000)).toEqual(stages);
	});

	it("tell how many clients are opened, each once, and the receivers' shares are all of them", () => {
		const corners = cornersOf(parseStages("0-10:1s,5:1s,5-20:1s,0:1s,3:1s", clients));
		expect(clientsOpened(corners)).toBe(10 + 15 + 3);
		for (const receivers of [1, 2, 3, 7]) {
			const each = Array.from({ length: receivers }, (_, receiver) =>
				clientsOpened(corners.map((count) => share(count, receivers, receiver))),
			);
			expect(each.reduce((sum, count) => sum + count, 0)).toBe(28);
		}
	});
});

describe("Schedule", () => {
	const dues = (text: string) => {
		const stages = parseStages(text, rates);
		const schedule = new Schedule(stages);
		return Array.from({ length: messagesIn(stages) }, (_, message) => schedule.dueMs(message));
	};

	it("is even while the rate stays the same", () => {
		expect(dues("100:100ms").map(Math.round)).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
	});

	it("sends half of the messages in the last three tenths of a rate that rises from 0", () => {
		const rising = dues("0-100:10s");
		expect(rising).toHaveLength(500);
		expect(rising[0]).toBe(0);
		expect(rising[125]).toBeCloseTo(5_000);
		expect(rising[250]).toBeCloseTo(Math.SQRT1_2 * 10_000);
		expect(rising.at(-1)).toBeLessThan(10_000);
	});

	it("is as many messages in each second of a falling rate as the rate says, and waits through a pause", () => {
		const falling = dues("100-0:10s,0:5s,10:1s");
		const inSecond = (second: number) => falling.filter((ms) => Math.floor(ms / 1000) === second).length;
		for (let second = 0; second < 10; second++) expect(Math.abs(inSecond(second) - (95 - 10 * second))).toBeLessThanOrEqual(1);
		for (let second = 10; second < 15; second++) expect(inSecond(second)).toBe(0);
		expect(inSecond(15)).toBe(10);
		expect(falling).toEqual(falling.toSorted((a, b) => a - b));
	});
});
