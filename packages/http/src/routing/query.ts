import { closestWord } from "@shardcast/config";

const shownNameMax = 40;

/**
 * Describes an unknown query parameter and suggests a known one; null if all are known. Ignoring a misspelt `channel` would send a message to
 * everybody. Costs nothing for an empty query.
 */
export function queryProblem(query: string, known: readonly string[]): string | null {
	if (query === "") return null;
	for (const name of new URLSearchParams(query).keys()) {
		if (known.includes(name)) continue;
		const meant = closestWord(name, known);
		const quoted = known.map((each) => `"${each}"`);
		const all = known.length < 2 ? (quoted[0] ?? "none") : `${quoted.slice(0, -1).join(", ")} and ${quoted.at(-1)}`;
		const fix = meant === undefined ? `this path takes ${all}` : `did you mean "${meant}"?`;
		return `unknown query parameter "${name.slice(0, shownNameMax)}"; ${fix}`;
	}
	return null;
}
