import type { FilterNode } from "@shardcast/protocol";

export type Tags = ReadonlyMap<string, string>;

/** Which publications a subscriber gets, by their tags. */
export interface TagFilter {
	/** Filters with the same key match the same publications. */
	readonly key: string;
	/** @param tags null = the publication has none. */
	matches(tags: Tags | null): boolean;
}

/** Limits of one filter: nodes, nesting, and bytes of all its strings. The filter is kept for the life of its subscription. */
export const tagFilterLimits = { nodes: 100, depth: 8, bytes: 4096 } as const;

type Test = (tags: Tags | null) => boolean;

/** Compiles the filter of a subscribe request, or says what is wrong with it. Never throws. */
export function tagFilter(root: FilterNode): TagFilter | { readonly problem: string } {
	const compiler = new Compiler();
	const test = compiler.node(root, 1);
	if (typeof test === "string") return { problem: test };
	return { key: JSON.stringify(canonical(root)), matches: test };
}

class Compiler {
	#nodes = 0;
	#bytes = 0;

	/** A string = the problem. */
	node(node: FilterNode, depth: number): Test | string {
		const { nodes, bytes } = tagFilterLimits;
		if (++this.#nodes > nodes) return `the filter has more than ${nodes} nodes`;
		if (depth > tagFilterLimits.depth) return `the filter has more than ${tagFilterLimits.depth} levels`;
		for (const text of [node.key, node.val, ...node.vals]) this.#bytes += text.length;
		if (this.#bytes > bytes) return `the filter has more than ${bytes} characters`;
		if (node.op === "") return comparison(node);
		return this.#group(node, depth);
	}

	#group({ op, nodes }: FilterNode, depth: number): Test | string {
		if (op !== "and" && op !== "or" && op !== "not") return `"${op}" is not a filter operation`;
		if (nodes.length === 0 || (op === "not" && nodes.length > 1)) return `"${op}" needs ${op === "not" ? "one node" : "nodes"}`;
		const tests: Test[] = [];
		for (const node of nodes) {
			const test = this.node(node, depth + 1);
			if (typeof test === "string") return test;
			tests.push(test);
		}
		if (op === "and") return (tags) => tests.every((test) => test(tags));
		if (op === "or") return (tags) => tests.some((test) => test(tags));
		const [negated] = tests as [Test];
		return (tags) => !negated(tags);
	}
}

/** Tests the value of a tag; undefined = the publication has no such tag. */
type Compare = (value: string | undefined) => boolean;

const withValue: Readonly<Record<string, (wanted: string) => Compare>> = {
	eq: (wanted) => (value) => value === wanted,
	neq: (wanted) => (value) => value !== wanted,
	sw: (wanted) => (value) => value?.startsWith(wanted) ?? false,
	ew: (wanted) => (value) => value?.endsWith(wanted) ?? false,
	ct: (wanted) => (value) => value?.includes(wanted) ?? false,
	gt: (wanted) => byNumber(wanted, (order) => order > 0),
	gte: (wanted) => byNumber(wanted, (order) => order >= 0),
	lt: (wanted) => byNumber(wanted, (order) => order < 0),
	lte: (wanted) => byNumber(wanted, (order) => order <= 0),
};
/** A missing tag counts as an empty one here, as in the reference server. */
const withValues: Readonly<Record<string, (wanted: ReadonlySet<string>) => Compare>> = {
	in: (wanted) => (value) => wanted.has(value ?? ""),
	nin: (wanted) => (value) => !wanted.has(value ?? ""),
};
const withoutValue: Readonly<Record<string, Compare>> = {
	ex: (value) => value !== undefined,
	nex: (value) => value === undefined,
};

function comparison({ key, cmp, val, vals }: FilterNode): Test | string {
	const compare = compareOf(cmp, val, vals);
	if (typeof compare === "string") return compare;
	if (key === "" && !Object.hasOwn(withoutValue, cmp)) return `"${cmp}" needs a key`;
	return (tags) => compare(tags?.get(key));
}

function compareOf(cmp: string, val: string, vals: readonly string[]): Compare | string {
	if (Object.hasOwn(withValue, cmp)) {
		if (val === "" || vals.length > 0) return `"${cmp}" needs val, and not vals`;
		return withValue[cmp]!(val);
	}
	if (Object.hasOwn(withValues, cmp)) {
		if (vals.length === 0 || val !== "") return `"${cmp}" needs vals, and not val`;
		return withValues[cmp]!(new Set(vals));
	}
	if (!Object.hasOwn(withoutValue, cmp)) return `"${cmp}" is not a filter comparison`;
	return val !== "" || vals.length > 0 ? `"${cmp}" needs neither val nor vals` : withoutValue[cmp]!;
}

/** A decimal number in the form that the reference server accepts: no exponent, at most 19 digits after the point. */
const decimal = /^[-+]?\d+(\.\d{1,19})?$/;
const decimalLengthMax = 200;
/** Up to this many characters, doubles distinguish and order the numbers correctly. */
const exactLength = 15;
const isDecimal = (text: string): boolean => text.length <= decimalLengthMax && decimal.test(text);

/** False for anything that is not a number. */
function byNumber(wanted: string, holds: (order: number) => boolean): Compare {
	if (!isDecimal(wanted)) return () => false;
	const isShort = wanted.length <= exactLength;
	const number = Number(wanted);
	const scaled = scale(wanted);
	return (value) => {
		if (value === undefined || !isDecimal(value)) return false;
		if (isShort && value.length <= exactLength) return holds(Number(value) - number);
		const other = scale(value);
		return holds(other > scaled ? 1 : other < scaled ? -1 : 0);
	};
}

/** As an integer in units of the last possible digit. */
function scale(text: string): bigint {
	const [whole, fraction = ""] = text.replace("+", "").split(".");
	return BigInt(`${whole}${fraction.padEnd(19, "0")}`);
}

/** Only the parts that matter; the values of a set in a fixed order. */
function canonical({ op, key, cmp, val, vals, nodes }: FilterNode): readonly unknown[] {
	if (op !== "") return [op, ...nodes.map(canonical)];
	return ["", key, cmp, val, [...vals].sort()];
}
