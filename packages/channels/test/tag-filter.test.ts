import type { FilterNode } from "@shardcast/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type TagFilter, tagFilter, tagFilterLimits } from "../src/tag-filter.ts";

const node = (fields: Partial<FilterNode>): FilterNode => ({ op: "", key: "", cmp: "", val: "", vals: [], nodes: [], ...fields });
const leaf = (key: string, cmp: string, val: string | readonly string[] = ""): FilterNode =>
	node({ key, cmp, ...(typeof val === "string" ? { val } : { vals: val }) });
const group = (op: string, ...nodes: readonly FilterNode[]): FilterNode => node({ op, nodes });

function compiled(root: FilterNode): TagFilter {
	const filter = tagFilter(root);
	if ("problem" in filter) throw new Error(filter.problem);
	return filter;
}
const matches = (root: FilterNode, tags: Readonly<Record<string, string>> | null): boolean =>
	compiled(root).matches(tags === null ? null : new Map(Object.entries(tags)));
const problem = (root: FilterNode): string => {
	const filter = tagFilter(root);
	return "problem" in filter ? filter.problem : "none";
};

const tags = { ticker: "AAPL", source: "NASDAQ", price: "150.25", volume: "1000", empty: "" };

describe("a comparison of tags", () => {
	it.each<[FilterNode, boolean]>([
		[leaf("ticker", "eq", "AAPL"), true],
		[leaf("ticker", "eq", "aapl"), false],
		[leaf("absent", "eq", "AAPL"), false],
		[leaf("ticker", "neq", "AAPL"), false],
		[leaf("ticker", "neq", "MSFT"), true],
		[leaf("absent", "neq", "AAPL"), true],
		[leaf("ticker", "in", ["MSFT", "AAPL"]), true],
		[leaf("ticker", "in", ["MSFT"]), false],
		[leaf("absent", "in", ["MSFT"]), false],
		[leaf("absent", "in", [""]), true],
		[leaf("ticker", "nin", ["MSFT"]), true],
		[leaf("ticker", "nin", ["AAPL"]), false],
		[leaf("absent", "nin", ["AAPL"]), true],
		[leaf("absent", "nin", [""]), false],
		[leaf("ticker", "ex"), true],
		[leaf("empty", "ex"), true],
		[leaf("absent", "ex"), false],
		[leaf("", "ex"), false],
		[leaf("ticker", "nex"), false],
		[leaf("absent", "nex"), true],
		[leaf("ticker", "sw", "AA"), true],
		[leaf("ticker", "sw", "PL"), false],
		[leaf("absent", "sw", "A"), false],
		[leaf("source", "ew", "DAQ"), true],
		[leaf("source", "ew", "NAS"), false],
		[leaf("source", "ct", "SD"), true],
		[leaf("source", "ct", "XX"), false],
		[leaf("absent", "ct", "a"), false],
		[leaf("price", "gt", "150"), true],
		[leaf("price", "gt", "150.25"), false],
		[leaf("price", "gte", "150.250"), true],
		[leaf("price", "lt", "9"), false],
		[leaf("price", "lt", "+1000"), true],
		[leaf("volume", "lte", "1000.0"), true],
		[leaf("volume", "gt", "-5"), true],
		[leaf("ticker", "gt", "0"), false],
		[leaf("ticker", "lte", "0"), false],
		[leaf("absent", "lt", "5"), false],
		[leaf("price", "gt", "1e2"), false],
		[leaf("price", "gt", ".5"), false],
		[leaf("price", "gt", "5."), false],
		[leaf("price", "gt", `0.${"1".repeat(20)}`), false],
	])("%j: %s", (filter, expected) => {
		expect(matches(filter, tags)).toBe(expected);
	});

	it("of a publication without tags treats every tag as absent", () => {
		expect([matches(leaf("a", "eq", "b"), null), matches(leaf("a", "neq", "b"), null), matches(leaf("a", "nex"), null)]).toEqual([
			false,
			true,
			true,
		]);
	});

	it("of numbers is exact for any number of digits", () => {
		expect(matches(leaf("n", "gt", "9007199254740992"), { n: "9007199254740993" })).toBe(true);
		expect(matches(leaf("n", "gt", "0.1"), { n: "0.1000000000000000001" })).toBe(true);
		expect(matches(leaf("n", "lt", "0.0000000000000000002"), { n: "0.0000000000000000001" })).toBe(true);
		const digits = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n });
		fc.assert(
			fc.property(digits, digits, fc.integer({ min: 0, max: 6 }), (a, b, places) => {
				const text = (value: bigint): string => {
					const plain = (value < 0n ? -value : value).toString().padStart(places + 1, "0");
					const point = plain.length - places;
					return `${value < 0n ? "-" : ""}${plain.slice(0, point)}${places === 0 ? "" : `.${plain.slice(point)}`}`;
				};
				for (const [x, y] of [
					[a, b],
					[a % 1000n, b % 1000n],
					[a, a],
				] as const) {
					expect(matches(leaf("n", "gt", text(y)), { n: text(x) })).toBe(x > y);
					expect(matches(leaf("n", "lte", text(y)), { n: text(x) })).toBe(x <= y);
				}
			}),
		);
	});
});

describe("operations", () => {
	it("and, or, not", () => {
		const [yes, no] = [leaf("ticker", "ex"), leaf("ticker", "nex")];
		expect(matches(group("and", yes, yes), tags)).toBe(true);
		expect(matches(group("and", yes, no), tags)).toBe(false);
		expect(matches(group("or", no, yes), tags)).toBe(true);
		expect(matches(group("or", no, no), tags)).toBe(false);
		expect(matches(group("not", no), tags)).toBe(true);
		expect(matches(group("not", group("or", no, group("and", yes, yes))), tags)).toBe(false);
	});
});

describe("a malformed filter is refused", () => {
	const one = leaf("a", "ex");
	it.each<[FilterNode, RegExp]>([
		[node({}), /"" is not a filter comparison/],
		[leaf("a", "like", "b"), /"like" is not a filter comparison/],
		[leaf("a", "constructor", "b"), /not a filter comparison/],
		[group("xor", one), /"xor" is not a filter operation/],
		[group("and"), /"and" needs nodes/],
		[group("or"), /"or" needs nodes/],
		[group("not"), /"not" needs one node/],
		[group("not", one, one), /"not" needs one node/],
		[leaf("a", "eq"), /"eq" needs val/],
		[leaf("a", "eq", ["b"]), /"eq" needs val/],
		[leaf("a", "in"), /"in" needs vals/],
		[leaf("a", "in", "b"), /"in" needs vals/],
		[leaf("a", "ex", "b"), /"ex" needs neither/],
		[leaf("", "eq", "b"), /"eq" needs a key/],
		[leaf("", "in", ["b"]), /"in" needs a key/],
		[group("and", one, group("or", leaf("a", "gt"))), /"gt" needs val/],
	])("%j", (filter, message) => {
		expect(problem(filter)).toMatch(message);
	});

	it("and so is one that exceeds a limit", () => {
		const { nodes, depth, bytes } = tagFilterLimits;
		const wide = (count: number) => group("and", ...Array.from({ length: count - 1 }, () => one));
		expect([problem(wide(nodes)), problem(wide(nodes + 1))]).toEqual(["none", "the filter has more than 100 nodes"]);
		const deep = (levels: number): FilterNode => (levels === 1 ? one : group("not", deep(levels - 1)));
		expect([problem(deep(depth)), problem(deep(depth + 1))]).toEqual(["none", "the filter has more than 8 levels"]);
		const long = (length: number) => leaf("a", "in", ["b", "c".repeat(length - 2)]);
		expect([problem(long(bytes)), problem(long(bytes + 1))]).toEqual(["none", "the filter has more than 4096 characters"]);
	});
});

it("equivalent filters have the same key", () => {
	const key = (filter: FilterNode) => compiled(filter).key;
	expect(key(leaf("a", "in", ["x", "y"]))).toBe(key(leaf("a", "in", ["y", "x"])));
	expect(key(leaf("a", "eq", "x"))).not.toBe(key(leaf("a", "eq", "y")));
	expect(key(group("and", leaf("a", "ex")))).not.toBe(key(group("or", leaf("a", "ex"))));
	expect(key(group("and", leaf("a", "ex"), leaf("b", "ex")))).not.toBe(key(group("and", group("and", leaf("a", "ex")), leaf("b", "ex"))));
});
