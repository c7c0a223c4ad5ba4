import { readFileSync } from "node:fs";

/** Counters of the network namespace that this process is in, by "TcpExt.ListenOverflows". */
export type KernelCounters = ReadonlyMap<string, number>;

/**
 * Reads the text of /proc/net/netstat or /proc/net/snmp: pairs of lines with the same first word, names in the first, values in
 * the second. @throws when the lines do not pair: a counter that is silently missing would read as "nothing happened".
 */
export function parseCounters(text: string): Map<string, number> {
	const counters = new Map<string, number>();
	const lines = text.split("\n").filter((line) => line !== "");
	for (let at = 0; at < lines.length; at += 2) {
		const [names, values] = [lines[at]!.split(" "), lines[at + 1]?.split(" ") ?? []];
		if (names[0] !== values[0] || names.length !== values.length) throw new Error(`not pairs of lines: ${lines[at]!.slice(0, 60)}`);
		const group = names[0]!.replace(/:$/, "");
		for (let index = 1; index < names.length; index++) counters.set(`${group}.${names[index]}`, Number(values[index]));
	}
	return counters;
}

export function readCounters(): KernelCounters {
	return new Map(["netstat", "snmp"].flatMap((file) => [...parseCounters(readFileSync(`/proc/net/${file}`, "latin1"))]));
}

/** How much a counter has grown. @throws when this kernel has none of that name. */
export function grown(name: string, before: KernelCounters, after: KernelCounters): number {
	const [from, to] = [before.get(name), after.get(name)];
	if (from === undefined || to === undefined) throw new Error(`this kernel does not count ${name}`);
	return to - from;
}
